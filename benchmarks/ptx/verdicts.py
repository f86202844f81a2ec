"""What became of mutants, counted: how many of them the tests notice, and why they do not notice the others.

Of a mutant that no test notices, it is found out why:

- `same result`: the changed instruction never computes another result in these tests than the one that it replaces.
  Such a mutant is set apart: it is no fault as far as anything here could tell.
- `same outputs`: it does, and yet every launch leaves the same bytes.
- `within tolerance`: outputs differ, by as much as is said, and less than the tests allow.
"""

from collections.abc import Sequence
from typing import Any

from ..measuring.results import commit

LEAST_NOTICED = 0.92
"""Of the mutants that are not set apart."""
REASONS: dict[tuple[str, str], str] = {
    ("tl.floor(h[0] * over + 0.5)", "0d3FE0000000000000"): "what moves whole pixels is far nearer to a whole number",
    ("permutes = permutes &", "selp.b16"): "a truth: it is only asked whether it is 0",
    ("row, column = point // columns", "or.b64"): "whether numbers need more than 32 bits: an image of 4 G pixels",
    ("tl.where(hit, 0.0, r)", "selp.b32"): "zero and the least float, as bits of an integer",
    ("tl.load(p, mask=kept", "mov.b32"): "what is read for a pixel beyond the image is not stored",
    ("mask=seen, other=0", "mov.u16"): "what is read for a pixel that is not seen is not used",
    ("tl.minimum(least_", "0d7FF0000000000000"): "infinite, or nearly",
    ("left, top = right * 0 + 0.5", "0d3FE0000000000000"): "a corner moved by an eighth of a pixel",
    ("turns += tl.where((crop", "selp.b32"): "it is only asked whether the number of turns is even",
    ("hit = (column + 0.5", "selp.b16"): "a truth: it is only asked whether it is 0",
    (
        "word += tl.where((aligned == 0)",
        "selp.b32",
    ): "data that begins no word is not tried in the variant for gigabytes",
    ("power = 255 * tl.exp2", "-1060439283"): "a logarithm is off in its last digit",
    (
        "power = 255 * tl.exp2",
        "0f4B000000",
    ): "the logarithm of what is smaller than any normal number: it is of 1/255..1",
    ("over = 1 / w", "div.rn.f64"): "w is 1 wherever whole pixels move",
    ("row, column = point // columns", "setp.ne.b64"): "by 64 bits or by 32, the quotient is the same",
    ("least_w, most_w", "0d0000000000000000"): "no drawn map is behind all of the image",
    ("tl.store(target + 1", "st.global.b32"): "all threads store the same number",
}
"""Why no test could notice a change: by a piece of the line of Python, and a piece of the change."""
SAME_RESULT, SAME_OUTPUTS, WITHIN_TOLERANCE = "same result", "same outputs", "within tolerance"


def result(rows: Sequence[dict[str, Any]], target: str, compiler: str, seed: int) -> dict[str, Any]:
    """The JSON of a study: the figures of each kernel and of all, and every mutant that no test notices."""
    names = [*dict.fromkeys(row["kernel"] for row in rows)]
    kernels = [_figures(name, [row for row in rows if row["kernel"] == name]) for name in names]
    return {
        "target": target,
        "compiler": compiler,
        "commit": commit(),
        "seed": seed,
        "kernels": [*kernels, _figures("all", rows)],
        "kinds": [_figures(kind, [row for row in rows if row["kind"] == kind]) for kind in sorted(_kinds(rows))],
        "not noticed": [row for row in rows if not row["noticed"]],
    }


def _kinds(rows: Sequence[dict[str, Any]]) -> set[str]:
    return {row["kind"] for row in rows}


def _figures(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many mutants there are, are set apart, and are noticed, and the share of these in the others."""
    apart, noticed = sum(row["why"] == SAME_RESULT for row in rows), sum(bool(row["noticed"]) for row in rows)
    share = round(noticed / (len(rows) - apart), 4) if len(rows) > apart else 1.0
    return {"name": name, "mutants": len(rows), "same": apart, "noticed": noticed, "share": share}


def table(found: dict[str, Any]) -> str:
    """Markdown: the figures by kernel and by kind of change, and what no test notices, with the reason."""
    head = f"{found['target']}, counted, not timed"
    lines = [f"| {head} | mutants | set apart | noticed | of the others |", "|---|--:|--:|--:|--:|"]
    for one in [*found["kernels"][:-1], *found["kinds"], found["kernels"][-1]]:
        cells = f"{one['mutants']:,} | {one['same']:,} | {one['noticed']:,} | {one['share']:.1%}"
        lines.append(f"| {one['name'].replace('_', ' ')} | {cells} |")
    lines += ["", "| not noticed | change | line | why |", "|---|---|---|---|"]
    for row in sorted(found["not noticed"], key=lambda row: (row["why"] == SAME_RESULT, row["kernel"])):
        change, line = (row[name].replace("|", "\\|") for name in ("change", "line"))
        lines.append(f"| {row['kernel'].replace('_', ' ')} | `{change}` | `{line or row['place']}` | {_reason(row)} |")
    lines += ["", f"{found['compiler']}; commit {found['commit']}; seed {found['seed']}."]
    return "\n".join(lines) + "\n"


def _reason(row: dict[str, Any]) -> str:
    """Why a mutant is not noticed: what was found out, and the words of `REASONS` where it has some."""
    return f"{row['why']}; {words}" if (words := explain(row)) else row["why"]


def explain(row: dict[str, Any]) -> str:
    """The words for a mutant that no test notices; nothing where nobody has written any."""
    for (line, change), words in REASONS.items():
        if line in row["line"] and change in row["change"]:
            return words
    return ""
