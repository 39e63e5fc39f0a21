"""How results are written down: the circumstances, and tables for a terminal and for Markdown."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from .process import Failure
from .proxies import TITLES
from .tools import ROOT, Tools


def about(tools: Tools) -> dict:
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
    }


def circumstances(facts: dict, extent: str) -> list[str]:
    """The same as two lines of text; `extent` says how much was measured."""
    versions = ", ".join(f"{TITLES.get(name, name)} {version}" for name, version in facts["versions"].items())
    return [
        f"{facts['date']}, commit {facts['commit']}; {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, {facts['system']}.",
        f"{versions}. {extent}; load of the machine before: {facts['load_at_start']:.1f}.",
    ]


def aligned(head: list[str], rows: list[list[str]], left: int = 2) -> str:
    """A table for a terminal; all columns but the first `left` are aligned at their right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def one(line: list[str]) -> str:
        return "  ".join(cell.ljust(width) if index < left else cell.rjust(width) for index, (cell, width) in enumerate(zip(line, widths))).rstrip()

    return "\n".join(one(line) for line in lines)


def piped(head: list[str], rows: list[list[str]], left: int = 2) -> list[str]:
    """The same in Markdown, line by line."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * left + "---:|" * (len(head) - left), *["| " + " | ".join(row) + " |" for row in rows]]


def troubles(where: str, broken: "str | None", windows: "list[str | None]") -> list[str]:
    """Why a row was broken off, and why some of its windows do not count, each on a line."""
    found = [f"{where}: broken off: {' '.join(broken.split())}"] if broken else []
    problems = [problem for problem in windows if problem]
    if problems:
        found.append(f"{where}: {len(problems)} of {len(windows)} windows do not count: {problems[0]}" + (", ..." if len(problems) > 1 else "."))
    return found


def kinds(counts: dict[str, int]) -> str:
    """How many of each kind."""
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items()))


def into_readme(mark: str, text: str):
    """Puts a text between the marks of benches/README.md, `<!-- MARK: begin -->` and end."""
    path, begin, end = ROOT / "benches/README.md", f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, found_begin, rest = path.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise Failure(f"benches/README.md has no marks for {mark}")
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def write(folder: Path, name: str, results: dict, markdown: str) -> list[Path]:
    """Everything as JSON, and a page of Markdown; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_markdown = folder / f"{name}.json", folder / f"{name}.md"
    as_json.write_text(json.dumps(results) + "\n")
    as_markdown.write_text(markdown)
    return [as_json, as_markdown]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "unknown"
