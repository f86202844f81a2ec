"""One process of a study: `python -m onewarp.benchmarks.resuming.rank TRAINERS FOLDER MOST` writes its rows there."""

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..measuring.results import version_of
from . import traces

PACKAGES = {
    "lightning": "lightning",
    "huggingface": "transformers",
    "accelerate": "accelerate",
    "fastai": "fastai",
    "plain": "torch",
    "learner": "torch",
}
NAMES = {
    "lightning": "Lightning",
    "huggingface": "Hugging Face Trainer",
    "accelerate": "accelerate",
    "fastai": "fastai",
    "plain": "plain loop",
    "learner": "onewarp's Learner",
}


def rows(trainer: str, folder: Path, most: int | None, idioms: int | None) -> list[dict[str, Any]]:
    """The rows of a trainer, for its first `idioms`; one row where it is not installed."""
    count = traces.world()
    processes = "alone" if count == 1 else f"{count} processes"
    if version_of(PACKAGES[trainer]) is None:
        absent = {"name": NAMES[trainer], "setting": processes, "status": "not installed"}
        return [{**absent, "reason": f"pip install {PACKAGES[trainer]}"}]
    module: ModuleType = importlib.import_module(f".{trainer}", __package__)
    lacking: dict[str, str] = {} if count == 1 else getattr(module, "ALONE", {})
    found = []
    for number, idiom in enumerate(module.IDIOMS[:idioms]):
        setting = f"{idiom}, {processes}"
        if idiom in lacking:
            found.append({"name": NAMES[trainer], "setting": setting, "status": "not taken", "reason": lacking[idiom]})
            continue
        found.append(traces.row(NAMES[trainer], setting, module.run, idiom, folder / trainer / str(number), most))
    return found


def main() -> None:
    """Study some trainers one after another, in this process."""
    trainers, folder, most, idioms = sys.argv[1].split(","), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    torch.set_num_threads(1)
    found = [row for trainer in trainers for row in rows(trainer, folder, most or None, idioms or None)]
    rank = os.environ.get("RANK", "0")
    (folder / f"{trainers[0]}-{rank}.json").write_text(json.dumps(found))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
