"""Floor 2: how data flows, from files to batches."""

from .annotations import Beside, VocBoxes
from .blocks import BBoxBlock, CategoryBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock
from .cache import Cache
from .compose import Pipeline
from .datablock import DataBlock
from .dataloaders import DataLoaders
from .items import get_image_files
from .labels import ColReader, RegexLabeller, UsingAttr, parent_label, using_attr
from .loader import Loader
from .loading.batch import Batch
from .presizing import presize
from .spec import register
from .splits import ColSplitter, FuncSplitter, GrandparentSplitter, HashSplitter, RandomSplitter

__all__ = [
    "BBoxBlock",
    "Batch",
    "Beside",
    "Cache",
    "CategoryBlock",
    "ColReader",
    "ColSplitter",
    "DataBlock",
    "DataLoaders",
    "FuncSplitter",
    "GrandparentSplitter",
    "HashSplitter",
    "ImageBlock",
    "Loader",
    "MaskBlock",
    "MultiCategoryBlock",
    "Pipeline",
    "PointBlock",
    "RandomSplitter",
    "RegexLabeller",
    "VocBoxes",
    "get_image_files",
    "parent_label",
    "presize",
    "register",
    "using_attr",
]

# What may stand in a pipeline's JSON by its name, beside the transforms, which see to it themselves.
for _named in (
    *(ImageBlock, CategoryBlock, MultiCategoryBlock, MaskBlock, PointBlock, BBoxBlock),
    *(get_image_files, parent_label, RegexLabeller, UsingAttr, ColReader, Beside, VocBoxes),
    *(RandomSplitter, GrandparentSplitter, FuncSplitter, HashSplitter, ColSplitter),
):
    register(_named)
