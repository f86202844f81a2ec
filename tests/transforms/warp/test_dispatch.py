"""Which back end serves a batch, and what is said where one cannot."""

from dataclasses import replace

import pytest
import torch

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec, backends, cpu, native, reference, warp

GOOD = {
    "images": torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
    "homography": torch.eye(3)[None].expand(2, 3, 3),
    "logit": None,
    "colour": torch.eye(3, 4)[None].expand(2, 3, 4),
    "out": OutSpec((4, 4)),
}


@pytest.fixture
def served(monkeypatch):
    """The names of the back ends that have made a batch, one after the other."""
    names = []

    def watch(module, name):
        real = module.warp
        monkeypatch.setattr(module, "warp", lambda *a, **k: names.append(name) or real(*a, **k))

    watch(reference, "reference")
    watch(cpu, "cpu")
    return names


@pytest.mark.skipif(native.extension is None, reason=str(native.absence))
def test_images_in_host_memory_are_the_cpus_unless_the_reference_alone_can(make_case, served):
    case = make_case(9, 1, (8, 8), OutSpec((8, 8)))
    case.run(warp)
    replace(case, images=case.images.half() / 255).run(warp)
    case.run(warp, backend="reference")
    replace(case, images=case.images.double() / 255).run(warp)  # which the reference alone reads
    replace(case, out=OutSpec((8, 8), torch.float64)).run(warp)  # and makes
    assert served == ["cpu", "cpu", "reference", "reference", "reference"]


def test_without_the_extension_the_reference_serves_and_the_cpu_is_refused_with_the_reason(monkeypatch, served):
    monkeypatch.setattr(native, "extension", None)
    monkeypatch.setattr(native, "absence", "no compiler was found")
    warp(**GOOD)
    assert served == ["reference"]
    state = backends()["cpu"]
    assert (state.available, state.detail) == (False, "no compiler was found")
    with pytest.raises(WarpError, match="backend 'cpu' cannot be used here: no compiler was found"):
        warp(**GOOD, backend="cpu")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backend": "metal"}, "backend must be 'gpu', 'cpu', 'reference' or None, but got 'metal'"),
        ({"backend": "cpu", "out": OutSpec((4, 4), torch.float64)}, "use backend='reference'"),
        ({"backend": "gpu", "images": GOOD["images"].double()}, "takes and makes no float64"),
    ],
)
def test_a_back_end_that_cannot_is_refused(changed, message):
    with pytest.raises(WarpError, match=message):
        warp(**{**GOOD, **changed})


def test_every_back_end_is_named_and_says_with_what_it_runs():
    found = backends()
    assert [*found] == [state.name for state in found.values()] == ["gpu", "cpu", "reference"]
    assert found["reference"].detail == f"torch {torch.__version__}"
    assert all(state.detail for state in found.values())
