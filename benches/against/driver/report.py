"""What a run gave: a table to read, the same in Markdown, and everything as JSON."""

from dataclasses import asdict
from pathlib import Path
from statistics import median

from driver import paper
from driver.paper import aligned, circumstances, piped

from .rows import Row, Rows, reached

_HEAD = ["work", "proxy", "CPU/request", "/ nginx", "/ HAProxy", "/ Envoy", "requests/s", "p50", "p99", "memory", "core", "shed", "spread", "rounds"]
_PEERS = ("nginx", "haproxy", "envoy")


def table(rows: Rows) -> str:
    """For a terminal."""
    text = aligned(_HEAD, [_cells(rows, row) for row in rows.all.values()])
    bounds = [f"  {found.work()}: {found.ratio:.3f} (at most {found.target.at_most:.2f}, goal {found.target.goal:.2f}): {found.word()}" for found in reached(rows)]
    return "\n".join([text, "", *[f"  {note}" for note in _notes(rows)], *(["", "Targets:"] + bounds if bounds else [])])


def markdown(rows: Rows, facts: dict) -> str:
    """For a README."""
    lines = [
        *circumstances(facts, f"{facts['rounds']} rounds of {facts['seconds']:g} s"),
        "",
        *piped(_HEAD, [_cells(rows, row) for row in rows.all.values()]),
        "",
        *[f"- {note}" for note in _notes(rows)],
    ]
    bounds = reached(rows)
    if bounds:
        lines += ["", "| target | ratio | at most | goal | |", "|---|---:|---:|---:|---|"]
        lines += [f"| {found.work()} | {found.ratio:.3f} | {found.target.at_most:.2f} | {found.target.goal:.2f} | {found.word()} |" for found in bounds]
    return "\n".join(lines) + "\n"


def write(folder: Path, rows: Rows, facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    return paper.write(folder, "against", {"about": facts, "rows": [_as_json(rows, row) for row in rows.all.values()]}, markdown(rows, facts))


def _as_json(rows: Rows, row: Row) -> dict:
    return {
        **asdict(row.case),
        "rate": row.rate,
        "median": {name: row.middle(name) for name in ("cpu_us", "per_second", "p50_ms", "p99_ms", "peak_mib", "core_share", "shed")},
        "cpu_spread": row.spread(),
        "cpu_ratio": {peer: rows.ratio(row, peer) for peer in _PEERS},
        "samples": [sample.as_json() for sample in row.samples],
    }


def _cells(rows: Rows, row: Row) -> list[str]:
    def figure(name: str, form: str) -> str:
        value = row.middle(name)
        return "-" if value is None else form.format(value)

    ratios = [rows.ratio(row, peer) for peer in _PEERS]
    spread = row.spread()
    return [
        row.work(), row.title(), figure("cpu_us", "{:.1f} us"),
        *["" if ratio is None else f"{ratio:.2f}" for ratio in ratios],
        figure("per_second", "{:,.0f}"), figure("p50_ms", "{:.2f} ms"), figure("p99_ms", "{:.2f} ms"), figure("peak_mib", "{:.1f} MiB"),
        figure("core_share", "{:.0%}"), figure("shed", "{:.1%}") if row.case.mirrors else "", "-" if spread is None else f"{spread:.0%}", f"{len(row.counted)}/{len(row.samples)}",
    ]


def _notes(rows: Rows) -> list[str]:
    """What a reader must know to judge the figures."""
    notes = []
    for row in rows.all.values():
        where = f"{row.work()}, {row.title()}"
        for problem in sorted(set(row.problems)):
            notes.append(f"{where}: {row.problems.count(problem)} of {len(row.samples)} rounds do not count: {problem}.")
    mirrors = [row for row in rows.all.values() if row.case.mirrors and row.case.proxy == "nginx" and row.middle("new_requests")]
    if mirrors:
        opened = [row.middle("new_connections") / row.middle("new_requests") for row in mirrors]
        notes.append(f"By its design nginx opened {min(opened):.2f} connections or more for each copy that it made.")
    samples = [sample for row in rows.all.values() for sample in row.counted]
    if samples:
        others = [sample.others_share for sample in samples]
        notes.append(
            f"Of the proxy's core everybody else took {median(others):.0%} in the median round and {max(others):.0%} in the worst"
            + (": requests a second and latency are not those of a quiet machine, and CPU times are less exact." if median(others) > 0.05 else ".")
        )
    return notes
