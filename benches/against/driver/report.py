"""What a run gave: a table to read, the same in Markdown, and everything as JSON."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from .proxies import CROSSFADE, TITLES
from .rows import Row, Rows, reached
from .tools import ROOT, Tools

_HEAD = ["work", "proxy", "CPU/request", "/ nginx", "/ HAProxy", "/ Envoy", "requests/s", "p50", "p99", "memory", "core", "shed", "spread", "rounds"]
_PEERS = ("nginx", "haproxy", "envoy")
BEGIN, END = "<!-- against: begin -->", "<!-- against: end -->"


def about(tools: Tools, rounds: int, seconds: float) -> dict:
    """When, where and with what a run was made."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown") if hasattr(platform, "freedesktop_os_release") else "unknown",
        "load_at_start": os.getloadavg()[0],
        "commit": _commit(),
        "versions": tools.versions,
        "rounds": rounds,
        "seconds": seconds,
    }


def table(rows: Rows) -> str:
    """For a terminal."""
    lines = [_HEAD] + [_cells(rows, row) for row in rows.all.values()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]

    def aligned(line: list[str]) -> str:
        return "  ".join(cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in enumerate(zip(line, widths))).rstrip()

    text = "\n".join(aligned(line) for line in lines)
    bounds = [f"  {found.work()}: {found.ratio:.3f} (at most {found.target.at_most:.2f}, goal {found.target.goal:.2f}): {found.word()}" for found in reached(rows)]
    return "\n".join([text, "", *[f"  {note}" for note in _notes(rows)], *(["", "Targets:"] + bounds if bounds else [])])


def markdown(rows: Rows, facts: dict) -> str:
    """For a README."""
    versions = ", ".join(f"{TITLES.get(name, name)} {version}" for name, version in facts["versions"].items())
    lines = [
        f"{facts['date']}, commit {facts['commit']}; {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, {facts['system']}.",
        f"{versions}. {facts['rounds']} rounds of {facts['seconds']:g} s; load of the machine before: {facts['load_at_start']:.1f}.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|---|---|" + "---:|" * (len(_HEAD) - 2),
        *["| " + " | ".join(_cells(rows, row)) + " |" for row in rows.all.values()],
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
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_markdown = folder / "against.json", folder / "against.md"
    as_json.write_text(json.dumps({"about": facts, "rows": [_as_json(rows, row) for row in rows.all.values()]}, indent=1) + "\n")
    as_markdown.write_text(markdown(rows, facts))
    return [as_json, as_markdown]


def into_readme(path: Path, text: str) -> bool:
    """Puts a table between the marks of a file; false if it has none."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return False
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
    return True


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


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "unknown"
