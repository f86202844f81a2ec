"""The JSON of a run on a GPU, written anew after each figure, and the table that is made of it."""

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SAME = ("machine", "device", "torch", "back ends", "sources")
"""What figures of one report have in common."""


@dataclass(frozen=True)
class Report:
    """A file: the machine, how each part ended, and what was found. Read whenever it is asked, since parts write it."""

    path: Path

    @classmethod
    def open(cls, folder: Path, machine: dict[str, Any], dry: bool) -> "Report":
        """The report in `folder` of this machine and these sources; one of others is put aside under another name."""
        folder.mkdir(parents=True, exist_ok=True)
        name = "dry" if dry else f"gpu--{platform.machine()}--{machine['device'].replace(' ', '-')}"
        report = cls(folder / f"{name}.json")
        known = report.read().get("machine", machine)
        if any(known[field] != machine[field] for field in SAME):
            old = report.path.with_name(f"{name}--{known['sources']}.json")
            report.path.replace(old)
            print(f"{report.path} is of other sources or another machine: it is put aside as {old.name}")
        report.write(machine=machine)
        return report

    def read(self) -> dict[str, Any]:
        """The whole JSON as it is now; empty where there is no file yet."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def write(self, **values: Any) -> None:
        """Put values beside those that are there, all or nothing."""
        text = json.dumps({**self.read(), **values}, indent=1) + "\n"
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.path)

    def put(self, field: str, name: str, value: Any) -> None:
        """Put a value under a name in a field."""
        self.write(**{field: {**self.read().get(field, {}), name: value}})

    def end(self, part: str, state: str) -> None:
        """Say how a part ended; the table beside the JSON is made anew where there are figures."""
        self.put("parts", part, state)
        if any("median" in figure for group in self.groups().values() for figure in group["figures"]):
            self.path.with_suffix(".md").write_text(self.table())

    def state(self, part: str) -> str:
        """How a part ended; `not begun` where it has not."""
        return str(self.read().get("parts", {}).get(part, "not begun"))

    def groups(self) -> dict[str, Any]:
        """What was measured together, by name: when, and the figures."""
        return dict(self.read().get("groups", {}))

    def figures(self, group: str, figures: list[dict[str, Any]], images: str) -> None:
        """Put the figures of a group, over `images`: photos or noise."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        self.put("groups", group, {"at": now, "images": images, "figures": figures})

    def table(self) -> str:
        """The figures as Markdown; beside others, by how many times ours is faster in the same rounds."""
        lines = ["| | images | microseconds (quartiles) | images/s | ours is faster by |", "|---|--:|--:|--:|--:|"]
        for group in self.groups().values():
            rates = {f["name"]: f["images_per_second"] for f in group["figures"] if "median" in f}
            for f in group["figures"]:
                if "median" in f:
                    span = f"{f['median']:,.1f} ({f['lower']:,.1f} to {f['upper']:,.1f})"
                    rate, beside = f["images_per_second"], f["beside"]
                    times = "" if beside is None else f"{rates[beside] / rate:,.1f} x"
                    lines.append(f"| {f['name']} | {f['images']} | {span} | {rate:,.0f} | {times} |")
        whole = self.read()
        states = {name: state for name, state in whole.get("parts", {}).items() if state != "done"}
        reasons = {**states, **whole.get("skipped", {})}
        return (
            "\n".join([*lines, "", *(f"Not measured: {name} ({reason})." for name, reason in reasons.items())]) + "\n"
        )
