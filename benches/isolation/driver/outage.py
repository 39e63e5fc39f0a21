"""Old, the side that serves, is down: how soon clients are told, how often it is asked in vain, and how soon they are served once it is back."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from driver.backend import Backend
from driver.process import Failure
from driver.proxies import CROSSFADE, Proxy, started, template
from driver.tools import Tools

_PEERS = Path(__file__).resolve().parents[1] / "peers"

# Requests a second, and seconds before, during and after each outage.
RATE = 200
BEFORE, DURING, AFTER = 1.0, 3.0, 3.0
_LIMIT = 5.0
# What is asked of a row: seconds from the outage's end until all are served again, and requests to old for one of a client's.
RECOVERY, ATTEMPTS = 1.0, 1.2


@dataclass(frozen=True)
class Outage:
    """A row of the table."""

    name: str
    title: str
    mode: str
    # Seconds within which a client must have its answer.
    within: float


# A second is the time-out of peers/crossfade-outage.toml; the rest is what timers and a busy core may add.
OUTAGES = [Outage("old-refuses", "old refuses", "refuse", 0.1), Outage("old-hangs", "old never answers", "never", 1.1)]


@dataclass
class _Answer:
    """When a request was due and over, in seconds, and its status; 0 where the connection broke, or nothing came in time."""

    due: float
    over: float
    status: int


@dataclass
class Round:
    """One outage."""

    asked: int
    # Seconds from when a request was due to its answer, during the outage.
    answers: list[float]
    # Requests of that time that got no answer.
    unanswered: int
    statuses: dict[int, int]
    # Old was asked so often for them, in vain.
    attempts: float
    # Seconds from the outage's end to the first request from which on all are served; none if they are not.
    recovery: "float | None"


@dataclass
class Row:
    """All rounds of an outage."""

    outage: Outage
    rounds: list[Round] = field(default_factory=list)
    problem: "str | None" = None

    def figures(self) -> "dict[str, float | None] | None":
        """Middle and worst of all rounds."""
        answers = [each for one in self.rounds for each in one.answers]
        if not answers:
            return None
        recoveries = [one.recovery for one in self.rounds]
        known = [each for each in recoveries if each is not None]
        return {
            "p50": median(answers), "max": max(answers), "unanswered": sum(one.unanswered for one in self.rounds),
            "attempts": max(one.attempts / max(1, one.asked) for one in self.rounds),
            "recovery_p50": median(known) if known else None, "recovery_max": max(known) if len(known) == len(recoveries) else None,
        }

    def word(self) -> str:
        """Whether all three bounds are kept."""
        figures = self.figures()
        if figures is None or self.problem:
            return "no figure"
        kept = figures["max"] <= self.outage.within and not figures["unanswered"] and figures["attempts"] <= ATTEMPTS
        return "reached" if kept and figures["recovery_max"] is not None and figures["recovery_max"] <= RECOVERY else "missed"

    def as_json(self) -> dict:
        """For the file of results."""
        return {**asdict(self), "outage": self.outage.name, "figures": self.figures(), "is": self.word()}


HEAD = ["outage", "rounds", "answer p50", "max", "at most", "unanswered", "statuses", "asked of old", "served again p50", "max", "at most", "is"]


def cells(row: Row) -> list[str]:
    """The row's line of the table."""
    figures = row.figures()
    if figures is None:
        return [row.outage.title, f"{len(row.rounds)}", *["-"] * 9, row.word()]

    def seconds(name: str) -> str:
        return "never" if figures[name] is None else f"{figures[name] * 1000:.0f} ms"

    statuses: dict[int, int] = {}
    for one in row.rounds:
        for status, number in one.statuses.items():
            statuses[status] = statuses.get(status, 0) + number
    return [
        row.outage.title, f"{len(row.rounds)}", f"{figures['p50'] * 1000:.1f} ms", seconds("max"), f"{row.outage.within * 1000:.0f} ms", f"{figures['unanswered']:.0f}",
        ", ".join(f"{status}: {number:,}" for status, number in sorted(statuses.items())), f"{figures['attempts']:.2f}",
        seconds("recovery_p50"), seconds("recovery_max"), f"{RECOVERY * 1000:.0f} ms", row.word(),
    ]


