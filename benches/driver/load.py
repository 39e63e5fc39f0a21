"""Load: wrk for as much as a proxy can do, h2load for a fixed rate (HTTP/1.1) and for HTTP/2 inside TLS. One thread, a thousand keys."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterable

from .process import Failure, Process
from .tools import Tools

CONNECTIONS = 64
KEYS = 1000
# Requests at once on a connection of HTTP/2.
STREAMS = 8
_CIPHER = "TLS_AES_128_GCM_SHA256"
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
        rows = self._h2load(url, path, rest, seconds * 3 + 20, [
            "--h1", f"--clients={self._connections}", f"--requests={for_each * self._connections}",
            f"--rps={rate / self._connections:.4f}", f"--rate={_START_TOGETHER}", f"--rate-period={_START_EVERY_MS}ms",
        ])
        return _from_log(rows, for_each * self._connections, rate)

    def streams(self, url: str, path: str, seconds: float) -> Outcome:
        """As many requests as are answered over HTTP/2 inside TLS, as many at once as with `closed`, on an eighth of the connections."""
        clients = max(1, self._connections // STREAMS)
        rows = self._h2load(url, path, "", seconds + 20, [
            f"--clients={clients}", f"--max-concurrent-streams={self._connections // clients}", f"--duration={max(1, round(seconds))}",
            "--npn-list=h2", f"--tls13-ciphers={_CIPHER}",
        ])
        outcome = _from_log(rows, len(rows), None)
        # Every proxy must have done the same work.
        said = (self._folder / "h2load.out").read_text(errors="replace")
        wanted = ("TLS Protocol: TLSv1.3", f"Cipher: {_CIPHER}", "Server Temp Key: X25519", "Application protocol: h2")
        missing = [line for line in wanted if line not in said]
        return replace(outcome, problem=f"h2load did not say {', '.join(missing)}") if missing else outcome

    def _h2load(self, url: str, path: str, rest: str, limit: float, more: list[str]) -> list[tuple[int, int, int]]:
        """What h2load logs: when a request began, in microseconds, its status, and how long it took; a line each request."""
        log, paths = self._folder / "h2load.log", self._folder / "h2load.urls"
        log.unlink(missing_ok=True)
        paths.write_text("".join(f"{url}{path}k{key}{rest}\n" for key in range(1, KEYS + 1)))
        argv = [self._tools.paths["h2load"], "--threads=1", f"--log-file={log}", f"--input-file={paths}", *more]
        self._run("h2load", argv, limit)
        rows = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
        if not rows:
            raise Failure(f"h2load has logged no request in {log}")
        return rows

    def _run(self, name: str, argv: list[str], limit: float) -> str:
        log = self._folder / f"{name}.out"
        with Process(name, argv, self._core, log, self._tools.env) as process:
            process.wait(limit)
        return log.read_text(errors="replace")


def _from_log(rows: list[tuple[int, int, int]], asked: int, rate: "float | None") -> Outcome:
    """What the log says of so many requests, that were made at this rate if there was one."""
    good = [row for row in rows if 200 <= row[1] < 300]
    durations = sorted(row[2] for row in good) or [0]
    starts = sorted(row[0] for row in rows)
    # While clients start and end the rate is lower: it is taken from the middle half.
    low, high = len(starts) // 4, len(starts) * 3 // 4
    per_second = (high - low) * 1e6 / max(1, starts[high] - starts[low])
    problem = None
    if len(good) < asked:
        problem = f"{asked - len(good)} of {asked} requests failed"
    elif rate is not None and per_second < 0.97 * rate:
        problem = f"only {per_second:,.0f} of {rate:,.0f} requests a second"
    seconds = (max(row[0] + row[2] for row in rows) - starts[0]) / 1e6
    return Outcome(len(good), seconds, per_second, _quantile(durations, 0.50) / 1e3, _quantile(durations, 0.99) / 1e3, problem)


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
