"""Every call but `health` needs a token, which nobody is ever shown."""

import hmac
import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from onewarp.errors import ServiceError, UsageError
from onewarp.pipeline.service import access
from onewarp.pipeline.service.access import AccessFactory, read_tokens

TOKENS = ("a-first-token", "the-second-token")


def bearing(*tokens):
    return flight.FlightCallOptions(timeout=60, headers=[(b"authorization", token.encode()) for token in tokens])


def exchange(client, options, of="do_exchange"):
    descriptor = flight.FlightDescriptor.for_command(b"{}")
    if of == "do_put":
        writer, reader = client.do_put(descriptor, pa.schema([("key", pa.string())]), options)
        reader.read()
    else:
        writer, reader = client.do_exchange(descriptor, options)
        reader.read_chunk()
    writer.close()


def get_schema(client, options):
    try:
        client.get_schema(flight.FlightDescriptor.for_path("cache"), options)
    except OSError as error:  # pyarrow's client does not say which error of Flight it is
        raise flight.FlightUnauthenticatedError(str(error)) from None


CALLS = {
    "list_flights": lambda client, options: list(client.list_flights(b"", options)),
    "get_flight_info": lambda client, options: client.get_flight_info(
        flight.FlightDescriptor.for_path("cache"), options
    ),
    "get_schema": get_schema,
    "do_get": lambda client, options: client.do_get(flight.Ticket(b"{}"), options).read_all(),
    "do_put": lambda client, options: exchange(client, options, "do_put"),
    "do_exchange": exchange,
    "list_actions": lambda client, options: client.list_actions(options),
    "stats": lambda client, options: list(client.do_action("stats", options)),
    "explain": lambda client, options: list(client.do_action("explain", options)),
    "an unknown action": lambda client, options: list(client.do_action("x", options)),
}
WRONG = [
    "Bearer",
    "Bearer ",
    "Bearer a-first-toke",
    "Bearer a-first-token2",
    "Basic a-first-token",
    "a-first-token",
    "-",
]


@pytest.fixture
def client(cache, serve):
    with flight.connect(serve({"cache": cache()}, tokens=TOKENS).address) as client:
        yield client


@pytest.mark.parametrize("name", CALLS)
def test_every_call_needs_a_token(client, name):
    for wrong in [[], *([header] for header in WRONG), WRONG]:
        with pytest.raises(flight.FlightUnauthenticatedError, match="a token is needed") as refusal:
            CALLS[name](client, bearing(*wrong))
        assert "token" not in str(refusal.value).replace("a token is needed", "")
    for token in TOKENS:
        with suppress(flight.FlightServerError):  # it was let in, and asked for nothing that is there
            CALLS[name](client, bearing("Bearer none of them", f"bearer {token}"))


def test_health_needs_no_token(client):
    (result,) = client.do_action("health")
    assert b'"ready"' in result.body.to_pybytes()


def test_a_client_without_a_token_is_told_so(cache, serve):
    served = serve({"cache": cache()}, tokens=TOKENS)
    for token in (None, "a-third-token"):
        with pytest.raises(ServiceError, match="wants a token"):
            served.connect("cache", token=token)
    assert len(served.connect("cache", token=TOKENS[1])) == 12


@given(token=st.text(max_size=40))
def test_no_other_token_is_known(token):
    call = flight.CallInfo(flight.FlightMethod.DO_ACTION)
    got = AccessFactory(TOKENS).start_call(call, {"authorization": [f"Bearer {token}"]})
    if token not in TOKENS:
        with pytest.raises(flight.FlightUnauthenticatedError):
            got.check()
    AccessFactory([]).start_call(call, {}).check()


def test_a_token_is_compared_with_all_others_in_constant_time(monkeypatch):
    compared, compare_digest = [], hmac.compare_digest

    def compare(first, second):
        compared.append(second)
        return compare_digest(first, second)

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    call = flight.CallInfo(flight.FlightMethod.DO_GET)
    AccessFactory(TOKENS).start_call(call, {"authorization": ["Bearer " + TOKENS[0]]})
    assert compared == [token.encode() for token in TOKENS]


def test_no_token_is_shown(cache, serve, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    served = serve({"cache": cache()}, tokens=TOKENS)
    remote = served.connect("cache", token=TOKENS[0])
    texts = [repr(remote), repr(remote.connection), repr(remote.replicas.replicas)]
    texts += [repr(pickle.loads(pickle.dumps(remote)).connection)]
    texts += [repr(served.service), str(vars(served.server)), repr(AccessFactory(TOKENS))]
    with flight.connect(served.address) as client, ThreadPoolExecutor(1) as pool:
        for call in CALLS.values():
            for header in (f"Bearer {TOKENS[0]}x", f"Bearer {TOKENS[0]}"):
                texts.append(str(pool.submit(call, client, bearing(header)).exception()))
    texts += [caplog.text, *capfd.readouterr()]
    assert not [text for text in texts if any(token in text for token in TOKENS)]


def test_tokens_are_read_from_a_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("a-first-token\n\n  the-second-token \n")
    assert tuple(read_tokens(path)) == TOKENS


@pytest.mark.parametrize("data", [b"", b"\n", b"short\n", b"long enough\n", b"\xff" * 9, "nicht für alle".encode()])
def test_a_file_that_holds_no_tokens_is_refused_without_its_content(tmp_path, data):
    path = tmp_path / "tokens"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="token_file must") as refusal:
        read_tokens(path)
    assert "enough" not in str(refusal.value)
    with pytest.raises(UsageError, match="token_file must be a file of tokens"):
        read_tokens(tmp_path / "none")
