"""Images on their way in: pieces of them in order, and no more at once than an exchange may hold."""

import threading
from types import SimpleNamespace

import pyarrow as pa
import pytest

from onewarp.errors import UsageError
from onewarp.pipeline.service.admission import BusyError, Room
from onewarp.pipeline.service.inference import Inference, Preparation
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.received_images import Receiver, Window
from onewarp.transforms import Resize, fuse


class Stream:
    """What a handler reads from; `ended` is called when no more batches come."""

    def __init__(self, batches, ended=lambda: None):
        self._batches, self._ended = iter(batches), ended

    def read_chunk(self):
        try:
            return SimpleNamespace(data=next(self._batches))
        except StopIteration:
            self._ended()
            raise


@pytest.fixture
def inference():
    inference = Inference(Limits(client_bytes=1 << 20))
    yield inference
    inference.close()


@pytest.fixture
def preparation():
    return Preparation.of(fuse([Resize(256)]), None, Limits())  # 768 kB for each answer


def batch(images, first=0):
    return pa.record_batch({"id": range(first, first + len(images)), "image": pa.array(images, pa.binary())})


def test_images_come_in_pieces_in_order(inference, preparation, encoded):
    stream = Stream([batch([encoded(0)] * 5), batch([]), batch([b"", None], 5), batch([encoded(1)] * 4, 7)])
    numbers, ids, errors = [], [], []
    with Receiver(stream, "", inference, preparation) as receiver:
        for piece in receiver:
            answers = piece.answers.wait()
            numbers += range(piece.first, piece.first + len(answers))
            ids += piece.ids.to_pylist()
            errors += answers.errors
            assert answers.x.nbytes <= 5 << 19
    assert numbers == ids == [*range(11)]
    assert [error is None for error in errors] == [True] * 5 + [False] * 2 + [True] * 4


def test_no_more_is_taken_than_an_exchange_may_hold(inference, preparation, encoded):
    taken = []

    def images():
        for number in range(20):
            taken.append(number)
            yield batch([encoded(0)], number)

    with Receiver(Stream(images()), "", inference, preparation) as receiver:
        for count, piece in enumerate(receiver, 1):
            piece.answers.wait()
            assert len(taken) <= count + 2  # one that is held, and one that waits for room
    assert len(taken) == 20


def fail_at_the_first_piece(receiver):
    with receiver:
        raise LookupError(next(iter(receiver)).first)


def test_a_loop_that_fails_ends_the_thread_that_waits_for_room(inference, preparation, encoded):
    stream = Stream([batch([encoded(0)])] * 9)
    with pytest.raises(LookupError):
        fail_at_the_first_piece(Receiver(stream, "", inference, preparation))
    assert "onewarp-receive" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(("bad", "reason"), [(None, "without one"), (OSError("gone"), "cannot be read as such")])
def test_what_ends_the_stream_badly_is_raised_after_what_came_before(inference, preparation, encoded, bad, reason):
    def batches():
        yield batch([encoded(0)])
        if isinstance(bad, Exception):
            raise bad
        yield bad

    pieces = []
    with (
        pytest.raises(UsageError, match=reason),
        Receiver(Stream(batches()), "", inference, preparation) as receiver,
    ):
        pieces.extend(piece.answers.wait().errors for piece in receiver)
    assert pieces == [[None]]


def test_a_window_lets_in_what_fits_and_what_is_too_large_alone():
    window, inside = Window(10), []

    def enter(nbytes):
        window.take(nbytes)
        inside.append(nbytes)

    enter(25)
    waiting = threading.Thread(target=enter, args=(4,))
    waiting.start()
    assert inside == [25]
    window.give(25)
    waiting.join(60)
    enter(6)
    assert inside == [25, 4, 6]
    window.close()
    with pytest.raises(UsageError, match="has ended"):
        window.take(0)


def test_what_an_exchange_holds_is_of_its_clients_room_and_given_back_however_it_ends(inference, preparation, encoded):
    held = []
    room = Room(held.append, lambda nbytes: held.append(-nbytes))
    with pytest.raises(LookupError):
        fail_at_the_first_piece(Receiver(Stream([batch([encoded(0)])] * 9), "", inference, preparation, room))
    assert max(held) > 768 * 1024
    assert sum(held) == 0
    with Receiver(Stream([batch([encoded(0)])] * 3), "", inference, preparation, room) as receiver:
        assert len([piece.answers.wait() for piece in receiver]) == 3
    assert sum(held) == 0


def test_a_client_without_room_is_told_so(inference, preparation, encoded):
    def refuse(nbytes):
        raise BusyError("wait")

    stream = Stream([batch([encoded(0)])])
    with pytest.raises(BusyError), Receiver(stream, "", inference, preparation, Room(refuse, refuse)) as receiver:
        next(iter(receiver))


def test_a_record_batch_of_several_images_is_no_larger_than_the_largest_image(preparation, encoded):
    small = Inference(Limits(image_bytes=10_000))
    images = [b"x" * 6_000, b"x" * 6_000]
    with (
        pytest.raises(UsageError, match="at most 10,000 bytes: send fewer"),
        Receiver(Stream([batch(images)]), "", small, preparation) as receiver,
    ):
        next(iter(receiver))
    with Receiver(Stream([batch([b"x" * 12_000])]), "", small, preparation) as receiver:
        assert "no known image format" in next(iter(receiver)).answers.wait().errors[0]  # the preparation's own limits
    small.close()


def test_a_host_of_tiny_images_is_no_more_at_once_than_other_images(inference, monkeypatch):
    tiny, answers = Preparation.of(fuse([Resize(1)]), None, Limits()), []
    submit = inference.submit
    monkeypatch.setattr(inference, "submit", lambda *call: answers.append(submit(*call)) or answers[-1])
    with Receiver(Stream([batch([b""] * 5_000)]), "", inference, tiny) as receiver:
        for count, piece in enumerate(receiver, 1):
            piece.answers.wait()
            assert sum(map(len, answers[count:])) <= 128  # of a window of 1 MB
    assert sum(map(len, answers)) == 5_000
    assert max(map(len, answers)) <= 64
