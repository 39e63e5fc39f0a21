"""What a run gave: a table to read, the same in Markdown, and everything as JSON."""

from pathlib import Path

from driver import paper
from driver.paper import aligned, circumstances, piped
from driver.proxies import TITLES

from . import outage
from .counts import ends, listed
from .faults import CONTROL
from .rows import Judged

_HEAD = [
    "shadow", "proxy", "p50 off", "fault", "p99 off", "fault", "ratio", "at most", "p99.9 off", "fault", "p99 is",
    "memory off", "fault", "in 10 s", "memory is", "errors", "late", "opened", "windows",
]


def table(rows: list[Judged], outages: list[outage.Row]) -> str:
    """For a terminal."""
    lines = [aligned(_HEAD, [_cells(row) for row in rows])] if rows else []
    lines += ["", aligned(outage.HEAD, [outage.cells(row) for row in outages], 1)] if outages else []
    return "\n".join([*lines, "", *[f"  {note}" for note in [*_notes(rows), *outage.notes(outages)]]])


def markdown(rows: list[Judged], outages: list[outage.Row], facts: dict) -> str:
    """For a README."""
    extent = f"{facts['rate']:g} requests a second, {facts['windows']} windows of {facts['seconds']:g} s each"
    lines = circumstances(facts, extent)
    lines += ["", *piped(_HEAD, [_cells(row) for row in rows])] if rows else []
    lines += ["", *piped(outage.HEAD, [outage.cells(row) for row in outages], 1)] if outages else []
    return "\n".join([*lines, "", *[f"- {note}" for note in [*_notes(rows), *outage.notes(outages)]]]) + "\n"


def write(folder: Path, rows: list[Judged], outages: list[outage.Row], facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    results = {"about": facts, "rows": [_as_json(row) for row in rows], "outages": [row.as_json() for row in outages]}
    return paper.write(folder, "isolation", results, markdown(rows, outages, facts))


def _as_json(judged: Judged) -> dict:
    return {
        **judged.row.as_json(),
        "off": judged.off, "with_fault": judged.fault, "ratio": judged.ratio, "allowed_ms": judged.allowed_ms, "p99_is": judged.latency_word(),
        "memory_fault": judged.memory_fault, "growth_mib_in_10_s": judged.growth, "memory_is": judged.memory_word(),
    }


def _cells(judged: Judged) -> list[str]:
    row = judged.row

    def form(value: "float | None", text: str) -> str:
        return "-" if value is None else text.format(value)

    def time(side: "dict[str, float] | None", name: str) -> str:
        return "-" if side is None else f"{side[name]:.2f} ms"

    control = row.fault is CONTROL
    under = judged.windows(True)
    due = sum(window.due for window in under)
    errors, late = sum(judged.errors().values()), sum(window.late for window in under)
    counted = sum(1 for window in row.windows if window.problem is None)
    return [
        row.fault.title, TITLES[row.proxy], time(judged.off, "p50"), time(judged.fault, "p50"), time(judged.off, "p99"), time(judged.fault, "p99"),
        form(judged.ratio, "{:.2f}"), "" if control else form(judged.allowed_ms, "{:.2f} ms"), time(judged.off, "p999"), time(judged.fault, "p999"),
        judged.latency_word(), form(row.memory_off, "{:.1f} MiB"), form(judged.memory_fault, "{:.1f} MiB"), form(judged.growth, "{:+.1f} MiB"),
        judged.memory_word(), f"{errors:,}", f"{late / due:.1%}" if due else "-", f"{sum(window.opened for window in under):,}", f"{counted}/{len(row.windows)}",
    ]


def _notes(rows: list[Judged]) -> list[str]:
    """What a reader must know to judge the figures."""
    notes = []
    for judged in rows:
        row = judged.row
        where = f"{row.fault.title}, {TITLES[row.proxy]}"
        notes += paper.troubles(where, row.problem, [window.problem for window in row.windows])
        if row.windows and judged.crowded():
            notes.append(f"{where}: memory is not judged: in the first window, with the shadow off, {row.windows[0].opened:,} connections were added.")
        if judged.errors():
            notes.append(f"{where}: the client saw " + paper.kinds(judged.errors()) + ".")
        notes += [f"{where}: counted wrongly: {wrong}." for wrong in row.miscounted]
    for row in (judged.row for judged in rows if judged.row.counts):
        counted = row.counts
        notes.append(
            f"crossfade counted, {row.fault.title}: {sum(counted['sampled'].values()):,.0f} sampled; dropped: {listed(counted['dropped'])}; "
            f"ended: {listed(ends(counted))}."
        )
    for row in (judged.row for judged in rows if judged.row.fault is not CONTROL and judged.row.seen):
        notes.append(f"{row.fault.title}, {TITLES[row.proxy]}: the shadow saw {row.seen['requests']:,} requests on {row.seen['connections']:,} connections.")
    return notes
