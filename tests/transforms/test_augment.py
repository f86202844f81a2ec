"""Fusing: one resampling where one will do, equal to the operations one after the other, on the same draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.augment import Fused, aug_transforms, explain, fuse, setup_aug_tfms
from onewarp.transforms.colour import (
    Brightness,
    Contrast,
    Gamma,
    Grayscale,
    Hue,
    Normalize,
    RandomErasing,
    Saturation,
    Solarize,
)
from onewarp.transforms.decoding.decode import decode
from onewarp.transforms.draw import draw
from onewarp.transforms.geometry import Dihedral, Flip, RandomResizedCrop, Resize, Rotate, Warp, Zoom
from onewarp.transforms.policies import rand_augment, trivial_augment
from onewarp.transforms.types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorPoint
from onewarp.transforms.warp.packed import Packed


def smooth(h=96, w=96, seed=0):
    """A picture without detail finer than some pixels, so that a resampling more or less does not matter."""
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(noise, (h, w), mode="bicubic").clamp(0, 1)[0]
    return TensorImage(0.1 + 0.8 * large)  # away from black and white, whose logits are cut off


def names(transforms):
    return [type(t).__name__ for t in transforms]


def test_the_recipe_has_the_ancestors_defaults():
    found = {type(t).__name__: t for t in aug_transforms()}
    assert found["Flip"].p == 0.5
    assert (found["Warp"].magnitude, found["Rotate"].max_deg, found["Zoom"].max_zoom) == (0.2, 10.0, 1.1)
    assert found["Brightness"].max_lighting == found["Contrast"].max_lighting == 0.2
    assert {found[n].p for n in ("Warp", "Rotate", "Zoom", "Brightness", "Contrast")} == {0.75}


def test_mult_scales_rotation_lighting_and_warp_but_not_zoom():
    found = {type(t).__name__: t for t in aug_transforms(mult=2)}
    assert (found["Warp"].magnitude, found["Rotate"].max_deg, found["Brightness"].max_lighting) == (0.4, 20.0, 0.4)
    assert found["Zoom"].max_zoom == 1.1


def test_flip_vert_takes_all_eight_symmetries():
    assert "Dihedral" in names(aug_transforms(flip_vert=True))
    assert "Flip" not in names(aug_transforms(do_flip=False))


def test_the_chapters_setting_is_one_resampling():
    told = explain([Resize(460), *aug_transforms(size=224, min_scale=0.75), Normalize((0.5,) * 3, (0.2,) * 3)])
    assert (told.resamplings, told.pointwise, told.barriers) == (1, 0, ())
    assert str(told).startswith("1 resampling instead of 6")


def test_min_scale_needs_a_size():
    with pytest.raises(UsageError, match="give size=N"):
        aug_transforms(min_scale=0.5)


def test_perspective_acts_on_what_rotation_and_zoom_give():
    """Output to input: warp * (rotate * zoom), in whatever order the transforms are given."""
    rotate, zoom, warp = (
        Rotate(draw=9, p=1),
        Zoom(draw=1.1, draw_x=0.2, draw_y=0.7, p=1),
        Warp(draw_x=0.1, draw_y=-0.2, p=1),
    )
    square = np.array([[224.0, 224.0]])
    numbers = draw(0, 0, [0], "any", 4)
    r, z, w = (t.place(t.params(numbers), square)[0][0] for t in (rotate, zoom, warp))
    plan = fuse(setup_aug_tfms([rotate, zoom, warp])).plan(square, None)
    pixels = np.array([[112.0, 0, 112], [0, 112, 112], [0, 0, 1]])
    assert np.allclose(plan.matrix[0], pixels @ w @ r @ z @ np.linalg.inv(pixels))


@pytest.mark.parametrize("size", [64, None])
@pytest.mark.parametrize("key", ["a.jpg", "b.jpg", "c.jpg"])
def test_fused_equals_one_at_a_time_on_the_same_draws(key, size):
    transforms = aug_transforms(size=size, max_lighting=0.3, xtra_tfms=[Saturation(), Hue(), Gamma()])
    image = smooth()
    together = fuse(transforms)(image, keys=key, epoch=3, seed=7)
    alone = image
    for t in transforms:
        alone = t(alone, keys=key, epoch=3, seed=7)
    middle = slice(together.shape[-1] // 4, -together.shape[-1] // 4)  # away from what each operation invents
    assert (together - alone)[..., middle, middle].abs().max() < 0.02


def test_one_by_one_is_the_naive_way_on_the_same_draws():
    transforms = aug_transforms(size=64)
    naive = fuse(transforms, one_by_one=True)
    image = smooth()
    alone = image
    for t in transforms:
        alone = t(alone, keys="k", seed=5)
    assert torch.allclose(naive(image, keys="k", seed=5), alone, atol=1e-5)
    assert [s.kind for s in naive.segments].count("warp") == 4


def test_colours_in_the_order_of_the_stages_are_one_map():
    transforms = [
        Brightness(),
        Rotate(),
        Contrast(),
        Hue(),
        Zoom(),
        Solarize(),
        Grayscale(),
        Normalize((0.5,) * 3, (0.2,) * 3),
    ]
    assert [s.kind for s in fuse([*transforms, RandomErasing()]).segments] == ["warp"]


def test_colours_out_of_order_make_a_second_pointwise_step_and_geometry_passes_it():
    segments = fuse([Solarize(), Brightness(), Rotate()]).segments
    assert [(s.kind, s.operations) for s in segments] == [("warp", (0, 2)), ("colour", (1,))]
    assert segments[1].reason == "Brightness is a map of LOGIT, and TABLE has been passed"


def test_a_second_pointwise_step_is_exact():
    image = smooth()
    transforms = [Solarize(0.5, p=1), Brightness(draw=0.7, p=1)]
    alone = transforms[1](transforms[0](image))
    assert torch.allclose(fuse(transforms)(image), alone, atol=1e-6)


def test_what_cannot_fuse_is_a_barrier_with_its_reason():
    def blur(x: TensorImage):
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1)

    told = explain([Rotate(), blur, Zoom(), Brightness()])
    assert (told.resamplings, told.barriers) == (2, ("FunctionTransform",))
    assert "neither a homography nor a colour map" in str(told)
    assert fuse([Rotate(), blur, Zoom(), Brightness()])(smooth(), keys="a").shape == (3, 96, 96)


def test_a_barrier_may_come_first_even_on_images_of_mixed_sizes():
    def invert(x: TensorImage):
        return 255 - x

    images = [BATCH[0].numpy(), BATCH[1][:50].contiguous().numpy()]
    fused, plain = fuse([invert, Resize(32)]), fuse([Resize(32)])
    inverted = Packed.of([255 - image for image in images])
    assert torch.equal(fused(Packed.of(images), split="valid"), plain(inverted, split="valid"))


def test_a_barrier_that_changes_the_size_is_refused():
    def crop(x: TensorImage):
        return x[..., 1:]

    with pytest.raises(UsageError, match="must keep the size"):
        fuse([crop, Resize(32)])(smooth(), keys="a")


def test_no_step_begins_behind_normalize():
    def blur(x: TensorImage):
        return x

    normalize = Normalize((0.5,) * 3, (0.2,) * 3)
    fuse([normalize, Rotate(), RandomErasing()])  # one step
    singly = fuse([Rotate(), normalize, RandomErasing()], one_by_one=True)
    assert [run.operations for run in singly.segments] == [(0,), (1, 2)]
    fuse([Rotate(), normalize, blur])  # nothing behind it that takes colours in 0..1
    with pytest.raises(UsageError, match=r"Normalize must come after Rotate, .* \(it follows a barrier\)"):
        fuse([normalize, blur, Rotate()])
    with pytest.raises(UsageError, match="Normalize must come after Brightness"):
        fuse([normalize, Brightness()])


def test_what_was_erased_moves_with_the_image_and_paddings_do_not_mix():
    assert [s.kind for s in fuse([RandomErasing(), Rotate()]).segments] == ["warp", "warp"]
    assert [s.kind for s in fuse([Rotate(pad_mode="zeros"), Zoom()]).segments] == ["warp", "warp"]


def test_fusing_a_fused_opens_it_and_changes_nothing():
    first = fuse([Rotate(), Zoom()])
    assert fuse([first, Brightness()]).transforms == (*first.transforms, Brightness())
    assert fuse([first]) == first


BATCH = torch.stack([(smooth(seed=i) * 255).round().to(torch.uint8).permute(1, 2, 0).plain() for i in range(5)])


def test_a_sample_does_not_depend_on_its_batch():
    fused = fuse(aug_transforms(size=48, min_scale=0.5))
    keys = list("abcde")
    whole = fused(BATCH, keys=keys, epoch=2)
    for i, key in enumerate(keys):
        assert torch.equal(fused(BATCH[i : i + 1], keys=[key], epoch=2)[0], whole[i])
    assert torch.equal(fused(BATCH[[3, 1]], keys=["d", "b"], epoch=2), whole[[3, 1]])


def test_packed_images_of_mixed_sizes_are_one_batch():
    images = [BATCH[0].numpy(), BATCH[1][:50].contiguous().numpy(), BATCH[2][:, 10:].contiguous().numpy()]
    fused = fuse([Resize(60), *aug_transforms(size=32, min_scale=0.75)])
    packed = fused(Packed.of(images), keys=["a", "b", "c"])
    for i, (image, key) in enumerate(zip(images, "abc", strict=True)):
        assert torch.equal(fused(torch.from_numpy(image)[None], keys=[key])[0], packed[i])


def test_mixed_sizes_without_a_size_say_what_to_add():
    images = Packed.of([np.zeros((4, 5, 3), np.uint8), np.zeros((6, 5, 3), np.uint8)])
    with pytest.raises(UsageError, match=r"add Resize\(n\)"):
        fuse([Flip()])(images)


def test_validation_is_the_middle_without_augmentation():
    fused = fuse([Resize(64), *aug_transforms(size=32, min_scale=0.5)])
    wide = smooth(64, 128)
    expected = fuse([Resize(32)])(wide, split="valid")
    assert torch.allclose(fused(wide, split="valid", keys="a"), expected, atol=1e-6)
    assert torch.equal(fused(wide, split="valid", keys="a"), fused(wide, split="valid", keys="b"))


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6))
def test_targets_go_the_way_of_the_pixels(seed):
    """A bright spot, a mask of it, its point and its box stay together through everything."""
    y, x = 30 + seed % 37, 35 + seed % 29
    image = torch.zeros(3, 96, 96)
    image[:, y - 1 : y + 2, x - 1 : x + 2] = 1
    mask = TensorMask(image[0].to(torch.uint8))
    point = TensorPoint([[x + 0.5, y + 0.5]])
    box = TensorBBox([[x - 1.0, y - 1.0, x + 2.0, y + 2.0]])
    fused = fuse([*aug_transforms(max_lighting=0, pad_mode="zeros"), Dihedral()])
    moved, spot, at, around, label = fused((TensorImage(image), mask, point, box, TensorCategory(3)), seed=seed, keys=0)
    weight = moved[0].plain()
    if weight.sum() < 4:  # moved out of the frame
        return
    rows, columns = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    centre = torch.stack([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    assert (centre - at[0].plain()).abs().max() < 0.6
    middle = (around[0, :2] + around[0, 2:]).plain() / 2
    assert (centre - middle).abs().max() < 0.8
    assert spot.plain()[weight > 0.9].eq(1).all()
    assert set(spot.unique().tolist()) <= {0, 1}
    assert (type(moved), type(spot), type(at), type(around), label.item()) == (
        TensorImage,
        TensorMask,
        TensorPoint,
        TensorBBox,
        3,
    )


def test_a_box_out_of_sight_becomes_empty():
    fused = fuse([Resize(50)], min_visible=0.5)
    image = TensorImage(torch.zeros(3, 50, 100))
    boxes = TensorBBox([[0.0, 0, 20, 20], [40, 10, 60, 30], [20, 0, 32, 10]])
    kept = fused((image, boxes), split="valid")[1]
    assert kept.tolist() == [[0, 0, 0, 0], [15, 10, 35, 30], [0, 0, 7, 10]]


def test_a_batch_transform_makes_one_decision_an_epoch():
    fused = fuse([Rotate(p=1, batch=True)])
    plan = fused.plan(np.full((6, 2), 50), range(6))
    assert np.allclose(plan.matrix, plan.matrix[:1])
    assert not np.allclose(plan.matrix[0], fused.plan(np.full((1, 2), 50), [0], epoch=1).matrix[0])


@pytest.mark.parametrize("policy", [rand_augment(), rand_augment(3, 20), trivial_augment()])
def test_policies_are_one_resampling_and_pick_for_each_sample(policy):
    fused = fuse([Resize(48), *policy])
    assert explain(fused).resamplings == 1
    done = fused(BATCH[:1].expand(40, -1, -1, -1).contiguous(), keys=range(40))
    assert len({d.numpy().tobytes() for d in done}) > 20
    assert torch.isfinite(done).all()


def test_a_slot_of_a_policy_picks_at_most_one_operation():
    fused = fuse(trivial_augment())
    drawn = np.stack([t.params(d)["picked"] for t, d in _draws(fused, 200)])
    assert drawn.sum(0).max() == 1
    assert drawn.any(1).all()


def _draws(fused: Fused, n: int):
    return [(t, draw(0, 0, range(n), name, t.draws)) for t, name in zip(fused.transforms, fused.names, strict=True)]


def test_decode_takes_the_normalisation_back():
    normalize = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    fused = fuse([Resize(32), normalize])
    image = smooth()
    decoded = fused.decode(TensorImage(fused(image, split="valid")))
    assert torch.allclose(decoded, fuse([Resize(32)])(image, split="valid"), atol=1e-5)


def test_a_float_image_keeps_its_dtype_and_uint8_too():
    assert fuse([Rotate()])(smooth().half(), keys="a").dtype == torch.float16
    assert fuse([Rotate()])(TensorImage(torch.zeros(3, 8, 8, dtype=torch.uint8)), keys="a").dtype == torch.uint8


def test_a_crop_of_the_batch_is_drawn_for_each_image():
    fused = fuse([RandomResizedCrop(32)])
    matrices = fused.plan(np.full((8, 2), 96), range(8)).matrix
    assert len(np.unique(matrices[:, 0, 2].round(6))) == 8


def test_a_batch_lies_as_it_is_asked_for():
    fused, plain = (fuse([Resize(8)], channels_last=last) for last in (True, False))
    done = fused(BATCH, split="valid")
    assert done.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(done, plain(BATCH, split="valid"))


STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_normalising_twice_is_refused_and_so_is_what_acts_on_normalised_colours():
    normalize = Normalize(**STATISTICS)
    with pytest.raises(UsageError, match="Normalize must come after Normalize, and once"):
        fuse([normalize, normalize])
    with pytest.raises(UsageError, match="Normalize must come after Grayscale, and once"):
        fuse([normalize, Grayscale()])
    fuse([Grayscale(), normalize, RandomErasing()])


def test_normalised_colours_are_not_bytes():
    with pytest.raises(UsageError, match="Normalize makes colours that uint8 cuts off: use a floating dtype"):
        fuse([Resize(8), Normalize(**STATISTICS)], dtype=torch.uint8)


@pytest.mark.parametrize("plain", [True, False])
def test_floats_that_are_no_picture_are_refused(plain):
    def shown(x):
        return x.permute(0, 2, 3, 1).contiguous() if plain else TensorImage(x)

    normal = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for transform in (fuse([Flip()]), fuse([Normalize(**STATISTICS)]), Flip()):
        transform(shown(normal), keys=["a", "b"])
        for wrong in (normal * 255, (normal - 0.5) / 0.2, torch.full_like(normal, torch.nan)):
            with pytest.raises(UsageError, match=r"must be in 0..1, but got .* divide one in 0..255 by 255"):
                transform(shown(wrong), keys=["a", "b"])
    with pytest.raises(UsageError, match=r"uint8 in 0..255 or floating in 0..1, but got torch.int64"):
        fuse([Flip()])(shown((normal * 255).long()), keys=["a", "b"])


def test_a_plain_batch_of_floats_is_augmented_too():
    batch = torch.rand(2, 8, 8, 3)
    assert torch.equal(fuse([Flip(draw=1)])(batch), batch.flip(2).permute(0, 3, 1, 2))


def test_factors_of_the_policies_are_the_papers():
    for recipe in (trivial_augment(), rand_augment(1, 30)):
        for transform in (t.transform for t in recipe if type(t.transform) in (Contrast, Saturation)):
            values = transform.params(draw(0, 0, range(4000), "test", 2))["factor"]
            assert 0.1 <= values.min() < 0.11
            assert 1.89 < values.max() <= 1.9
            assert np.mean(values) == pytest.approx(1, abs=0.02)
    ends = {t.transform.factor for t in rand_augment(1, 9) if type(t.transform) in (Contrast, Saturation)}
    assert [pytest.approx(end) for end in ends.pop()] == [1 - 0.27, 1 + 0.27]
    widest = [t.transform.translate for t in trivial_augment() if getattr(t.transform, "translate", (0, 0)) != (0, 0)]
    assert [max(shift) * 224 for shift in widest] == [32, 32]


def black_or_white(images):
    """Of which images `uint8[N, 3, h, w]` more than half of the pixels are within 5 levels of the one or the other."""
    black, white = (images <= 5).all(1), (images >= 250).all(1)
    return (black.flatten(1).float().mean(1) > 0.5) | (white.flatten(1).float().mean(1) > 0.5)


def test_at_most_one_in_a_hundred_pictures_of_trivial_augment_is_mostly_black_or_white(pets):
    photos = [decode(path, target=96) for path in sorted(pets.glob("*.jpg"))[::8][:60]]
    small = torch.cat([fuse([Resize(96)])(photo[None], split="valid") for photo in photos])
    fused = fuse(trivial_augment(), dtype=torch.uint8)
    batch = small.permute(0, 2, 3, 1).contiguous().plain()
    seen = torch.cat([black_or_white(fused(batch, keys=range(len(batch)), epoch=epoch)) for epoch in range(60)])
    assert len(seen) == 60 * 60
    assert seen.float().mean() <= 0.01
