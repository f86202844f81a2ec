"""The warp as an operation of torch's: compiled with a model in one graph, and without gradients."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec, warp
from onewarp.transforms.warp.packed import Packed

HOMOGRAPHY = torch.tensor([[[0.9, 0.1, 1], [-0.1, 1.1, 0], [0.001, 0, 1]], [[-1.0, 0, 9], [0, 1, 0], [0, 0, 1]]])
COLOUR = torch.eye(3, 4).repeat(2, 1, 1)
SPEC = OutSpec((7, 8), padding=(0.25, 0.5, 0.75))


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("backend", "layout"), [("aot_eager", "channels_last"), ("inductor", "nchw")])
def test_a_model_and_the_warp_before_it_are_one_graph(backend, layout):
    model = torch.nn.Conv2d(3, 2, 3)
    spec = OutSpec((7, 8), layout=layout)

    def step(images, homography, colour):
        return model(warp(images, homography, None, colour, spec)).mean()

    torch.compiler.reset()
    compiled = torch.compile(step, backend=backend, fullgraph=True)
    images = noise(2, 9, 9, 3)
    loss = compiled(images, HOMOGRAPHY, COLOUR)
    assert torch.allclose(loss, step(images, HOMOGRAPHY, COLOUR))
    loss.backward()
    assert model.weight.grad.abs().max() > 0


def test_packed_images_are_compiled_too():
    packed = Packed.of([noise(5, 9, 3).numpy(), noise(8, 4, 3).numpy()])

    def step(data, offsets, sizes):
        images = Packed(data, offsets, sizes)
        hue = torch.zeros(2)
        return warp(images, HOMOGRAPHY, None, COLOUR, SPEC, hue=hue) * 2

    torch.compiler.reset()
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    expected = warp(packed, HOMOGRAPHY, None, COLOUR, SPEC, hue=torch.zeros(2)) * 2
    assert torch.equal(compiled(packed.data, packed.offsets, packed.sizes), expected)


def arguments(**changed):
    return {
        "data": noise(2, 9, 9, 3), "offsets": None, "sizes": None, "homography": HOMOGRAPHY, "logit": None,
        "colour": COLOUR, "hue": None, "table": None, "erase": None, "tiles": None, "packed": False, "size": [7, 8],
        "dtype": torch.float32, "layout": "nchw", "padding": "reflection", "fill": [0.0, 0.0, 0.0], "antialias": True,
        "backend": "", "diagonal": False, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"layout": "channels_last", "dtype": torch.uint8},
        {"padding": "colour", "fill": [0.2, 0.4, 0.6], "backend": "reference", "logit": COLOUR.clone()},
    ],
)
def test_the_operation_is_what_its_schema_says(changed):
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_static", "test_autograd_registration")
    torch.library.opcheck(torch.ops.onewarp.warp.default, tuple(arguments(**changed).values()), test_utils=tests)


def test_a_gradient_is_refused():
    images = noise(2, 9, 9, 3).float().div(255).requires_grad_()
    result = torch.ops.onewarp.warp(*arguments(data=images).values())
    with pytest.raises(WarpError, match="no gradients"):
        result.sum().backward()


def test_batches_are_made_while_a_model_is_compiled_in_another_thread():
    """torch says to all threads that it is compiling: the operation called the warp, and that the operation again."""
    images, found = noise(2, 9, 9, 3), []

    def while_compiling(graph, inputs):
        found.append(torch.compiler.is_compiling())
        with ThreadPoolExecutor(1) as loader:
            found.append(loader.submit(warp, images, HOMOGRAPHY, None, COLOUR, SPEC).result())
        return make_boxed_func(graph.forward)

    torch.compiler.reset()
    torch.compile(torch.nn.Linear(2, 2), backend=aot_autograd(fw_compiler=while_compiling))(torch.ones(1, 2))
    assert found[0]
    assert torch.equal(found[1], warp(images, HOMOGRAPHY, None, COLOUR, SPEC))
