"""New settings, one after the other, under load: each arrives, no request fails, and neither latency nor memory grows."""

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from driver.load import Loader, Outcome
from driver.process import Failure
from driver.proxies import Proxy, template
from driver.sides import Side, fetch
from driver.tools import Tools

from .peers import PEERS, prefix, started_with

RELOADS = 200
RATE = 4000.0
ROUTES = 100
_EVERY = 0.3
# From the edit until it must be in force.
_PATIENCE = 5.0
# What is kept of old settings is seen after these; before them buffers and pools fill.
_FIRST = 20


@dataclass
class Sample:
    """What one measurement gave. With a problem it does not count."""

    reloads: int
    # From the edit to the settings in force.
    arrival_p50_ms: float
    arrival_max_ms: float
    requests: int
    p50_without_ms: float
    p99_without_ms: float
    p50_ms: float
    p99_ms: float
    rss_before_mib: float
    rss_first_mib: float
    rss_after_mib: float
    problem: "str | None"


class Bench:
    """Everything that stays while proxies come and go."""

    def __init__(self, tools: Tools, cores: tuple[int, int], folder: Path, sides: dict[str, Side], reloads: int):
        self._tools, self._folder, self._reloads = tools, folder, reloads
        self._load_core, self._core = cores
        self._ports = {name: side.port for name, side in sides.items()}

    def sample(self, name: str) -> Sample:
        """Measures once: latency without reloads, then with them."""
        try:
            return self._sample(name)
        except Failure as failure:
            # The rest of the run is none the worse for it.
            return Sample(0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, str(failure).partition("\n")[0])

    def _sample(self, name: str) -> Sample:
        folder = self._folder / name
        file = folder / template(PEERS, name, "scale").name
        loader = Loader(self._tools, self._load_core, folder / "load")
        with started_with(name, ROUTES, self._tools, self._core, folder, self._ports) as proxy:
            seconds = self._reloads * _EVERY
            without = loader.at_rate(proxy.url, prefix(7), max(5.0, seconds / 3), RATE, "/tags")
            before = proxy.process.rss_kib()
            series = _Series(_File(proxy, file), proxy, self._reloads)
            series.start()
            outcome = loader.at_rate(proxy.url, prefix(7), seconds + 1, RATE, "/tags")
            late = series.is_alive()
            series.join(seconds + self._reloads * _PATIENCE)
            after = proxy.process.rss_kib()
            problem = without.problem or outcome.problem or series.problem or ("the load ended before the last reload" if late else None)
            return _sample(series, without, outcome, (before, series.rss_first, after), problem)


class _File:
    """The file that is edited, and what the proxy says of it."""

    def __init__(self, proxy: Proxy, file: Path):
        self._proxy, self._file, self._text = proxy, file, file.read_text()

    def edit(self, number: int):
        """Another percentage on all routes."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(self._text.replace("percent = 0", f"percent = {1 + number % 99}"))
        os.replace(draft, self._file)

    def generation(self) -> int:
        """Of the settings in force; 1 at the start."""
        return json.loads(fetch(f"{self._proxy.admin}/api/config"))["generation"]


class _Series(threading.Thread):
    """The edits, beside the load."""

    def __init__(self, file: _File, proxy: Proxy, reloads: int):
        super().__init__(daemon=True)
        self._file, self._proxy, self._reloads = file, proxy, reloads
        self.arrivals: list[float] = []
        self.rss_first, self.done, self.problem = 0, 0, None

    def run(self):
        try:
            for number in range(1, self._reloads + 1):
                begun = time.monotonic()
                self._file.edit(number)
                self._arrive(1 + number, begun)
                self.done = number
                if number == min(_FIRST, self._reloads):
                    self.rss_first = self._proxy.process.rss_kib()
                time.sleep(max(0.0, begun + _EVERY - time.monotonic()))
        except (Failure, OSError) as failure:
            self.problem = f"reload {self.done + 1}: {failure}"

    def _arrive(self, wanted: int, begun: float):
        while (generation := self._file.generation()) != wanted:
            if generation > wanted or time.monotonic() - begun > _PATIENCE:
                raise Failure(f"generation {generation} instead of {wanted} after {time.monotonic() - begun:.1f} s")
            time.sleep(0.02)
        self.arrivals.append(time.monotonic() - begun)


def _sample(series: _Series, without: Outcome, outcome: Outcome, rss: tuple[int, int, int], problem: "str | None") -> Sample:
    arrivals = sorted(1e3 * arrival for arrival in series.arrivals)
    return Sample(
        reloads=series.done, arrival_p50_ms=arrivals[len(arrivals) // 2] if arrivals else 0.0, arrival_max_ms=arrivals[-1] if arrivals else 0.0,
        requests=outcome.requests, p50_without_ms=without.p50_ms, p99_without_ms=without.p99_ms, p50_ms=outcome.p50_ms, p99_ms=outcome.p99_ms,
        rss_before_mib=rss[0] / 1024, rss_first_mib=rss[1] / 1024, rss_after_mib=rss[2] / 1024, problem=problem,
    )
