"""One measurement: a fresh proxy, a warm-up, load, and what it cost."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from driver.bodies import ONE
from driver.certificate import made
from driver.load import Loader, Outcome
from driver.process import core_busy_seconds
from driver.proxies import CROSSFADE, Proxy, started, template
from driver.sides import Side
from driver.tools import Tools

PEERS = Path(__file__).resolve().parents[1] / "peers"
FORWARD, H2, SPLIT, MIRROR, SATURATION = "forward", "h2", "split", "mirror", "saturation"

# A mirror's row counts if at least this share of the copies was made, and compared.
COMPLETE = 0.995
# The kernel tells CPU time in steps of 10 ms: with less than this a figure says nothing.
_LEAST_CPU = 0.1
_WARM_UP = 1.0
# A mismatch is looked at again, for the last time 5 s after it was found, and counts only then.
_SETTLE = 8.0


@dataclass(frozen=True)
class Case:
    """What is measured: a work, the size and kind of the answers, and who does it."""

    work: str
    size: str
    variant: str
    proxy: str

    @property
    def mirrors(self) -> bool:
        """Whether requests are copied to the new side."""
        return self.work in (MIRROR, SATURATION)


@dataclass
class Sample:
    """What one measurement gave. With a problem it does not count."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    peak_mib: float
    requests: int
    # Of the proxy's core: what the proxy took, and what everybody else took.
    core_share: float
    others_share: float
    # Of the core of load and backends.
    load_core_share: float
    old_requests: int
    new_requests: int
    new_connections: int
    compared: "int | None"
    verdicts: "dict[str, int] | None"
    dropped: "dict[str, int] | None"
    shed: "float | None"
    problem: "str | None"

    def as_json(self) -> dict:
        """For the file of results."""
        return asdict(self)


@dataclass
class _Counts:
    cpu: float
    proxy_core: float
    load_core: float
    old: int
    new: int
    new_connections: int
    sampled: float
    dropped: dict[str, float]
    verdicts: dict[str, float]


class Bench:
    """Everything that stays while proxies come and go."""

    def __init__(self, tools: Tools, cores: "tuple[int, int]", folder: Path, sides: "dict[str, Side]", seconds: float):
        self._values = {**{name.upper(): side.port for name, side in sides.items()}, **made(tools, folder / "certificate")}
        self._tools, self._folder, self._sides, self._seconds = tools, folder, sides, seconds
        self._load_core, self._proxy_core = cores
        self._loader = Loader(tools, self._load_core, folder / "load")

    def sample(self, case: Case, rate: "float | None") -> Sample:
        """Measures once: at a fixed rate, or (without one) as much as the proxy can do."""
        source = template(PEERS, case.proxy, MIRROR if case.mirrors else case.work)
        folder, scheme = self._folder / case.proxy, "https" if case.work == H2 else "http"
        with started(case.proxy, source, self._tools, self._proxy_core, folder, self._values, "/same/1k/ready", scheme) as proxy:
            self._load(case, proxy, _WARM_UP, rate)
            self._settle(case, proxy)
            before, clock = self._counts(case, proxy), time.monotonic()
            outcome = self._load(case, proxy, self._seconds, rate)
            self._settle(case, proxy)
            after, wall = self._counts(case, proxy), time.monotonic() - clock
            return _sample(case, outcome, before, after, wall, proxy.process.peak_kib() / 1024)

    def _load(self, case: Case, proxy: Proxy, seconds: float, rate: "float | None") -> Outcome:
        path = f"/{case.variant}/{case.size}/"
        if case.work == H2:
            return self._loader.streams(proxy.url, path, seconds)
        if rate is None:
            return self._loader.closed(proxy.url, path, seconds)
        return self._loader.at_rate(proxy.url, path, seconds, rate)

    def _settle(self, case: Case, proxy: Proxy):
        """Waits until the copies of what was answered are made and compared, or nothing moves any more."""
        if not case.mirrors:
            return
        deadline = time.monotonic() + _SETTLE
        last = None
        while time.monotonic() < deadline:
            counts = self._counts(case, proxy)
            now = (counts.new, sum(counts.verdicts.values()))
            under_way = counts.sampled - sum(counts.dropped.values()) - sum(counts.verdicts.values())
            if now == last and under_way <= 0:
                return
            last = now
            time.sleep(0.2)

    def _counts(self, case: Case, proxy: Proxy) -> _Counts:
        sampled, dropped, verdicts = 0.0, {}, {}
        if case.proxy == CROSSFADE and case.mirrors:
            metrics = proxy.metrics()
            sampled = metrics.total("crossfade_shadow_sampled_total")
            dropped = metrics.by("crossfade_shadow_dropped_total", "reason")
            verdicts = metrics.by("crossfade_comparisons_total", "verdict")
        new = self._sides["new"].seen()
        return _Counts(
            cpu=proxy.process.cpu_seconds(), proxy_core=core_busy_seconds(self._proxy_core),
            load_core=core_busy_seconds(self._load_core), old=self._sides["old"].seen().requests, new=new.requests,
            new_connections=new.connections, sampled=sampled, dropped=dropped, verdicts=verdicts,
        )


def _sample(case: Case, outcome: Outcome, before: _Counts, after: _Counts, wall: float, peak_mib: float) -> Sample:
    cpu = after.cpu - before.cpu
    compares = case.proxy == CROSSFADE and case.mirrors
    verdicts = _grown(before.verdicts, after.verdicts) if compares else None
    old, new = after.old - before.old, after.new - before.new
    done = sum(verdicts.values()) if compares else new
    requests = max(1, outcome.requests)
    return Sample(
        cpu_us=cpu * 1e6 / requests, per_second=outcome.per_second, p50_ms=outcome.p50_ms, p99_ms=outcome.p99_ms,
        peak_mib=peak_mib, requests=outcome.requests, core_share=cpu / outcome.seconds,
        others_share=max(0.0, after.proxy_core - before.proxy_core - cpu) / wall,
        load_core_share=(after.load_core - before.load_core) / wall,
        old_requests=old, new_requests=new, new_connections=after.new_connections - before.new_connections,
        compared=done if compares else None, verdicts=verdicts,
        dropped=_grown(before.dropped, after.dropped) if compares else None,
        shed=max(0.0, 1 - done / requests) if case.mirrors else None,
        problem=outcome.problem or _incomplete(case, requests, old, new, verdicts) or _starved(cpu),
    )


def _incomplete(case: Case, requests: int, old: int, new: int, verdicts: "dict[str, int] | None") -> "str | None":
    """Why a measurement does not count although every client was answered."""
    if case.work == SATURATION:
        return None
    if case.work != MIRROR:
        # Nobody may answer for the sides.
        return None if old + new >= requests else f"the sides saw {old + new} of {requests} requests"
    for name, seen in (("old", old), ("new", new)):
        if seen < COMPLETE * requests:
            return f"{name} saw {seen / requests:.1%} of the requests"
    if verdicts is not None:
        expected = "mismatch" if case.variant == ONE else "match"
        if sum(verdicts.values()) < COMPLETE * requests:
            return f"{sum(verdicts.values()) / requests:.1%} of the requests were compared"
        if verdicts.get(expected, 0) < COMPLETE * requests:
            return f"the verdicts are {verdicts}, all should be {expected}"
    return None


def _starved(cpu: float) -> "str | None":
    return None if cpu >= _LEAST_CPU else f"the proxy worked for {cpu:.2f} s only: measure longer, or on a machine that nobody else uses"


def _grown(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    grown = {name: round(after[name] - before.get(name, 0)) for name in after}
    return {name: number for name, number in grown.items() if number}
