"""An address says scheme, host, port and cache, or is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.service.addresses import is_address, parse_address

HOSTS = st.sampled_from(["localhost", "10.0.0.7", "::1", "a-b.example"])


@given(st.sampled_from(["grpc", "grpc+tcp", "grpc+tls"]), HOSTS, st.integers(0, 65535), st.none() | st.just("pets"))
def test_the_parts_of_an_address_are_found(scheme, host, port, name):
    written = f"[{host}]" if ":" in host else host
    text = f"{scheme}://{written}:{port}{'' if name is None else f'/{name}'}"
    found = parse_address(text)
    assert found == (scheme, host, port, name)
    assert found.location == f"{scheme}://{written}:{port}"
    assert is_address(text)


WRONG = """pets
grpc
grpc://
grpc://a
grpc://a:
grpc://a:65536
grpc://a:1/b/c
grpc://a:1?b
grpc://[:1
grpc://u@a:1
http://a:1
grpc://a:1#f
 grpc://a:1
grpc://a b:1
grpc://::1:1"""


@pytest.mark.parametrize("text", [*WRONG.split("\n"), "grpc://a:1\n"])
def test_what_is_none_has_no_parts(text):
    assert parse_address(text) is None


@given(st.text())
def test_any_text_is_an_address_or_none(text):
    for one in (text, f"grpc://{text}"):
        found = parse_address(one)
        assert found is None or found.scheme == "grpc"


def test_what_is_no_text_or_a_path_is_not_meant_as_one():
    assert not any(map(is_address, [None, 3, b"grpc://a:1", "grpc", "grpc:/a", "/grpc://", "http://a:1"]))
