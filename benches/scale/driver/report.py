"""What a run gave: tables to read, the same in Markdown, and everything as JSON."""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Callable

from driver import paper
from driver.paper import aligned, circumstances, piped
from driver.proxies import TITLES

from .growth import Case
from .rows import Row, Rows, bounds

_GROWTH = ["connections", "routes", "proxy", "CPU/request", "/ few", "requests/s", "p50", "p99", "memory", "core", "spread", "rounds"]
_IDLE = ["proxy", "KiB a connection", "memory before", "memory after", "rounds"]
_RELOAD = ["proxy", "reloads", "in force after", "at most", "requests", "p50 without", "p50", "p99 without", "p99", "memory before", "after 20", "after all", "rounds"]
_BOUNDS = ["bound", "figure", "at most", "goal", ""]


def table(rows: Rows) -> str:
    """For a terminal."""
    parts = [aligned(head, cells, left) for head, cells, left in _tables(rows)]
    return "\n\n".join([*parts, "\n".join(_notes(rows))])


def markdown(rows: Rows, facts: dict) -> str:
    """For a README."""
    lines = circumstances(facts, f"{facts['rounds']} rounds of {facts['seconds']:g} s")
    for head, cells, left in _tables(rows):
        lines += ["", *piped(head, cells, left)]
    return "\n".join([*lines, "", *[f"- {note}" for note in _notes(rows)]]) + "\n"


def write(folder: Path, rows: Rows, facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    whole = {
        "about": facts,
        "growth": [{**asdict(case), "ratio": rows.ratio(case), **_as_json(row)} for case, row in rows.growth.items()],
        "idle": [{"proxy": name, **_as_json(row)} for name, row in rows.idle.items()],
        "reload": [{"proxy": name, **_as_json(row)} for name, row in rows.reload.items()],
        "bounds": [{**asdict(bound), "word": bound.word()} for bound in bounds(rows)],
    }
    return paper.write(folder, "scale", whole, markdown(rows, facts))


def _as_json(row: Row) -> dict:
    samples = [asdict(sample) for sample in row.samples]
    figures = [name for name in samples[0] if name != "problem"]
    return {"median": {name: row.middle(name) for name in figures}, "samples": samples}


def _tables(rows: Rows) -> list[tuple[list[str], list[list[str]], int]]:
    found = [
        (_GROWTH, [_growth(rows, case, row) for case, row in rows.growth.items()], 3),
        (_IDLE, [_idle(name, row) for name, row in rows.idle.items()], 1),
        (_RELOAD, [_reload(name, row) for name, row in rows.reload.items()], 1),
        (_BOUNDS, [[found.what, *(found.form.format(number) for number in (found.figure, found.at_most, found.goal)), found.word()] for found in bounds(rows)], 1),
    ]
    return [table for table in found if table[1]]


def _figures(row: Row) -> Callable[[str, str], str]:
    def figure(name: str, form: str) -> str:
        value = row.middle(name)
        return "-" if value is None else form.format(value)

    return figure


def _growth(rows: Rows, case: Case, row: Row) -> list[str]:
    figure, ratio, spread = _figures(row), rows.ratio(case), row.spread("cpu_us")
    return [
        f"{case.connections:,}", f"{case.routes:,}", TITLES[case.proxy], figure("cpu_us", "{:.1f} us"), "-" if ratio is None else f"{ratio:.3f}",
        figure("per_second", "{:,.0f}"), figure("p50_ms", "{:.2f} ms"), figure("p99_ms", "{:.2f} ms"), figure("rss_mib", "{:.1f} MiB"),
        figure("core_share", "{:.0%}"), "-" if spread is None else f"{spread:.0%}", _rounds(row),
    ]


def _idle(name: str, row: Row) -> list[str]:
    figure = _figures(row)
    return [TITLES[name], figure("kib", "{:.1f}"), figure("rss_before_mib", "{:.1f} MiB"), figure("rss_after_mib", "{:.1f} MiB"), _rounds(row)]


def _reload(name: str, row: Row) -> list[str]:
    figure = _figures(row)
    return [
        TITLES[name], figure("reloads", "{:.0f}"), figure("arrival_p50_ms", "{:.0f} ms"), figure("arrival_max_ms", "{:.0f} ms"), figure("requests", "{:,.0f}"),
        figure("p50_without_ms", "{:.2f} ms"), figure("p50_ms", "{:.2f} ms"), figure("p99_without_ms", "{:.2f} ms"), figure("p99_ms", "{:.2f} ms"),
        figure("rss_before_mib", "{:.1f} MiB"), figure("rss_first_mib", "{:.1f} MiB"), figure("rss_after_mib", "{:.1f} MiB"), _rounds(row),
    ]


def _rounds(row: Row) -> str:
    return f"{len(row.counted)}/{len(row.samples)}"


def _notes(rows: Rows) -> list[str]:
    """What a reader must know to judge the figures."""
    named = [
        *((f"{case.connections:,} connections, {case.routes:,} routes, {TITLES[case.proxy]}", row) for case, row in rows.growth.items()),
        *((f"idle connections, {TITLES[name]}", row) for name, row in rows.idle.items()),
        *((f"reloads, {TITLES[name]}", row) for name, row in rows.reload.items()),
    ]
    notes = [f"{where}: {problem}." for where, row in named for problem in row.problems()]
    others = [sample.others_share for row in rows.growth.values() for sample in row.counted]
    if others:
        notes.append(f"Of the proxy's core everybody else took {median(others):.0%} in the median measurement of CPU time and {max(others):.0%} in the worst.")
    return notes
