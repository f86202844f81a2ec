"""Floor 2: how data flows, from files to batches."""

from .cache.reader import Cache
from .composition.compose import Pipeline
from .composition.spec import register
from .datablock.datablock import DataBlock
from .datablock.dataloaders import DataLoaders
from .dataset.annotations import Beside, VocBoxes
from .dataset.blocks import BBoxBlock, CategoryBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock
from .dataset.items import get_image_files
from .dataset.labels import ColReader, RegexLabeller, UsingAttr, parent_label, using_attr
from .dataset.splits import ColSplitter, FuncSplitter, GrandparentSplitter, HashSplitter, RandomSplitter
from .loading.batch import Batch
from .loading.loader import Loader
from .presizing.presizer import presize

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
