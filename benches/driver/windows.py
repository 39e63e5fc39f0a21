"""An open loop's load in windows, with and without something that disturbs it, and what all windows of a kind say together."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from .backend import Backend
from .process import Failure, Process
from .tools import Tools

QUANTILES = {"p50": 0.50, "p99": 0.99, "p999": 0.999}

# The client's patience.
LIMIT = 3.0
_LOOK = 0.25
# A window in which the generator noticed more than this share of its requests over a millisecond late says nothing about the 99th percentile.
_MOST_LAGGED = 0.005


@dataclass
class Window:
    """What the client saw. With a problem it does not count."""

    disturbed: bool
    due: int
    sent: int
    answered: int
    errors: dict[str, int]
    late: int
    lagged: int
    worst_lag_us: int
    opened: int
    latency_us: list[int] = field(repr=False)
    problem: "str | None" = None


class Loop:
    """Asks at a rate, whatever the answers do (benches/isolation/load.rs)."""

    def __init__(self, program: str, tools: Tools, core: int, folder: Path, rate: float):
        self._program, self._tools, self._core, self._folder, self.rate = program, tools, core, folder, rate

    def window(
        self, address: str, path: str, disturbed: bool, warm_up: float, seconds: float, look: Callable[[], None] = lambda: None, post_every: "int | None" = None,
    ) -> Window:
        """One window. What is looked at is looked at now and then."""
        out = self._folder / "load.json"
        out.unlink(missing_ok=True)
        argv = [
            self._program, "load", "--address", address, "--path", path, "--rate", str(self.rate), "--warm-up", str(warm_up),
            "--seconds", str(seconds), "--limit", str(LIMIT), "--out", str(out), *(["--post-every", str(post_every)] if post_every else []),
        ]
        with Process("the load", argv, self._core, self._folder / "load.out", self._tools.env) as process:
            end = time.monotonic() + warm_up + seconds
            while time.monotonic() < end and process.running():
                look()
                time.sleep(_LOOK)
            process.wait(LIMIT + 15)
        window = Window(disturbed=disturbed, **json.loads(out.read_text()))
        if window.lagged > _MOST_LAGGED * window.due:
            window.problem = f"the generator itself was more than 1 ms late for {window.lagged / window.due:.1%} of the requests"
        return window

    def check(self, backend: Backend):
        """The load must see a backend that stands still for 100 ms of each second as its clients would: each request of that time waits."""
        backend.behave("pause")
        latency = sorted(self.window(f"127.0.0.1:{backend.port}", "/", False, 0.5, 3).latency_us)
        backend.behave("healthy")
        waited = sum(1 for each in latency if each > 10_000) / len(latency)
        worst = latency[int(len(latency) * 0.999)] / 1000
        if waited < 0.07 or worst < 85:
            raise Failure(f"the load is blind: a backend that pauses for 100 ms of each second made {waited:.1%} wait, p99.9 {worst:.1f} ms")


def counted(windows: list[Window], disturbed: bool) -> list[Window]:
    """The windows of a kind that count."""
    return [window for window in windows if window.disturbed == disturbed and window.problem is None]


def pooled(windows: list[Window], disturbed: bool, wanted: int) -> "dict[str, float] | None":
    """The percentiles in ms of all windows of a kind; none if fewer count than half of those that were wanted."""
    count = counted(windows, disturbed)
    pool = sorted(us for window in count for us in window.latency_us)
    if not pool or len(count) < wanted / 2:
        return None
    return {name: pool[min(len(pool) - 1, int(len(pool) * share))] / 1000 for name, share in QUANTILES.items()}


def errors(windows: list[Window]) -> dict[str, int]:
    """What the client saw go wrong, by kind."""
    found: dict[str, int] = {}
    for window in windows:
        for kind, number in window.errors.items():
            found[kind] = found.get(kind, 0) + number
    return found


def growth(memory: list[tuple[float, float]]) -> "float | None":
    """Least squares of memory (MiB) over seconds, in MiB for ten seconds."""
    if len(memory) < 2:
        return None
    middle_at, middle_mib = (sum(column) / len(memory) for column in zip(*memory))
    square = sum((at - middle_at) ** 2 for at, _ in memory)
    return 10 * sum((at - middle_at) * (mib - middle_mib) for at, mib in memory) / square
