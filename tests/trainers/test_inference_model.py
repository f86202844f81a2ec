"""An exported learner behind an address: what it sees and says is what it sees and says here."""

import pytest
import torch
from torch import nn

from onewarp.errors import TrainingError
from onewarp.pipeline import BBoxBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock, get_image_files
from onewarp.pipeline.service.answers import Answer, Refusal
from onewarp.pipeline.service.asking import predict
from onewarp.pipeline.service.exchange import ImageExchange
from onewarp.pipeline.service.inference import Inference
from onewarp.pipeline.service.replicas import Credentials, Replicas
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service
from onewarp.trainers.exporting import ServingData
from onewarp.trainers.inference_model import InferenceModel, load_model
from onewarp.trainers.objective import Points
from onewarp.trainers.predictor import Predictor
from onewarp.trainers.serving import load_learner
from onewarp.transforms import Resize, fuse
from onewarp.transforms.decoding.resizing import Sizing


@pytest.fixture
def serve():
    """serve(model): a server that predicts by this model."""
    running = []

    def start(model):
        inference = Inference(model=model)
        server = Server(Service(ServedCaches({}), exchange=ImageExchange(inference)), "grpc://127.0.0.1:0")
        replicas = Replicas([f"grpc://127.0.0.1:{server.port}"], Credentials(), 20)
        running.append((replicas, server, inference))
        return replicas

    yield start
    for replicas, server, inference in running:
        replicas.close()
        server.stop()
        inference.close()


def test_files_are_answered_as_by_the_learner_that_was_exported(serve, trained, photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    files = [*get_image_files(photos)[:11], tmp_path / "bad.jpg", tmp_path / "nowhere.jpg"]
    learn = load_learner(trained.model)
    here, there = list(learn.answers(files)), list(predict(serve(load_model(trained.model)), files, tensors=True))
    assert [type(one) for one in there] == [Answer] * 11 + [Refusal] * 2
    assert [one.reason for one in there[11:]] == [one.reason for one in here[11:]]
    batch = next(iter(learn.dls.test_dl(files[:11])))
    for i in range(11):
        assert (there[i].item, there[i].label) == (here[i].item, here[i].label)
        assert torch.equal(there[i].x, batch[0][i])
        assert torch.equal(there[i].matrix, batch.matrix[i])
        torch.testing.assert_close(there[i].probabilities, here[i].probabilities)


@pytest.mark.parametrize(
    ("block", "objective", "outputs"),
    [
        (MultiCategoryBlock(vocab=["a", "b", "c"]), None, 3),
        (PointBlock(), Points((16, 16)), 8),
        (MaskBlock(["sky", "ground"]), None, (2, 16, 16)),
        (BBoxBlock(), nn.MSELoss(), (2, 4)),
    ],
    ids=["several", "points", "mask", "boxes"],
)
def test_answers_of_all_kinds_are_those_of_the_learner(serve, photos, block, objective, outputs):
    torch.manual_seed(0)
    shape = outputs if isinstance(outputs, tuple) else (outputs,)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, torch.Size(shape).numel()), nn.Unflatten(1, shape))
    data = ServingData((ImageBlock(), block), fuse([Resize(16)]), Sizing(32))
    learn = Predictor(data, model, objective)
    files = get_image_files(photos)[:5]
    for here, there in zip(learn.answers(files), predict(serve(InferenceModel(learn)), files), strict=True):
        assert there.is_class == here.is_class
        torch.testing.assert_close(there.decoded, here.decoded)
        if block.kind != "mask":  # of which there is a probability for each class at each pixel
            torch.testing.assert_close(there.probabilities, here.probabilities)
        if here.is_class:
            assert there.label == here.label


def test_half_of_the_precision_goes_the_same_way(serve, photos):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3)).bfloat16()
    data = ServingData((ImageBlock(), PointBlock()), fuse([Resize(16)], dtype=torch.bfloat16), None)
    learn = Predictor(data, model, nn.MSELoss())
    files = get_image_files(photos)[:3]
    (batch,) = learn.dls.test_dl(files)
    for i, answer in enumerate(predict(serve(InferenceModel(learn)), files, tensors=True)):
        assert torch.equal(answer.x, batch[0][i].float())


def test_a_file_that_is_no_learner_is_refused(tmp_path):
    (tmp_path / "m").write_bytes(b"nothing")
    with pytest.raises(TrainingError):
        load_model(tmp_path / "m")
