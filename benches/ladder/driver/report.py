"""What was counted: a table to read, the same in Markdown, and everything as JSON."""

from dataclasses import asdict
from pathlib import Path

from driver import paper
from driver.paper import aligned, piped

from .baseline import Baseline
from .measure import Count
from .rungs import RUNGS, Rung, base

_HEAD = ["rung", "what", "instructions/request", "step", "/ bare", "serving", "lab", "baseline"]


def total(rung: Rung, count: Count) -> float:
    """What a rung stands for, of what was counted."""
    return count.serving if rung.serving_only else count.all


def rungs(counts: dict[str, Count]) -> dict[str, float]:
    """The figure of each rung that was counted."""
    return {rung.name: total(rung, counts[rung.name]) for rung in RUNGS if rung.name in counts}


def table(counts: dict[str, Count], old: "Baseline | None") -> str:
    """For a terminal."""
    return aligned(_HEAD, _rows(counts, old))


def markdown(counts: dict[str, Count], old: "Baseline | None", facts: dict) -> str:
    """For a README."""
    lines = [
        f"{facts['date']}, commit {facts['commit']}, profile {facts['profile']}, {facts['compiler']}, counted by {facts['counter']}"
        f" over {facts['requests']:,} requests a rung (10 KB: an eighth); {facts['cpu']}, {facts['system']}.",
        "",
        *piped(_HEAD, _rows(counts, old)),
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, counts: dict[str, Count], old: "Baseline | None", facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    found = rungs(counts)
    rows = [{"rung": name, "instructions": found[name], **asdict(counts[name])} for name in found]
    return paper.write(folder, "ladder", {"about": facts, "rows": rows}, markdown(counts, old, facts))


def _rows(counts: dict[str, Count], old: "Baseline | None") -> list[list[str]]:
    found = rungs(counts)
    rows = []
    for rung in (rung for rung in RUNGS if rung.name in found):
        count, here, below = counts[rung.name], found[rung.name], base(rung)
        rows.append([
            rung.name, rung.says, f"{here:,.0f}",
            f"{here - found[below]:+,.0f}" if below in found else "",
            f"{here / found['bare']:.2f}" if "bare" in found else "",
            f"{count.serving:,.0f}", f"{count.lab:,.0f}" if count.lab >= 1 else "",
            f"{here / old.rungs[rung.name] - 1:+.1%}" if old and rung.name in old.rungs else "",
        ])
    return rows
