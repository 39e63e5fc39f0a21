"""One row: a fresh proxy, windows without and with the attack in turn, and at the end one that is as long as the attack may last."""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from driver.backend import Backend
from driver.process import Failure, Process, resident_kib
from driver.proxies import CROSSFADE, Proxy, started, template
from driver.tools import Tools
from driver.windows import Loop, Window, counted

from .list import CONTROL, Attack

_PEERS = Path(__file__).resolve().parents[1] / "peers"

# Connections are new before windows without an attack; an attack is there in full after so much of a window.
_WARM_UP, SETTLE = 0.5, 1.5
# The last window is at least this long.
_HELD = 8.0


@dataclass
class Row:
    """An attack, at a rate of honest requests."""

    attack: Attack
    rate: float
    wanted: int
    windows: list[Window] = field(default_factory=list)
    # The last one: its latency is not pooled.
    held: "Window | None" = None
    # What became of the attack then.
    fate: "dict | None" = None
    # Of that window: seconds since it began, and MiB.
    memory: list[tuple[float, float]] = field(default_factory=list)
    memory_off: "float | None" = None
    # What crossfade refused in all windows of the attack, by reason.
    refused: dict[str, float] = field(default_factory=dict)
    problem: "str | None" = None

    def as_json(self) -> dict:
        """For the file of results."""
        row = asdict(self)
        row["attack"] = self.attack.name
        return row


@dataclass(frozen=True)
class Extent:
    """How many windows of each kind must count, and for how many seconds each."""

    windows: int
    seconds: float


class Bench:
    """What stays while proxies come and go."""

    def __init__(self, tools: Tools, program: str, cores: tuple[int, int], folder: Path):
        self._tools, self._program, self._folder = tools, program, folder
        self._load_core, self._proxy_core = cores
        self._old = Backend("old", program, tools, self._load_core, folder / "sides")

    def check(self, rate: float):
        """Whether the load sees what its clients would."""
        self._loop(rate).check(self._old)

    def row(self, attack: Attack, rate: float, extent: Extent, to_the_end: bool) -> Row:
        """Measures a row, with a last window that is as long as the attack may last if that is wanted. A proxy that ends leaves a row with a problem."""
        row = Row(attack, rate, extent.windows)
        values = {"OLD": self._old.port}
        try:
            with started(CROSSFADE, template(_PEERS, CROSSFADE, "attacks"), self._tools, self._proxy_core, self._folder / CROSSFADE, values, "/a/ready") as proxy:
                for turn in range(2 * extent.windows):
                    if min(len(counted(row.windows, disturbed)) for disturbed in (False, True)) >= extent.windows:
                        break
                    row.windows.append(self._window(row, proxy, False, _WARM_UP, extent.seconds))
                    if turn == 0:
                        row.memory_off = resident_kib(proxy.process.members()) / 1024
                    with self._attacked(row, proxy):
                        row.windows.append(self._window(row, proxy, True, SETTLE, extent.seconds))
                if to_the_end and attack is not CONTROL:
                    with self._attacked(row, proxy):
                        row.held = self._window(row, proxy, True, SETTLE, max(_HELD, attack.within + 2) - SETTLE)
                row.refused = {reason: number for reason, number in proxy.metrics().by("crossfade_rejected_total", "reason").items() if number}
        except Failure as failure:
            row.problem = str(failure)
        return row

    @contextmanager
    def _attacked(self, row: Row, proxy: Proxy):
        """Attacks, for as long as the block runs."""
        if row.attack is CONTROL:
            yield
            return
        out = self._folder / "attack.json"
        out.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "attacks.driver.attacker", row.attack.name, str(proxy.port), str(out)]
        # What an attacker's machine does must not keep load and backend from their core.
        with Process("the attacker", argv, self._load_core, self._folder / "attack.out", self._tools.env, gives_way=True) as attacker:
            yield
            attacker.check()
            os.kill(attacker.pid, signal.SIGTERM)
            # On a core that others want, it takes its time.
            attacker.wait(20)
        row.fate = json.loads(out.read_text())
        self._rested(proxy)

    def _rested(self, proxy: Proxy):
        """Waits until the proxy has let go of the attacker's connections, so that the next window is one without an attack."""
        deadline = time.monotonic() + 5
        while proxy.metrics().total("crossfade_connections") > 2 and time.monotonic() < deadline:
            time.sleep(0.1)

    def _window(self, row: Row, proxy: Proxy, disturbed: bool, warm_up: float, seconds: float) -> Window:
        members = proxy.process.members()
        began, row.memory = time.monotonic(), []
        window = self._loop(row.rate).window(
            proxy.url.removeprefix("http://"), "/a/", disturbed, warm_up, seconds,
            lambda: row.memory.append((time.monotonic() - began, resident_kib(members) / 1024)),
        )
        proxy.process.check()
        return window

    def _loop(self, rate: float) -> Loop:
        return Loop(self._program, self._tools, self._load_core, self._folder, rate)
