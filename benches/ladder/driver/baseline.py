"""The counts that later changes are held to."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from driver.process import Failure
from driver.tools import ROOT

FILE = ROOT / "benches/ladder/baseline.json"

# A rung that costs this much more than in the baseline fails the check.
WORSE = 0.03


@dataclass
class Baseline:
    """What was counted, and with what."""

    counter: str
    profile: str
    compiler: str
    commit: str
    rungs: dict[str, float]


def compiler() -> str:
    """Version and target of the compiler: another one makes other instructions."""
    told = subprocess.run(["rustc", "-vV"], cwd=ROOT, capture_output=True, text=True)
    if told.returncode != 0:
        raise Failure(f"rustc -vV has failed:\n{told.stderr}")
    facts = dict(line.split(": ", 1) for line in told.stdout.splitlines() if ": " in line)
    return f"rustc {facts['release']} {facts['host']}"


def load(path: Path = FILE) -> Baseline:
    """What was saved."""
    try:
        return Baseline(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise Failure(f"there is no {path}: make one with --save") from None


def save(baseline: Baseline, path: Path = FILE):
    """Keeps counts; those of rungs that were not counted now stay as they were, if they were made in the same way."""
    kept = {}
    if path.exists():
        old = load(path)
        if comparable(old, baseline) is None and old.compiler == baseline.compiler:
            kept = old.rungs
    whole = {**vars(baseline), "rungs": {name: round(count) for name, count in {**kept, **baseline.rungs}.items()}}
    path.write_text(json.dumps(whole, indent=1) + "\n")


def comparable(old: Baseline, new: Baseline) -> "str | None":
    """Why two of them can't be held side by side."""
    for name in ("counter", "profile"):
        if getattr(old, name) != getattr(new, name):
            return f"the baseline was made with {name} {getattr(old, name)}, this with {getattr(new, name)}"
    return None


def worse(old: Baseline, new: Baseline) -> list[str]:
    """What fails the check, in words."""
    return [
        f"{name}: {count:,.0f} instructions instead of {old.rungs[name]:,.0f}, {count / old.rungs[name] - 1:+.1%}"
        for name, count in new.rungs.items()
        if name in old.rungs and count > old.rungs[name] * (1 + WORSE)
    ]
