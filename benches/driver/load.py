"""Load: wrk for as much as a proxy can do, h2load (HTTP/1.1) for a fixed rate. One thread, a thousand keys."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from .process import Failure, Process
from .tools import Tools

CONNECTIONS = 64
KEYS = 1000
_SCRIPT = Path(__file__).resolve().with_name("wrk.lua")

# h2load opens this many connections every so many milliseconds, so that their clocks do not tick together: a client's clock ticks
# every 10 ms or slower, and clients that start together send in one burst for ever.
_START_TOGETHER, _START_EVERY_MS = 4, 11


def closed_loop(tools: Tools, connections: int, seconds: float, url: str, file: Path, paths: Iterable[str]) -> list[str]:
    """How wrk is started that asks for these paths in turn; they are put into a file."""
    file.write_text("".join(f"{path}\n" for path in paths))
    return [
        tools.paths["wrk"], "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s",
        "--timeout", "10s", "--script", str(_SCRIPT), url, "--", str(file),
    ]


@dataclass
class Outcome:
    """What a load generator saw. Latency counts from when a request was sent."""

    requests: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    problem: "str | None"


class Loader:
    """Starts load generators on one core."""

    def __init__(self, tools: Tools, core: int, folder: Path, connections: int = CONNECTIONS):
        self._tools, self._core, self._folder, self._connections = tools, core, folder, connections
        folder.mkdir(parents=True, exist_ok=True)

    def closed(self, url: str, path: str, seconds: float) -> Outcome:
        """As many requests as are answered."""
        paths = self._folder / "wrk.paths"
        argv = closed_loop(self._tools, self._connections, seconds, url, paths, (f"{path}k{key}" for key in range(1, KEYS + 1)))
        said = self._run("wrk", argv, seconds + 20)
        result = json.loads(said.strip().splitlines()[-1])
        errors = {kind: result[kind] for kind in ("connect", "read", "write", "status", "timeout") if result[kind]}
        spent = result["duration_us"] / 1e6
        return Outcome(
            result["requests"], spent, result["requests"] / spent, result["p50_us"] / 1e3, result["p99_us"] / 1e3,
            f"errors of the clients: {errors}" if errors else None,
        )

    def at_rate(self, url: str, path: str, seconds: float, rate: float, rest: str = "") -> Outcome:
        """A fixed number of requests a second, shared evenly by the connections; a key stands between `path` and `rest`."""
        for_each = max(1, round(rate * seconds / self._connections))
        log, paths = self._folder / "h2load.log", self._folder / "h2load.urls"
        log.unlink(missing_ok=True)
        paths.write_text("".join(f"{url}{path}k{key}{rest}\n" for key in range(1, KEYS + 1)))
        argv = [
            self._tools.paths["h2load"], "--h1", "--threads=1", f"--clients={self._connections}", f"--requests={for_each * self._connections}",
            f"--rps={rate / self._connections:.4f}", f"--rate={_START_TOGETHER}", f"--rate-period={_START_EVERY_MS}ms",
            f"--log-file={log}", f"--input-file={paths}",
        ]
        self._run("h2load", argv, seconds * 3 + 20)
        return _from_log(log, for_each * self._connections, rate)

    def _run(self, name: str, argv: list[str], limit: float) -> str:
        log = self._folder / f"{name}.out"
        with Process(name, argv, self._core, log, self._tools.env) as process:
            process.wait(limit)
        return log.read_text(errors="replace")


def _from_log(log: Path, asked: int, rate: float) -> Outcome:
    """h2load's log: start in microseconds, status, duration in microseconds; a line each request."""
    rows = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    if not rows:
        raise Failure(f"h2load has logged no request in {log}")
    good = [row for row in rows if 200 <= row[1] < 300]
    durations = sorted(row[2] for row in good) or [0]
    starts = sorted(row[0] for row in rows)
    # While clients start and end the rate is lower: it is taken from the middle half.
    low, high = len(starts) // 4, len(starts) * 3 // 4
    per_second = (high - low) * 1e6 / max(1, starts[high] - starts[low])
    problem = None
    if len(good) < asked:
        problem = f"{asked - len(good)} of {asked} requests failed"
    elif per_second < 0.97 * rate:
        problem = f"only {per_second:,.0f} of {rate:,.0f} requests a second"
    seconds = (max(row[0] + row[2] for row in rows) - starts[0]) / 1e6
    return Outcome(len(good), seconds, per_second, _quantile(durations, 0.50) / 1e3, _quantile(durations, 0.99) / 1e3, problem)


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
