"""What is wrong with the files of TLS is told before gRPC gets them."""

import pytest
import trustme

from onewarp.errors import ServiceError
from onewarp.pipeline.service.certificates import read_authority, read_pair


@pytest.fixture
def write(tmp_path):
    """write(name, data): a file."""

    def make(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return make


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def test_a_certificate_and_its_key_are_read(write, authority):
    issued = authority.issue_cert("localhost")
    chain, key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    assert read_pair(write("c.pem", chain), write("k.pem", key)) == (chain, key)


def test_a_key_of_another_certificate_is_refused(write, authority):
    first, second = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    files = write("c.pem", first.cert_chain_pems[0].bytes()), write("k.pem", second.private_key_pem.bytes())
    with pytest.raises(ServiceError, match="the key is that of another certificate"):
        read_pair(*files)


def test_a_key_that_is_encrypted_is_refused_and_nobody_is_asked_for_its_password(write, authority):
    from cryptography.hazmat.primitives import serialization

    issued = authority.issue_cert("localhost")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(ServiceError, match="must not be encrypted"):
        read_pair(write("c.pem", issued.cert_chain_pems[0].bytes()), write("k.pem", key))


def test_files_that_are_none_are_refused(write, tmp_path):
    with pytest.raises(ServiceError, match="no PEM files"):
        read_pair(write("c.pem", b"garbage"), write("k.pem", b"garbage"))
    with pytest.raises(ServiceError, match="cannot be read"):
        read_pair(tmp_path / "nowhere.pem", write("k.pem", b"garbage"))


def test_an_authority_is_read_from_a_file_or_from_bytes(write, authority, tmp_path):
    pem = authority.cert_pem.bytes()
    assert read_authority(write("ca.pem", pem)) == read_authority(pem) == pem
    for wrong in (b"garbage", b"\xff\xfe", b""):
        with pytest.raises(ServiceError, match="must be the PEM file of an authority"):
            read_authority(wrong)
    with pytest.raises(ServiceError, match="cannot be read"):
        read_authority(tmp_path / "nowhere.pem")
