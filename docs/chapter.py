# %% [markdown]
# # The pets chapter
#
# Chapter 5 of *Deep Learning for Coders*, cell by cell, on 489 photos of the Oxford-IIIT Pet data set (37 breeds), on a
# CPU. This page is executed: `python docs/execute.py docs/chapter.py PHOTOS` writes it, figures and all. The chapter
# has 7,390 photos, a GPU, and a ResNet whose weights come from the network; here the weights are EfficientNet-Lite0's,
# which install from the package registry, and the figures are those of the small set. Photos: the Oxford-IIIT Pet
# data set, CC BY-SA 4.0.
#
# ## From files to labels

# %%
import torch
from onewarp.pipeline import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    RandomSplitter,
    RegexLabeller,
    get_image_files,
    using_attr,
)
from onewarp.transforms import (
    Resize,
    Rotate,
    Warp,
    Zoom,
    aug_transforms,
    decode,
    explain,
    fuse,
)

files = get_image_files(PETS)
len(files), [f.name for f in files[:3]]

# %%
breed = using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")
breed(files[0]), breed("great_pyrenees_182.jpg")

# %%
pets = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    get_items=get_image_files,
    splitter=RandomSplitter(seed=42),
    get_y=breed,
    item_tfms=Resize(460),
    batch_tfms=aug_transforms(size=160, min_scale=0.75),
)
dls = pets.dataloaders(PETS, bs=16)
len(dls.rows), dls.c, list(dls.vocab or ())[:4]

# %%
dls.categorize

# %% [markdown]
# ## Presizing, and one warp for the rest
#
# The chapter turns, zooms and warps a picture twice: once operation by operation, each resampling what the one before
# left, and once composed. Here composing is the rule. The same four numbers as in the chapter:

# %%
photo = decode(next(f for f in files if f.name.startswith("samoyed")))
square = Resize(224)(photo, split="valid")
one_by_one = square.rotate(draw=30).zoom(draw=1.2).warp(draw_x=-0.2, draw_y=0.2)
middle = Zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1.0)
composed = fuse([Warp(draw_x=-0.2, draw_y=0.2, p=1.0), Rotate(draw=30, p=1.0), middle])(square)

# %%
from onewarp.pipeline import displayable
from onewarp.trainers import grid

grid(
    [displayable(square), displayable(one_by_one), displayable(composed)],
    ["source", "one at a time", "one warp"],
    columns=3,
)

# %%
print(explain(dls.transforms))

# %% [markdown]
# ## Looking at the data
#
# `show_batch` decodes until it reaches something that can be shown. One sample over three epochs, made again from
# its key alone:

# %%
dls.show_batch(nrows=2, ncols=4)

# %%
key = dls.train.sample_keys()[0]
again = torch.stack([dls.train.replay(key, epoch)[0] for epoch in range(4)])
grid([displayable(x) for x in again], [f"epoch {e}" for e in range(4)], columns=4)

# %% [markdown]
# When something does not fit, `summary` tells the way of the first sample, and where it ends:

# %%
wrong = DataBlock(
    blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, splitter=RandomSplitter(seed=42), get_y=breed
)
try:
    wrong.summary(PETS)
except Exception as error:
    print(f"\n{type(error).__name__}: {str(error).splitlines()[0]}")

# %% [markdown]
# ## Cross-entropy
#
# Six activations of two classes; softmax, the negative log-likelihood (which takes no log), and cross-entropy:

# %%
from torch.nn.functional import cross_entropy, nll_loss

activations = torch.randn(6, 2, generator=torch.Generator().manual_seed(42)) * 2
targets = torch.tensor([0, 1, 0, 1, 1, 0])
chances = activations.softmax(1)
print(chances[:, 0])
print(nll_loss(chances, targets, reduction="none"))
print(cross_entropy(activations, targets, reduction="none"), cross_entropy(activations, targets))

# %% [markdown]
# ## Training
#
# The learning-rate finder, on the frozen body. `minimum` is a tenth of the rate at the lowest loss, `steep` where it
# falls most steeply:

# %%
from onewarp.benchmarks.pets import learner
from onewarp.trainers import ClassificationInterpretation, minimum, slide, steep, valley

dls = dls.normalize((127 / 255,) * 3, (128 / 255,) * 3)
learn = learner(dls, seed=0)
found = learn.lr_find(suggest_funcs=(minimum, steep, valley, slide))
found

# %%
found.plot()

# %% [markdown]
# `fine_tune` trains the head with the body frozen, then everything, with rates that grow from the input to the head:

# %%
torch.manual_seed(0)
learn.fine_tune(2, base_lr=3e-3, freeze_epochs=2)

# %%
learn.recorder.plot_loss(), learn.recorder.plot_lr()

# %% [markdown]
# ## Interpretation
#
# Rows are actual. The pairs that are confused most often are, as in the chapter, breeds that look alike:

# %%
interpretation = ClassificationInterpretation.from_learner(learn)
interpretation.plot_confusion_matrix(figsize=(12, 12), dpi=60)

# %%
interpretation.most_confused(min_val=2)

# %%
interpretation.plot_top_losses(8, columns=4)

# %%
learn.show_results(max_n=8)

# %% [markdown]
# ## Discriminative rates, and half the precision
#
# `slice(1e-6, 1e-4)` over the three groups of layers is 1e-6, 1e-5, 1e-4; `to_bf16` and `to_fp16` are one call each.

# %%
learn.rates(slice(1e-6, 1e-4))

# %%
learn.unfreeze()
learn.fit_one_cycle(1, slice(1e-5, 1e-3))

# %%
before = learn.validate()
after = learn.to_bf16().validate()
before["error_rate"], after["error_rate"]

# %% [markdown]
# One file, the way of the validation set:

# %%
label, number, probabilities = learn.to_fp32().predict(files[0])
label, int(number), round(float(probabilities.max()), 4)
