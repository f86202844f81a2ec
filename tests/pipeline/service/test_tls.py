"""TLS and mutual TLS, with certificates of the test's own: who fits gets rows, who does not is told why, at once."""

import pytest
import trustme

from onewarp.errors import ServiceError, UsageError
from onewarp.pipeline import Loader, connect


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def pair(authority, *names):
    """A certificate and its key."""
    issued = authority.issue_cert(*names)
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


@pytest.fixture
def files(tmp_path):
    """files(certificate, key): two files."""

    def write(certificate, key):
        (tmp_path / "certificate.pem").write_bytes(certificate)
        (tmp_path / "key.pem").write_bytes(key)
        return tmp_path / "certificate.pem", tmp_path / "key.pem"

    return write


@pytest.fixture
def secure(cache, serve, authority):
    """secure(...): a server with a certificate of the authority."""

    def start(**settings):
        certificate = pair(authority, "127.0.0.1")
        return serve({"cache": cache("raw")}, "grpc+tls://127.0.0.1:0", certificate=certificate, **settings)

    return start


def test_an_encrypted_connection_gives_the_rows(secure, cache, authority, tmp_path):
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    for roots in (authority.cert_pem.bytes(), tmp_path / "ca.pem"):
        remote = secure().connect("cache", roots=roots)
        assert [batch.keys for batch in Loader(remote, None, 4)] == [
            batch.keys for batch in Loader(cache("raw"), None, 4)
        ]


def test_a_server_of_another_authority_is_not_trusted(secure):
    served = secure()
    for roots in (None, trustme.CA().cert_pem.bytes()):
        with pytest.raises(ServiceError, match="its certificate is not trusted") as error:
            served.connect("cache", roots=roots, timeout=60)
        assert "\n" not in str(error.value)


def test_an_address_of_the_wrong_kind_is_told(secure, serve, cache, authority):
    encrypted, plain = secure(), serve({"cache": cache("raw")})
    with pytest.raises(ServiceError, match=r"it may encrypt \(grpc\+tls://\)"):
        connect(encrypted.address.replace("grpc+tls", "grpc") + "/cache", timeout=60)
    with pytest.raises(ServiceError, match="it does not encrypt: its address begins with grpc://"):
        connect(plain.address.replace("grpc", "grpc+tls") + "/cache", roots=authority.cert_pem.bytes(), timeout=60)


def test_only_clients_of_the_authority_are_served(secure, authority, files):
    roots = authority.cert_pem.bytes()
    served = secure(client_ca=roots)
    remote = served.connect("cache", roots=roots, certificate=files(*pair(authority, "client")))
    assert len(list(Loader(remote, None, 4))) == 3
    for certificate in (None, files(*pair(trustme.CA(), "client"))):
        with pytest.raises(ServiceError, match="or want a certificate of the client's"):
            served.connect("cache", roots=roots, certificate=certificate, timeout=60)


def test_files_of_a_client_that_do_not_fit_are_told_before_it_connects(authority, files):
    first, second = pair(authority, "client"), pair(authority, "client")
    with pytest.raises(ServiceError, match="the key is that of another certificate"):
        connect("grpc+tls://127.0.0.1:1/x", certificate=files(first[0], second[1]))
    with pytest.raises(ServiceError, match="must be the PEM file of an authority"):
        connect("grpc+tls://127.0.0.1:1/x", roots=b"nonsense")


def test_a_token_is_asked_for_beside_the_certificate(secure, authority):
    roots = authority.cert_pem.bytes()
    served = secure(tokens=["a-good-token"])
    assert served.connect("cache", roots=roots, token="a-good-token").vocab == ["cat", "dog"]
    for token, reason in ((None, "no token was given"), ("another-token", "it does not know this one")):
        with pytest.raises(ServiceError, match=f"wants a token, and {reason}") as error:
            served.connect("cache", roots=roots, token=token, timeout=60)
        assert str(token) not in str(error.value)
        assert "a-good-token" not in repr(error.value)


def test_a_token_stays_within_encrypted_connections(secure, authority):
    """A server that is reached by TLS cannot make the client show its token in the open."""
    served = secure(tokens=["a-good-token"], advertised=["grpc://127.0.0.1:1"])
    with pytest.raises(ServiceError, match="no address of an encrypted service"):
        served.connect("cache", roots=authority.cert_pem.bytes(), token="a-good-token")
    with pytest.raises(UsageError, match=r"replicas must be encrypted as the address is \(grpc\+tls://\)"):
        served.connect("cache", roots=authority.cert_pem.bytes(), replicas=["grpc://127.0.0.1:1"])
