"""One row: a fresh proxy, windows with the shadow off and with the fault in turn, and the proxy's memory all the while."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from driver.process import Failure, Process, resident_kib
from driver.proxies import CROSSFADE, Proxy, free_port, started, template
from driver.sides import fetch, wait_for
from driver.tools import Tools

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
# The client's patience.
_LIMIT = 3.0
_LOOK = 0.25
# A window in which the generator noticed more than this share of its requests over a millisecond late says nothing about the 99th percentile.
_MOST_LAGGED = 0.005


@dataclass
class Window:
    """What the client saw. With a problem it does not count."""

    shadowed: bool
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

    def counted(self, shadowed: bool) -> int:
        """How many windows of a kind count."""
        return sum(1 for window in self.windows if window.shadowed == shadowed and window.problem is None)

    def as_json(self) -> dict:
        """For the file of results."""
        return {**asdict(self), "fault": self.fault.name}


@dataclass(frozen=True)
class Extent:
    """How much is measured: windows of a kind that must count, seconds of each, and of how many seconds of a fault memory is judged."""

    windows: int
    seconds: float
    memory_after: float


class Backend:
    """A backend of our own, whose behaviour can be changed."""

    def __init__(self, name: str, program: str, tools: Tools, core: int, folder: Path, gives_way: bool):
        folder.mkdir(parents=True, exist_ok=True)
        self.port, control = free_port(), free_port()
        self._control = f"http://127.0.0.1:{control}"
        argv = [program, "backend", "--port", str(self.port), "--control", str(control)]
        self.process = Process(f"backend {name}", argv, core, folder / f"{name}.out", tools.env, gives_way)
        wait_for(self.process, self._control)

    def behave(self, mode: str):
        """Closes every connection, and behaves like this from now on."""
        self.process.check()
        try:
            # Where it gives way to everybody, an order may take its time.
            fetch(f"{self._control}/mode/{mode}", 30)
        except OSError as error:
            raise Failure(f"{self.process.name} does not take the order to be {mode}: {error}") from None

    def seen(self) -> dict[str, int]:
        """Requests and connections since the start."""
        return json.loads(fetch(self._control, 30))


class Bench:
    """What stays while proxies come and go."""

    def __init__(self, tools: Tools, program: str, cores: tuple[int, int], folder: Path, rate: float):
        self._tools, self._program, self._folder, self._rate = tools, program, folder, rate
        self._load_core, self._proxy_core = cores
        self._old = Backend("old", program, tools, self._load_core, folder / "sides", False)
        # In earnest it is another machine: whatever it does must not keep load and old backend from their core.
        self._new = Backend("new", program, tools, self._load_core, folder / "sides", True)

    def row(self, name: str, fault: Fault, extent: Extent) -> Row:
        """Measures a row. A proxy that ends or can't be asked any more leaves a row with a problem."""
        row = Row(name, fault, extent.windows)
        values = {"OLD": self._old.port, "NEW": self._new.port}
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
        row.shadowed += round(settle * self._rate) + round(seconds * self._rate)
        return window

    def _window(self, row: Row, proxy: Proxy, path: str, shadowed: bool, warm_up: float, seconds: float, look) -> Window:
        result = self.load(proxy.url.removeprefix("http://"), path, warm_up, seconds, row.fault.post_every, look)
        proxy.process.check()
        window = Window(shadowed=shadowed, **result)
        if window.lagged > _MOST_LAGGED * window.due:
            window.problem = f"the generator itself was more than 1 ms late for {window.lagged / window.due:.1%} of the requests"
        return window

    def load(self, address: str, path: str, warm_up: float, seconds: float, post_every: "int | None", look) -> dict:
        """Asks at the rate, and looks at something now and then."""
        out = self._folder / "load.json"
        out.unlink(missing_ok=True)
        argv = [
            self._program, "load", "--address", address, "--path", path, "--rate", str(self._rate), "--warm-up", str(warm_up),
            "--seconds", str(seconds), "--limit", str(_LIMIT), "--out", str(out), *(["--post-every", str(post_every)] if post_every else []),
        ]
        with Process("the load", argv, self._load_core, self._folder / "load.out", self._tools.env) as process:
            end = time.monotonic() + warm_up + seconds
            while time.monotonic() < end and process.running():
                look()
                time.sleep(_LOOK)
            process.wait(_LIMIT + 15)
        return json.loads(out.read_text())

    def check(self):
        """The load must see a backend that stands still for 100 ms of each second as its clients would: each request of that time waits."""
        address = f"127.0.0.1:{self._old.port}"
        self._old.behave("pause")
        latency = sorted(self.load(address, "/", 0.5, 3, None, lambda: None)["latency_us"])
        self._old.behave("healthy")
        waited = sum(1 for each in latency if each > 10_000) / len(latency)
        worst = latency[int(len(latency) * 0.999)] / 1000
        if waited < 0.07 or worst < 85:
            raise Failure(f"the load is blind: a backend that pauses for 100 ms of each second made {waited:.1%} wait, p99.9 {worst:.1f} ms")
