"""What a run gave: a table to read, the same in Markdown, and everything as JSON."""

from pathlib import Path

from driver import paper
from driver.paper import aligned, circumstances, piped
from driver.windows import counted

from .list import CONTROL
from .rows import Judged

_HEAD = [
    "attack", "honest", "p50 off", "attacked", "p99 off", "attacked", "ratio", "p99 is", "failed", "memory off", "most", "in 10 s", "memory is",
    "closed", "after", "sent by then", "the end is", "windows",
]


def table(rows: list[Judged]) -> str:
    """For a terminal."""
    return "\n".join([aligned(_HEAD, [_cells(row) for row in rows]), "", *[f"  {note}" for note in _notes(rows)]])


def markdown(rows: list[Judged], facts: dict) -> str:
    """For a README."""
    extent = f"{facts['windows']} windows of {facts['seconds']:g} s each"
    return "\n".join([*circumstances(facts, extent), "", *piped(_HEAD, [_cells(row) for row in rows]), "", *[f"- {note}" for note in _notes(rows)]]) + "\n"


def write(folder: Path, rows: list[Judged], facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    return paper.write(folder, "attacks", {"about": facts, "rows": [_as_json(row) for row in rows]}, markdown(rows, facts))


def _as_json(judged: Judged) -> dict:
    return {
        **judged.row.as_json(), "off": judged.off, "attacked": judged.attacked, "ratio": judged.ratio, "noise_ms": judged.noise, "p99_is": judged.latency_word(),
        "memory_most": judged.memory_most, "growth_mib_in_10_s": judged.memory_growth, "memory_is": judged.memory_word(), "end_is": judged.end_word(),
    }


def _cells(judged: Judged) -> list[str]:
    row = judged.row

    def form(value: "float | None", text: str) -> str:
        return "-" if value is None else text.format(value)

    def times(name: str) -> list[str]:
        return ["-" if side is None else f"{side[name]:.2f} ms" for side in (judged.off, judged.attacked)]

    fate = row.fate or {}
    end = ["", "", ""] if row.attack is CONTROL else [
        form(fate.get("closed"), "{:,}"), form(fate.get("closed_after_s"), "{:.2f} s"), form(fate.get("sent_until_closed"), "{:,.0f} B"),
    ]
    return [
        row.attack.title, f"{row.rate:g}/s", *times("p50"), *times("p99"), form(judged.ratio, "{:.2f}"), judged.latency_word(), f"{sum(judged.failed().values()):,}",
        form(row.memory_off, "{:.1f} MiB"), form(judged.memory_most, "{:.1f} MiB"), form(judged.memory_growth, "{:+.1f} MiB"), judged.memory_word(),
        *end, judged.end_word(), f"{len(counted(row.windows, False)) + len(counted(row.windows, True))}/{len(row.windows)}",
    ]


def _notes(rows: list[Judged]) -> list[str]:
    """What a reader must know to judge the figures."""
    notes = []
    for judged in rows:
        row = judged.row
        where = f"{row.attack.title}, {row.rate:g}/s"
        notes += paper.troubles(where, row.problem, [window.problem for window in row.windows])
        if judged.failed():
            notes.append(f"{where}: the honest client saw " + paper.kinds(judged.failed()) + ".")
        if judged.end_word() == "missed":
            notes.append(f"{where}: a connection of the attacker stood for {row.fate['oldest_s']:.1f} s; {row.attack.within:g} s are allowed.")
        if row.refused:
            notes.append(f"{where}: crossfade counted as refused " + ", ".join(f"{reason} {number:,.0f}" for reason, number in sorted(row.refused.items())) + ".")
    return notes
