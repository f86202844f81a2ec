"""A client is told in one line what failed: no path, no traceback."""

import json
import traceback

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from onewarp.errors import CacheError, DamagedRowError, ResourceError, UsageError
from onewarp.pipeline.service.admission import BusyError
from onewarp.pipeline.service.server_errors import to_flight_error

FOLDER = "/data/my photos/pets.cache"


def said(error):
    """The message and the facts of what a client gets."""
    made = to_flight_error(error, [FOLDER, "/data"])
    return str(made), json.loads(made.extra_info)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UsageError("rows must be below 12, but got 12"), flight.FlightServerError),
        (CacheError("part 3 is missing"), flight.FlightServerError),
        (ResourceError("no room"), flight.FlightServerError),
        (BusyError("the server is stopping"), flight.FlightUnavailableError),
        (TimeoutError("the client did not read for 1 s"), flight.FlightTimedOutError),
    ],
)
def test_what_was_foreseen_is_said(error, kind):
    message, facts = said(error)
    assert type(to_flight_error(error)) is kind
    assert facts == {"kind": type(error).__name__, "message": message}
    assert message == str(error)


def test_a_damaged_row_is_named():
    message, facts = said(DamagedRowError(f"{FOLDER}: row 3 (cat/0.png) is damaged", 3, "cat/0.png"))
    assert message == "pets.cache: row 3 (cat/0.png) is damaged"
    assert (facts["row"], facts["key"]) == (3, "cat/0.png")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{FOLDER} is gone", "pets.cache is gone"),
        (f"{FOLDER}/part-0.parquet is gone", "pets.cache/part-0.parquet is gone"),
        ("no file /etc/passwd", "no file (a path)"),
        ("'/home/me/x.py', line 3", "'(a path)', line 3"),
        ("file=/home/me(1)/x.py", "file=(a path)"),
        ("key cat/0.png is missing", "key cat/0.png is missing"),
        ("two\n  lines", "two lines"),
    ],
)
def test_paths_are_left_out_and_keys_are_not(text, expected):
    assert said(UsageError(text))[0] == expected


@given(st.text(max_size=60), st.lists(st.text("abcXYZ019._-", min_size=1, max_size=9), min_size=1, max_size=4))
def test_no_absolute_path_is_left_in_a_message(text, names):
    message, facts = said(UsageError(f"{text} /{'/'.join(names)}"))
    assert f" /{names[0]}" not in message
    assert facts["message"] == message
    assert "\n" not in message


@pytest.mark.parametrize(
    "error",
    [ValueError(FOLDER), KeyError("secret"), OSError(2, "no", FOLDER), pa.ArrowInvalid(FOLDER), RecursionError()],
)
def test_what_was_not_foreseen_is_logged_and_not_said(error, caplog):
    try:
        raise error
    except Exception as raised:
        message, facts = said(raised)
    assert message == "the server failed, and its log says why"
    assert facts == {"kind": type(error).__name__, "message": message}
    assert type(to_flight_error(error)) is flight.FlightInternalError
    assert "Traceback" in caplog.text
    assert "test_server_errors" in caplog.text


@pytest.mark.parametrize("error", [pa.ArrowCancelled("x"), MemoryError(), UsageError("x"), ValueError("x")])
def test_whatever_is_said_has_no_traceback(error):
    try:
        raise error
    except Exception as raised:
        made = to_flight_error(raised)
    assert isinstance(made, flight.FlightError)  # to any other error pyarrow adds the traceback
    assert "".join(traceback.format_exception_only(made)).count("\n") == 1


def test_an_error_of_flight_stays_as_it_is():
    error = flight.FlightUnauthenticatedError("a token is needed")
    assert to_flight_error(error) is error


def test_the_schema_of_no_cache_is_refused_without_a_traceback(cache, serve):
    served = serve({"cache": cache("raw")})
    with flight.connect(served.address) as client:
        assert "image" in client.get_schema(flight.FlightDescriptor.for_path("cache")).schema.names
        with pytest.raises(pa.ArrowException, match="the server has no cache 'none': it has cache") as refusal:
            client.get_schema(flight.FlightDescriptor.for_path("none"))
    assert "Traceback" not in str(refusal.value)
    assert ".py" not in str(refusal.value)
