"""A run of the instrumented program under varied traffic, which leaves a profile."""

import asyncio
import os
import shutil
from pathlib import Path

from driver.process import Failure
from driver.proxies import CROSSFADE, started
from driver.tools import Tools, say

from .clients import ask
from .sides import sides

_FILE = Path(__file__).resolve().parents[1] / "training.toml"
# Some twenty seconds. A profile tells how often, not how fast: a slow machine learns the same.
_REQUESTS = 48_000
# Of the requests; else the comparison was not trained.
_LEAST_COMPARED = 0.15


def train(program: str, folder: Path) -> "list[Path]":
    """Gives the raw profiles of one run, of which `folder` keeps everything."""
    shutil.rmtree(folder, ignore_errors=True)
    raw = folder / "raw"
    raw.mkdir(parents=True)
    tools = Tools({CROSSFADE: program}, {}, {**os.environ, "LLVM_PROFILE_FILE": str(raw / "%p.profraw")})
    core = sorted(os.sched_getaffinity(0))[-1]
    with sides() as ports, started(CROSSFADE, _FILE, tools, core, folder, ports, "/other/ready") as proxy:
        say(f"training with {_REQUESTS:,} requests")
        asyncio.run(ask(proxy.port, _REQUESTS))
        compared = proxy.metrics().total("crossfade_comparisons_total")
    if compared < _LEAST_COMPARED * _REQUESTS:
        raise Failure(f"only {compared:.0f} of {_REQUESTS} requests of the training were compared")
    found = sorted(raw.glob("*.profraw"))
    if not found:
        raise Failure(f"the instrumented program has left no profile in {raw}")
    return found
