"""One row: a fresh proxy, windows with the shadow off and with the fault in turn, and the proxy's memory all the while."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from driver.backend import Backend
from driver.process import Failure, resident_kib
from driver.proxies import CROSSFADE, Proxy, started, template
from driver.tools import Tools
from driver.windows import Loop, Window, counted

from . import counts
from .counts import Counts
from .faults import CONTROL, Fault

PEERS = Path(__file__).resolve().parents[1] / "peers"

# The shadow has 1.2 s for an answer (peers/): after this much of a window the fault is there in full.
SETTLE = 1.3
# Before windows without a shadow: connections are new.
_WARM_UP = 0.5
# The last of a fault is one window of so long, at least.
_HELD = 8.0


@dataclass
class Row:
    """A proxy under a fault."""

    proxy: str
    fault: Fault
    # How many windows of each kind should count.
    wanted: int
    windows: list[Window] = field(default_factory=list)
    # The last one with the fault, for memory alone: its latency is not pooled.
    held: "Window | None" = None
    # Of the last window with the fault: seconds since it began, and MiB.
    memory: list[tuple[float, float]] = field(default_factory=list)
    # The most in any window with the fault.
    memory_peak: float = 0.0
    # At the end of the first window, in which nothing was shadowed.
    memory_off: "float | None" = None
    counts: "Counts | None" = None
    # Requests that should have been copied.
    shadowed: int = 0
    # Requests and connections that the shadow saw during the fault.
    seen: dict[str, int] = field(default_factory=dict)
    # What crossfade counted is not what it should have counted.
    miscounted: list[str] = field(default_factory=list)
    problem: "str | None" = None

    def counted(self, disturbed: bool) -> int:
        """How many windows of a kind count."""
        return len(counted(self.windows, disturbed))

    def as_json(self) -> dict:
        """For the file of results."""
        return {**asdict(self), "fault": self.fault.name}


@dataclass(frozen=True)
class Extent:
    """How much is measured: windows of a kind that must count, seconds of each, and of how many seconds of a fault memory is judged."""

    windows: int
    seconds: float
    memory_after: float


class Bench:
    """What stays while proxies come and go."""

    def __init__(self, tools: Tools, program: str, cores: tuple[int, int], folder: Path, rate: float):
        load_core, self._proxy_core = cores
        self._tools, self._folder = tools, folder
        self.loop = Loop(program, tools, load_core, folder, rate)
        self.old = Backend("old", program, tools, load_core, folder / "sides")
        # In earnest it is another machine: whatever it does must not keep load and old backend from their core.
        self._new = Backend("new", program, tools, load_core, folder / "sides", True)

    def row(self, name: str, fault: Fault, extent: Extent) -> Row:
        """Measures a row. A proxy that ends or can't be asked any more leaves a row with a problem."""
        row = Row(name, fault, extent.windows)
        values = {"OLD": self.old.port, "NEW": self._new.port}
        self._new.behave("healthy")
        try:
            with started(name, template(PEERS, name, "shadow"), self._tools, self._proxy_core, self._folder / name, values, "/off/ready") as proxy:
                counting = name == CROSSFADE and fault is not CONTROL
                before = counts.taken(proxy) if counting else None
                spent = self._turns(row, proxy, extent)
                if fault is not CONTROL and extent.memory_after > 0:
                    row.held = self._shadowed(row, proxy, SETTLE, max(_HELD, extent.memory_after - spent) - SETTLE)
                self._new.behave("healthy")
                if counting:
                    row.miscounted = counts.unbalanced(counts.grown(before, counts.settled(proxy)), row.shadowed)
                    row.miscounted += counts.unexpected(row.counts, fault)
        except Failure as failure:
            row.problem = str(failure)
        return row

    def _turns(self, row: Row, proxy: Proxy, extent: Extent) -> float:
        """Windows without and with the fault, until enough of both count or there were twice as many. Gives the seconds of fault."""
        members = proxy.process.members()
        spent = 0.0
        for turn in range(2 * extent.windows):
            if min(row.counted(False), row.counted(True)) >= extent.windows:
                break
            self._new.behave("healthy")
            row.windows.append(self._window(row, proxy, "/off/", False, _WARM_UP, extent.seconds, lambda: None))
            if turn == 0:
                row.memory_off = resident_kib(members) / 1024
            row.windows.append(self._shadowed(row, proxy, SETTLE, extent.seconds))
            spent += SETTLE + extent.seconds
        return spent

    def _shadowed(self, row: Row, proxy: Proxy, settle: float, seconds: float) -> Window:
        """A window with the fault, and what came of its copies."""
        members = proxy.process.members()
        self._new.behave(row.fault.mode)
        control = row.fault is CONTROL
        before = counts.settled(proxy) if proxy.name == CROSSFADE else None
        seen_before = self._new.seen()
        began, row.memory = time.monotonic(), []
        window = self._window(
            row, proxy, "/off/" if control else "/on/", True, settle, seconds,
            lambda: row.memory.append((time.monotonic() - began, resident_kib(members) / 1024)),
        )
        row.memory_peak = max([row.memory_peak, *(mib for _, mib in row.memory)])
        if before is not None and not control:
            row.counts = counts.together(row.counts, counts.grown(before, counts.taken(proxy)))
        for what, number in self._new.seen().items():
            row.seen[what] = row.seen.get(what, 0) + number - seen_before[what]
        row.shadowed += round(settle * self.loop.rate) + round(seconds * self.loop.rate)
        return window

    def _window(self, row: Row, proxy: Proxy, path: str, disturbed: bool, warm_up: float, seconds: float, look) -> Window:
        window = self.loop.window(proxy.url.removeprefix("http://"), path, disturbed, warm_up, seconds, look, row.fault.post_every)
        proxy.process.check()
        return window

    def check(self):
        """Whether the load sees what its clients would."""
        self.loop.check(self.old)
