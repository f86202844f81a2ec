"""Many transforms, one warp: `fuse` and the recipes of the ancestors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError
from .colour import Brightness, Contrast
from .execute import Images, call, output_size, run_images, run_masks
from .fusible import Geometric, Mode, Pointwise
from .fusion import check_colours, find_segments, find_single_segments, make_plan
from .geometry import Dihedral, Flip, RandomResizedCrop, Rotate, Warp, Zoom
from .mix import Mix
from .native_planner import NativePlanner, compile_for_cpu
from .plan import Plan, Segment, Size
from .random_transform import Keys, check_key, is_batch, sample_keys
from .targets import keep_visible, move_boxes, move_points
from .transform import Split, Transform
from .transform_lists import Transforms, as_transforms, check_origin, name_operations
from .types import TensorImage
from .warp.outspec import DTYPES, Padding


class Fused(Transform):
    """Several transforms as one: one filtered resampling and one colour map, as far as they go together.

    Made by `fuse`. Called on a sample or a batch it does to it what its transforms would do one after the other,
    with the same draws. `dtype` and `layout` are those of batches of images; `antialias=False` samples without a
    filter; a box of which less than `min_visible` is left in the frame becomes empty. `one_by_one` does not fuse: the
    naive way, with a resampling for each geometric transform, on the same draws. `mixes` act on whole batches and their
    labels, in training.
    """

    transforms: tuple[Transform, ...] = ()
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    antialias: bool = True
    min_visible: float = 0.25
    one_by_one: bool = False
    mixes: tuple[Mix, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in (*DTYPES, torch.float64):
            raise UsageError(f"dtype must be float32, bfloat16, uint8 or float64, but got {self.dtype}")
        if not 0 <= self.min_visible <= 1:
            raise UsageError(f"min_visible must be a share from 0 to 1, but got {self.min_visible}")
        normalised = next((t for t in self.transforms if getattr(t, "leaves_range", False)), None)
        if self.dtype == torch.uint8 and normalised is not None:
            raise UsageError(f"{type(normalised).__name__} makes colours that uint8 cuts off: use a floating dtype")

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The runs into which the transforms fall."""
        return (find_single_segments if self.one_by_one else find_segments)(self.transforms)

    @cached_property
    def names(self) -> list[str]:
        """The name of each transform's stream of numbers."""
        return name_operations(self.transforms)

    def _native_planner(self, split: Split | None) -> NativePlanner | None:
        """What draws for all transforms at once on a split; None where that cannot be done."""
        if split not in self._native_planners:
            self._native_planners[split] = compile_for_cpu(self.transforms, self.names, self.segments, split)
        return self._native_planners[split]

    @cached_property
    def _native_planners(self) -> dict[Split | None, NativePlanner | None]:
        return {}

    def plan(
        self,
        sizes: NDArray[Any],
        keys: Keys,
        seed: int = 0,
        epoch: int = 0,
        split: Split | None = None,
    ) -> Plan:
        """What happens to each image of a batch; `sizes` is `[N, 2]`, source heights and widths.

        Drawn and composed in C++ where all of the transforms can be, and else by themselves, which is the same but for
        the rounding of float64.
        """
        hashes = sample_keys(keys, len(sizes))
        native = self._native_planner(split) if len(hashes) else None
        if native is not None:
            return native.plan(sizes, hashes, seed, epoch)
        return make_plan(
            self.transforms,
            sizes,
            hashes,
            segments=self.segments,
            names=self.names,
            seed=seed,
            epoch=epoch,
            split=split,
        )

    def images(self, images: Images, plan: Plan) -> Tensor:
        """The batch `[N, 3, h, w]` of `dtype` from `uint8[N, H, W, 3]` or packed images."""
        return run_images(plan, images, self.dtype, self.channels_last, self.antialias)

    def mix(self, x: Tensor, y: Any, keys: Keys, seed: int = 0, epoch: int = 0) -> tuple[Tensor, Any]:
        """A training batch with its samples mixed with one another, labels too; as it is where nothing mixes."""
        for mix, name in zip(self.mixes, name_operations(self.mixes), strict=True):
            x, y = mix(x, y, keys=keys, seed=seed, epoch=epoch, operation=name)
        return x, y

    def masks(self, masks: Sequence[Tensor], plan: Plan) -> Tensor:
        """Masks, a list of integer `[h, w]`, as one tensor `[N, h, w]`."""
        return run_masks(plan, masks)

    def points(self, points: Sequence[Tensor], plan: Plan) -> list[Tensor]:
        """Points, a list of `[n, 2]`, in pixels of the output."""
        back = np.linalg.inv(plan.matrix)
        return [move_points(p, m) for p, m in zip(points, back, strict=True)]

    def boxes(self, boxes: Sequence[Tensor], plan: Plan) -> list[Tensor]:
        """Boxes, a list of `[n, 4]`, in pixels of the output, empty where out of sight."""
        back, size = np.linalg.inv(plan.matrix), output_size(plan)
        return [keep_visible(move_boxes(b, m), size, self.min_visible) for b, m in zip(boxes, back, strict=True)]

    def __call__(
        self,
        x: Any,
        *,
        split: Split | None = None,
        seed: int = 0,
        epoch: int = 0,
        keys: Keys = None,
    ) -> Any:
        """A sample or batch, drawn for and done: image, masks, points and boxes by the same matrix.

        A typed image keeps its dtype; a plain batch `[N, H, W, 3]` or packed becomes `[N, 3, h, w]` of `dtype`. Where
        something mixes, `x` is a batch of images and its labels, in training.

        Raises `UsageError` where a sample that is no batch has no key, and something is left to chance; where
        something would mix and there are no labels.
        """
        check_key(self.transforms, x, keys, split)
        mixing = bool(self.mixes) and split in (None, "train")
        if mixing and not (type(x) is tuple and len(x) == 2 and is_batch(x)):
            raise UsageError(
                f"{type(self.mixes[0]).__name__} mixes the images of a batch and their labels: call it on "
                f"(images, labels), or with split='valid', where nothing mixes"
            )
        done = self._transform(x, split, seed, epoch, keys) if self.transforms else x
        if not mixing:
            return done
        images, labels = done
        return self.mix(images, labels, keys, seed, epoch)

    def _transform(self, x: Any, split: Split | None, seed: int, epoch: int, keys: Keys) -> Any:
        """What all transforms but the mixing ones make of `x`."""

        def plan(sizes: NDArray[Any], keys: Keys) -> Plan:
            return self.plan(sizes, keys, seed, epoch, split)

        how: dict[str, Any] = {"dtype": self.dtype, "channels_last": self.channels_last, "antialias": self.antialias}
        return call(plan, x, keys, **how, min_visible=self.min_visible)

    def decode(self, y: TensorImage):  # type: ignore[no-untyped-def]
        """Colours as they were: normalisation undone, which is what can be undone of an image."""
        for transform in reversed(self.transforms):
            y = transform.decode(y)
        return y

    def __repr__(self) -> str:
        return f"Fused -- {list(self.transforms)}"


