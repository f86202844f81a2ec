import pytest
import torch

from onewarp.transforms import Flip, MixUp, Resize, Rotate, Transform, fuse

KEYS = list("abcd")


@pytest.mark.parametrize("transform", [fuse([Resize(8), Flip(), Rotate(p=1.0)]), Rotate(p=1.0)], ids=["fused", "alone"])
def test_a_compiled_transform_and_a_compiled_function_about_one_give_the_same_values(transform):
    """They ended with 'Guard failed on the same frame it was created'."""
    x = torch.randint(0, 255, (4, 16, 16, 3), dtype=torch.uint8)

    def scaled(x, keys):
        return transform(x, split="train", keys=keys) * 2 + 1

    expected = transform(x, split="train", keys=KEYS), scaled(x, KEYS)
    alone, about = torch.compile(transform, backend="aot_eager"), torch.compile(scaled, backend="aot_eager")
    for n in (4, 3, 4):
        assert torch.equal(alone(x[:n], split="train", keys=KEYS[:n]), expected[0][:n])
        assert torch.equal(about(x[:n], KEYS[:n]), expected[1][:n])


def test_a_compiled_mix_and_a_transform_of_ones_own_give_the_same_values():
    class Double(Transform):
        def encode(self, x: torch.Tensor):
            return 2 * x

    x, y = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    mix = MixUp(classes=3)
    mixed = torch.compile(lambda: mix(x, y, keys=KEYS)[0] + 0, backend="aot_eager")
    assert torch.equal(mixed(), mix(x, y, keys=KEYS)[0])
    assert torch.equal(torch.compile(lambda x: Double()(x) + 1, backend="aot_eager")(x), 2 * x + 1)
