"""CPU time for a request, with so many connections and so many routes."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from driver.load import KEYS, closed_loop
from driver.process import Process, core_busy_seconds
from driver.proxies import Proxy
from driver.sides import Side
from driver.tools import Tools

from .peers import prefix, started_with
from .sockets import standing

# The kernel tells CPU time in steps of 10 ms: with less than this a figure says nothing.
_LEAST_CPU = 0.1
# Clients that all connect at once are let in only bit by bit, and a connect that was lost is tried again after 1 s and after 3 s.
_FEW, _WARM_UP, _LONG_WARM_UP = 256, 1.0, 4.0


@dataclass(frozen=True)
class Case:
    """How many connections and routes, and who serves them."""

    connections: int
    routes: int
    proxy: str


@dataclass
class Sample:
    """What one measurement gave. With a problem it does not count."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    rss_mib: float
    requests: int
    # Connections that stood when counting began: the clients', and sometimes the one that had asked whether the proxy is up.
    standing: int
    # Of the proxy's core: what the proxy took, and what everybody else took.
    core_share: float
    others_share: float
    problem: "str | None"


class Bench:
    """Everything that stays while proxies come and go."""

    def __init__(self, tools: Tools, cores: tuple[int, int], folder: Path, sides: dict[str, Side], seconds: float):
        self._tools, self._folder, self._sides, self._seconds = tools, folder, sides, seconds
        self._load_core, self._proxy_core = cores

    def sample(self, case: Case) -> Sample:
        """Measures once, while all connections stand and are busy."""
        ports = {name: side.port for name, side in self._sides.items()}
        with started_with(case.proxy, case.routes, self._tools, self._proxy_core, self._folder / case.proxy, ports) as proxy:
            warm_up = _WARM_UP if case.connections <= _FEW else _LONG_WARM_UP
            paths = (f"{prefix(key % case.routes)}k{key:04}/tags" for key in range(1, KEYS + 1))
            # It must not end before the second look.
            argv = closed_loop(self._tools, case.connections, warm_up + self._seconds + 2, proxy.url, self._folder / "wrk.paths", paths)
            log = self._folder / "wrk.out"
            with Process("wrk", argv, self._load_core, log, self._tools.env) as wrk:
                time.sleep(warm_up)
                stand = standing(proxy.port)
                before = self._look(proxy)
                time.sleep(self._seconds)
                after = self._look(proxy)
                wrk.wait(20)
            rss_mib = proxy.process.rss_kib() / 1024
            return _sample(case, json.loads(log.read_text().strip().splitlines()[-1]), stand, before, after, rss_mib)

    def _look(self, proxy: Proxy) -> "_Look":
        # What came to the backend is asked first, since the answer takes longest and as long both times.
        came = self._sides["old"].seen().requests
        return _Look(time.monotonic(), proxy.process.cpu_seconds(), core_busy_seconds(self._proxy_core), came)


@dataclass
class _Look:
    at: float
    cpu: float
    core: float
    requests: int


def _sample(case: Case, told: dict, stand: int, before: _Look, after: _Look, rss_mib: float) -> Sample:
    wall, cpu, requests = after.at - before.at, after.cpu - before.cpu, max(1, after.requests - before.requests)
    errors = {kind: told[kind] for kind in ("connect", "read", "write", "status", "timeout") if told[kind]}
    problem = None
    if errors:
        problem = f"errors of the clients: {errors}"
    elif stand < case.connections:
        problem = f"{stand} of {case.connections} connections stood"
    elif cpu < _LEAST_CPU:
        problem = f"the proxy worked for {cpu:.2f} s only"
    return Sample(
        cpu_us=cpu * 1e6 / requests, per_second=requests / wall, p50_ms=told["p50_us"] / 1e3, p99_ms=told["p99_us"] / 1e3, rss_mib=rss_mib,
        requests=requests, standing=stand, core_share=cpu / wall, others_share=max(0.0, after.core - before.core - cpu) / wall, problem=problem,
    )
