"""A rank that is killed in mid-epoch: how soon the others end, what they say, and what the resumed run trains on.

`python -m onewarp.benchmarks.resuming.kill LOOP FOLDER RUN STEP` is one rank of a run. It logs every sample that it has
trained on; the last rank kills itself behind batch STEP of the second epoch, where STEP is not 0.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ...pipeline.order.ranks import from_environment
from ...trainers import Callback, Checkpoint, Learner
from ...trainers.events import Training
from . import data, processes
from .traces import digest, is_alone, world

EPOCHS, ROWS, LIMIT = 3, 24, 300.0  # all ranks have equally many batches, also of what is left
SECONDS = 10.0
"""How soon the other ranks must have ended."""
LAST_WORDS = {
    ("onewarp's Learner", "by hand"): "another one has ended",
    ("plain loop", "by hand"): "by peer",
    ("onewarp's Learner", "torchrun"): "SIGKILL",
    ("plain loop", "torchrun"): "SIGKILL",
}
"""What must stand in the output of a run that ends since a rank was killed."""
Watch = Callable[[int, int, Tensor], None]
"""Called behind each batch with the epoch, the number of batches of the epoch so far, and the images."""


def learner(folder: Path, watch: Watch) -> None:
    """Train with onewarp's Learner, and a checkpoint after each step."""

    class Log(Callback):
        """Tells what was trained on."""

        order = 99

        def after_batch(self, learn: Training) -> None:
            """Tell what the batch was."""
            watch(learn.run.epoch, learn.run.step, learn.run.batch[0])

    file = folder / "run.safetensors"
    learn = Learner(data.loaders(ROWS), data.model(), table=False, cbs=[Checkpoint(file, every=1), Log()])
    if file.exists():
        learn.resume(file)
    learn.fit_one_cycle(EPOCHS)


def plain(folder: Path, watch: Watch) -> None:
    """Train in a loop with DDP; the first rank writes a checkpoint after each step."""
    if not is_alone():
        distributed.init_process_group("gloo")
    loader, model, file = data.loaders(ROWS).train, data.model(), folder / "run.pt"
    network = model if is_alone() else DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "loader": loader}
    if file.exists():
        state = torch.load(file, weights_only=False)
        for name, part in parts.items():
            part.load_state_dict(state[name])
    for epoch in range(loader.epoch, EPOCHS):
        for step, (x, y) in enumerate(loader, 1):
            loss: Tensor = nn.functional.cross_entropy(network(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step(), optimizer.zero_grad()
            if from_environment("RANK", 0) == 0:
                torch.save({name: part.state_dict() for name, part in parts.items()}, file.with_suffix(".part"))
                file.with_suffix(".part").replace(file)
            if not is_alone():
                distributed.barrier()
            watch(epoch, step, x)
    if not is_alone():
        distributed.destroy_process_group()


LOOPS = {"onewarp's Learner": learner, "plain loop": plain}


def have_logged(folder: Path, run: str, ranks: Iterable[int], count: int) -> bool:
    """Whether each of these ranks has logged so many samples of a run."""
    logs = [folder / f"{run}-{rank}.log" for rank in ranks]
    return all(log.exists() and log.read_text().count("\n") >= count for log in logs)


def main() -> None:
    """Train as one rank of a run, by the words of the command line."""
    loop, folder, run, stop = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(1)
    rank = from_environment("RANK", 0)

    def watch(epoch: int, step: int, images: Tensor) -> None:
        with (folder / f"{run}-{rank}.log").open("a") as log:
            log.writelines(json.dumps([epoch, digest([image])]) + "\n" for image in images)
        if stop and rank == world() - 1 and (epoch, step) == (1, stop):
            count = len((folder / f"{run}-{rank}.log").read_text().splitlines())
            while not have_logged(folder, run, range(rank), count):  # since a launcher ends them when this one dies
                time.sleep(0.01)
            (folder / "killed").write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)

    LOOPS[loop](folder, watch)


# What starts and judges them -----------------------------------------------------------------------------------------


def start(loop: str, launcher: str, ranks: int, folder: Path, run: str, stop: int = 0) -> list[processes.Process]:
    """Start a run; gives the processes to wait for."""
    command, environments = [sys.executable, "-W", "ignore"], processes.group(ranks)
    if launcher == "torchrun":
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        environments = processes.group(1)
    return processes.start(
        [*command, "-m", __spec__.name, loop, str(folder), run, str(stop)], environments, folder, run
    )


def read_samples(folder: Path, run: str) -> Iterator[tuple[int, str]]:
    """Epoch and digest of each sample that all ranks of a run have trained on."""
    for log in folder.glob(f"{run}-*.log"):
        yield from (tuple(json.loads(line)) for line in log.read_text().splitlines())


def all_samples() -> Counter[tuple[int, str]]:
    """Epoch and digest of each sample of a run on one rank that is never stopped, each once."""
    loader = data.loaders(ROWS, rank=0, world_size=1).train
    return Counter((epoch, digest([image])) for epoch in range(EPOCHS) for x, _ in loader for image in x)


def study(loop: str, launcher: str, ranks: int, folder: Path, others: tuple[int, ...] = (1, 3)) -> dict[str, Any]:
    """Kill a rank, then resume on other numbers of ranks.

    Gives the seconds after which all ranks had ended, and for each number of ranks whether each sample came once in
    each epoch, those of the epoch that was cut too. Raises `AssertionError` where ranks hang, or end without a word.
    """
    cut = folder / "cut"
    cut.mkdir(parents=True)
    statuses = processes.wait(start(loop, launcher, ranks, cut, "cut", stop=1), LIMIT)
    seconds = time.time() - float((cut / "killed").read_text())
    words = "".join(output.read_text() for output in cut.glob("*.out"))
    if 0 in statuses or LAST_WORDS[loop, launcher] not in words:
        raise AssertionError(f"ranks must end with an error that says why, but ended with {statuses}: {words[-1000:]}")
    equal = {}
    for count in others:
        again = folder / f"{count}"
        again.mkdir()
        for file in cut.glob("run.*"):
            (again / file.name).write_bytes(file.read_bytes())
        resumed = start(loop, launcher if count > 1 else "by hand", count, again, "again")
        if any(processes.wait(resumed, LIMIT)):
            raise AssertionError((again / "again-0.out").read_text()[-1000:])
        samples = Counter([*read_samples(cut, "cut"), *read_samples(again, "again")])
        equal[str(count)] = samples == all_samples()
    return {"seconds": round(seconds, 1), "resumed": equal}


def rows(ranks: int = 2) -> Iterator[dict[str, Any]]:
    """A row of the result for each loop and each way to start its ranks."""
    for loop, launcher in LAST_WORDS:
        head = {"name": loop, "setting": f"{ranks} ranks, {launcher}"}
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = study(loop, launcher, ranks, Path(folder))
            except Exception as error:
                yield {**head, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
                continue
        wrong = [f"others ended after {found['seconds']} s"] if found["seconds"] > SECONDS else []
        wrong += [f"not each sample once when resumed on {n}" for n, equal in found["resumed"].items() if not equal]
        yield (
            {**head, "status": "wrong", "reason": "; ".join(wrong)}
            if wrong
            else {
                **head,
                "status": "measured",
                **found,
            }
        )


if __name__ == "__main__":
    main()