def fuse(
    transforms: Transforms,
    *,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
    antialias: bool = True,
    min_visible: float = 0.25,
    one_by_one: bool = False,
) -> Fused:
    """One transform that does what `transforms` do one after the other, with as few resamplings as can be.

    Fused transforms among them are opened, functions become barriers. `MixUp` and `CutMix` come last: they act on
    what the others leave, in training batches only. Raises `UsageError` for what is no transform, and for one that
    would get the colours that `Normalize` leaves.

    >>> fuse([Rotate(), Brightness(), Zoom()]).segments[0].operations
    (0, 1, 2)
    """
    flat: list[Any] = []
    for t in as_transforms(transforms, "fuse"):
        check_origin(t)
        flat.extend((*t.transforms, *t.mixes) if isinstance(t, Fused) else [t])
    mixes = tuple(t for t in flat if isinstance(t, Mix))
    rest = flat[: len(flat) - len(mixes)]
    if any(isinstance(t, Mix) for t in rest):
        raise UsageError("MixUp and CutMix must come last: they mix what all other transforms leave")
    made = tuple(rest)
    fused = Fused(made, dtype, channels_last, antialias, min_visible, one_by_one, mixes)
    check_colours(made, fused.segments)
    return fused


@dataclass(frozen=True)
class Explanation:
    """How transforms are done: as text by `str`, as facts in its fields."""

    resamplings: int
    pointwise: int
    barriers: tuple[str, ...]
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def explain(transforms: Transforms | Fused) -> Explanation:
    """How many resamplings a list of transforms takes, which of them fuse, and why the others do not.

    >>> print(explain([Rotate(), Zoom(), Brightness()]))
    1 resampling instead of 2
    1. warp (the source is read): Rotate, Zoom, Brightness
    """
    fused = transforms if isinstance(transforms, Fused) else fuse(transforms)
    kinds = [s.kind for s in fused.segments]
    resamplings = kinds.count("warp")
    alone = sum(isinstance(t, Geometric) for t in fused.transforms)
    head = f"{resamplings} resampling{'' if resamplings == 1 else 's'} instead of {alone}"
    rows = [
        f"{i}. {s.kind} ({s.reason}): {', '.join(type(fused.transforms[k]).__name__ for k in s.operations)}"
        for i, s in enumerate(fused.segments, 1)
    ]
    barriers = tuple(
        type(fused.transforms[k]).__name__ for s in fused.segments if s.kind == "barrier" for k in s.operations
    )
    return Explanation(resamplings, kinds.count("colour"), barriers, (head, *rows))