def notes(rows: list[Row]) -> list[str]:
    """What went wrong."""
    return [f"{row.outage.title}: broken off: {' '.join(row.problem.split())}" for row in rows if row.problem]


def measured(outage: Outage, rounds: int, tools: Tools, old: Backend, core: int, folder: Path) -> Row:
    """So many outages, one after the other, with a fresh proxy."""
    row = Row(outage)
    old.behave("healthy")
    values = {"OLD": old.port, "NEW": old.port}
    try:
        with started(CROSSFADE, template(_PEERS, CROSSFADE, "outage"), tools, core, folder / "outage", values, "/off/ready") as proxy:
            for _ in range(rounds):
                row.rounds.append(asyncio.run(_round(outage, proxy, old)))
    except Failure as failure:
        row.problem = str(failure)
    old.behave("healthy")
    return row


async def _round(outage: Outage, proxy: Proxy, old: Backend) -> Round:
    answers: list[_Answer] = []
    asking = asyncio.create_task(_ask(proxy.port, BEFORE + DURING + AFTER, answers))
    await asyncio.sleep(BEFORE)
    before = await asyncio.to_thread(_asked_in_vain, outage, proxy, old)
    await asyncio.to_thread(old.behave, outage.mode)
    down = time.monotonic()
    await asyncio.sleep(DURING)
    await asyncio.to_thread(old.behave, "healthy")
    up = time.monotonic()
    # What old hears from now on is no longer in vain, but what hung is counted when it fails.
    attempts = await asyncio.to_thread(_asked_in_vain, outage, proxy, old) - before
    await asking
    during = [each for each in answers if down <= each.due < up]
    statuses: dict[int, int] = {}
    for each in during:
        statuses[each.status] = statuses.get(each.status, 0) + 1
    after = sorted((each for each in answers if each.due >= up), key=lambda each: each.due)
    failed = [index for index, each in enumerate(after) if each.status != 200]
    well = after[failed[-1] + 1:] if failed else after
    return Round(
        len(during), [each.over - each.due for each in during if each.status], sum(1 for each in during if not each.status), statuses, attempts,
        well[0].over - up if well else None,
    )


def _asked_in_vain(outage: Outage, proxy: Proxy, old: Backend) -> float:
    """What old has heard of requests; where it refuses, what crossfade counts of connections that could not be opened."""
    if outage.mode == "refuse":
        return proxy.metrics().by("crossfade_upstream_errors_total", "kind").get("connect", 0.0)
    return old.seen()["requests"]


async def _ask(port: int, seconds: float, answers: list[_Answer]):
    """An open loop: each request is sent when it is due, whatever became of those before."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    start, tasks = time.monotonic(), []
    for number in range(round(seconds * RATE)):
        due = start + number / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(_one(port, number, due, idle, answers)))
    await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()


async def _one(port: int, number: int, due: float, idle: list, answers: list[_Answer]):
    status = 0
    try:
        status = await asyncio.wait_for(_exchange(port, number, idle), _LIMIT)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
        # It has no answer, which the status says.
        pass
    answers.append(_Answer(due, time.monotonic(), status))


async def _exchange(port: int, number: int, idle: list) -> int:
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /off/k{number % 1000} HTTP/1.1\r\nhost: outage.example\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.startswith("content-length:")]
        if len(lengths) != 1:
            raise ValueError("an answer without a length")
        await reader.readexactly(int(lengths[0]))
    except BaseException:
        writer.close()
        raise
    if "connection: close" in head:
        writer.close()
    else:
        idle.append((reader, writer))
    return int(head.split(" ", 2)[1])
