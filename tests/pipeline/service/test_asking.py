"""Files sent to a server: an answer or a reason for each, in order, whatever comes between."""

import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import ServiceError, UsageError
from onewarp.pipeline.service.answers import Answer, Prepared, Refusal
from onewarp.pipeline.service.asking import predict, prepare
from onewarp.pipeline.service.exchange import ImageExchange
from onewarp.pipeline.service.inference import Inference, Preparation
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.replicas import Credentials, Replicas
from onewarp.pipeline.service.time_limit import drop_connection
from onewarp.transforms import Resize, aug_transforms, fuse
from onewarp.transforms.decoding.resizing import Sizing

COLOURS = ("red", "green", "blue")


def test_each_file_has_its_answer_in_its_place(exchanger, brightest, encoded, tmp_path):
    server = exchanger(model=brightest)
    files = [encoded(seed) for seed in range(20)]
    (tmp_path / "7.jpg").write_bytes(files[7])
    files[7] = tmp_path / "7.jpg"
    files[3], files[5], files[19] = b"no picture", tmp_path / "nowhere.jpg", tmp_path
    replies = predict(server.replicas, files)
    assert replies.vocab == list(COLOURS)
    found = list(replies)
    assert [type(reply) for reply in found] == [Refusal if i in (3, 5, 19) else Answer for i in range(20)]
    for i, reply in enumerate(found):
        assert reply.item is files[i]
        if isinstance(reply, Answer):
            assert (reply.label, reply.decoded.item()) == (COLOURS[i % 3], i % 3)
            assert reply.probability == pytest.approx(reply.probabilities.max().item())
            assert (reply.x, reply.matrix.shape) == (None, (3, 3))
    assert "no known image format" in found[3].reason
    assert "nowhere.jpg cannot be read: No such file" in found[5].reason
    assert "must be a regular file" in found[19].reason
    assert server.errors == [None]


def test_nothing_and_nothing_but_wrong_files_end_well(exchanger, brightest, tmp_path):
    server = exchanger(model=brightest)
    assert list(predict(server.replicas, [])) == []
    assert [type(reply) for reply in predict(server.replicas, [tmp_path / "a", tmp_path / "b"])] == [Refusal, Refusal]
    assert server.errors == [None, None]


def test_tensors_come_without_a_model_by_the_recipe_of_the_client(exchanger, encoded):
    files = [encoded(seed) for seed in range(3)]
    found = list(prepare(exchanger().replicas, files, fuse([*aug_transforms(size=24)]), Sizing(32)))
    assert [type(reply) for reply in found] == [Prepared] * 3
    assert found[0].x.shape == (3, 24, 24)


def test_predictions_of_a_server_without_a_model_are_refused(exchanger, encoded):
    server = exchanger(Preparation.of(fuse([Resize(8)]), None, Limits()))
    assert [reply.x.shape for reply in prepare(server.replicas, [encoded(0)])] == [(3, 8, 8)]
    with pytest.raises(UsageError, match="no model that predicts"):
        list(predict(server.replicas, [encoded(0)]))


def test_more_is_sent_than_both_ends_hold_while_the_answers_wait(exchanger, encoded):
    """About 100 MB each way: neither end could go on if it did not take what comes while it sends."""
    server = exchanger()
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "BMP")
    count = 0
    for reply in prepare(server.replicas, (file.getvalue() for _ in range(150)), [Resize(256)]):
        count += isinstance(reply, Prepared)
    assert count == 150


def test_an_error_of_the_clients_own_files_is_raised_and_ends_the_call(exchanger, brightest, encoded):
    def files():
        yield from (encoded(seed) for seed in range(10))
        raise LookupError("the list ended badly")

    server = exchanger(model=brightest)
    with pytest.raises(LookupError, match="ended badly"):
        list(predict(server.replicas, files()))
    assert "onewarp-send" not in [thread.name for thread in threading.enumerate()]


def test_a_loop_that_is_left_ends_the_call(exchanger, brightest, encoded):
    server = exchanger(model=brightest)

    def endless():
        while True:
            yield encoded(0)

    for reply in predict(server.replicas, endless()):
        assert reply.label == "red"
        break
    del reply
    assert "onewarp-send" not in [thread.name for thread in threading.enumerate()]
    assert [reply.label for reply in predict(server.replicas, [encoded(1)])] == ["green"]


def test_what_the_server_refuses_is_raised(exchanger, encoded):
    with pytest.raises(ServiceError, match="one size: add Resize"):
        list(prepare(exchanger().replicas, [encoded(0)], [*aug_transforms()]))


def test_tensors_may_be_changed_and_kept(exchanger, encoded):
    first, second = prepare(exchanger().replicas, [encoded(0), encoded(1)], [Resize(8)])
    kept = second.x.clone()
    first.x.add_(1)
    assert torch.equal(second.x, kept)


def test_where_a_server_ends_another_one_answers_the_rest(exchanger, brightest, encoded):
    ended = []

    class Quitting(type(brightest)):
        """Its server drops its clients at the third batch, as long as another server is left."""

        server, batches = None, 0

        def predict(self, x):
            self.batches += self.server is not None
            if self.batches == 3 and len(ended) < 2:
                ended.append(self)
                for peer in self.server.server.service.admission.peers:
                    drop_connection(peer)
            return super().predict(x)

    models = [Quitting() for _ in range(3)]
    servers = [exchanger(model=model) for model in models]
    for model, server in zip(models, servers, strict=True):
        model.server = server
    replicas = Replicas([server.server.address for server in servers], Credentials(), 20)
    files = [encoded(seed) for seed in range(60)]
    files[50] = b"no picture"
    replies = list(predict(replicas, iter(files)))
    assert [reply.item for reply in replies] == files
    assert [getattr(reply, "label", None) for reply in replies] == [
        None if seed == 50 else COLOURS[seed % 3] for seed in range(60)
    ]
    assert len(ended) == 2


def test_where_no_server_is_left_it_is_said_within_the_timeout(exchanger, brightest, encoded):
    server = exchanger(model=brightest)
    server.stop()
    with pytest.raises(ServiceError, match="no server answers"):
        list(predict(Replicas([server.server.address], Credentials(), 0.5), [encoded(0)]))


def test_a_server_that_always_fails_at_the_same_file_is_not_asked_for_ever(exchanger, encoded, monkeypatch):
    server = exchanger()
    monkeypatch.setattr(server.inference, "submit", lambda *call: 1 / 0)
    with pytest.raises(ServiceError, match="the server failed, and its log says why"):
        list(prepare(server.replicas, [encoded(0)], [Resize(8)]))


def test_a_cache_behind_an_address_answers_images_too_presized_as_its_photos(serve, cache, brightest, encoded):
    inference = Inference(model=brightest)
    remote = serve({"pets": cache()}, exchange=ImageExchange(inference)).connect("pets")
    assert [answer.label for answer in remote.predict([encoded(0), encoded(2)])] == ["red", "blue"]
    (as_its_photos,) = remote.prepare([encoded(0)], [Resize(8)])
    (otherwise,) = remote.prepare([encoded(0)], [Resize(8)], Sizing(12))
    expected = list(prepare(remote.replicas, [encoded(0)], [Resize(8)], Sizing(24)))
    assert torch.equal(as_its_photos.x, expected[0].x)
    assert not torch.equal(as_its_photos.x, otherwise.x)
    remote.close()
    inference.close()
