"""Floor 1: what a typed sample is, and what happens to it."""

from .augment import Fused, aug_transforms, explain, fuse, setup_aug_tfms
from .barrier import Kornia
from .category import Categorize, MultiCategorize
from .colour import (
    Brightness,
    Contrast,
    Gamma,
    Grayscale,
    Hue,
    Invert,
    Normalize,
    Posterize,
    RandomErasing,
    Saturation,
    Solarize,
)
from .decoding.decode import decode
from .geometry import Affine, Dihedral, Flip, Homography, RandomResizedCrop, Resize, Rotate, Warp, Zoom
from .mix import CutMix, MixUp
from .policies import rand_augment, trivial_augment
from .to_tensor import ToTensor
from .transform import ItemTransform, RandTransform, Transform
from .types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorMultiCategory, TensorPoint
from .warp.packed import Packed

__all__ = [
    "Affine",
    "Brightness",
    "Categorize",
    "Contrast",
    "CutMix",
    "Dihedral",
    "Flip",
    "Fused",
    "Gamma",
    "Grayscale",
    "Homography",
    "Hue",
    "Invert",
    "ItemTransform",
    "Kornia",
    "MixUp",
    "MultiCategorize",
    "Normalize",
    "Packed",
    "Posterize",
    "RandTransform",
    "RandomErasing",
    "RandomResizedCrop",
    "Resize",
    "Rotate",
    "Saturation",
    "Solarize",
    "TensorBBox",
    "TensorCategory",
    "TensorImage",
    "TensorMask",
    "TensorMultiCategory",
    "TensorPoint",
    "ToTensor",
    "Transform",
    "Warp",
    "Zoom",
    "aug_transforms",
    "decode",
    "explain",
    "fuse",
    "rand_augment",
    "setup_aug_tfms",
    "trivial_augment",
]