def setup_aug_tfms(transforms: Transforms) -> list[Transform]:
    """In the order in which the ancestors compose them: perspective, the other geometry, colours by stage, the rest.

    Perspective comes first, so that in the composed map, output to input, it acts on what the affine ones give.
    """
    fused = fuse(transforms)
    flat = list(fused.transforms)

    def rank(t: Transform) -> int:
        if isinstance(t, Warp):
            return 0
        if isinstance(t, Geometric) and not isinstance(t, RandomResizedCrop):
            return 1
        return 2 + t.stage if isinstance(t, Pointwise) else 10

    return [*sorted(flat, key=rank), *fused.mixes]


def aug_transforms(
    mult: float = 1.0,
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Transforms = (),
    size: Size | None = None,
    mode: Mode = "bilinear",
    pad_mode: Padding = "reflection",
    batch: bool = False,
    min_scale: float = 1.0,
) -> list[Transform]:
    """The ancestors' recipe: flip, warp, rotate, zoom, brightness, contrast, and a random resized crop.

    `mult` scales rotation, lighting and warp; `flip_vert` gives all eight symmetries; `min_scale` below one adds a
    crop of at least that share of the area to `size`. However many they are, they fuse into one resampling.

    >>> [type(t).__name__ for t in aug_transforms(size=224, min_scale=0.75)]
    ['Warp', 'Flip', 'Rotate', 'Zoom', 'Brightness', 'Contrast', 'RandomResizedCrop']
    """
    common: dict[str, Any] = {
        "size": size if min_scale == 1.0 else None,
        "mode": mode,
        "pad_mode": pad_mode,
        "batch": batch,
    }
    max_rotate, max_lighting, max_warp = (mult * value for value in (max_rotate, max_lighting, max_warp))
    found: list[Any] = []
    if do_flip:
        found.append(Dihedral(p=0.5, **common) if flip_vert else Flip(p=0.5, **common))
    if max_warp:
        found.append(Warp(magnitude=max_warp, p=p_affine, **common))
    if max_rotate:
        found.append(Rotate(max_deg=max_rotate, p=p_affine, **common))
    if max_zoom > 1:
        found.append(Zoom(min_zoom=min_zoom, max_zoom=max_zoom, p=p_affine, **common))
    if max_lighting:
        found.append(Brightness(max_lighting=max_lighting, p=p_lighting, batch=batch))
        found.append(Contrast(max_lighting=max_lighting, p=p_lighting, batch=batch))
    if min_scale != 1.0:
        if size is None:
            raise UsageError("min_scale crops to a size: give size=N, or leave min_scale at 1")
        found.append(RandomResizedCrop(size, min_scale=min_scale, ratio=(1.0, 1.0), mode=mode, val_xtra=0.0))
    return setup_aug_tfms([*found, *xtra_tfms])
