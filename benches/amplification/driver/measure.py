"""What an input costs: CPU time of the whole process for one after the other, and the most memory while many are there at once."""

import os
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Callable

from driver.process import Failure, Process, most_kib
from driver.proxies import Proxy, fill, free_port
from driver.sides import wait_for
from driver.tools import Tools

from .answers import PAIRS, Pair
from .files import LEAST, File
from .requests import Request, ordinary

PEERS = Path(__file__).resolve().parents[1] / "peers"

# So many bytes of inputs are there at once when memory is looked at, but no fewer and no more connections than this: what one takes is less than a page of
# the allocator's.
_AT_ONCE, _FEWEST, _MOST = 4 << 20, 4, 64
_MOST_PAIRS = 256
# CPU time is taken from this many seconds of inputs, one after the other, and from no fewer than so many.
_SPAN, _LEAST = 0.5, 3
_PATIENCE = 20.0
# Times after which it is seen whether pairs are judged: those that match are so at once, those that differ after the last of the times at which both sides are
# asked again, 5 s.
_LOOKS = (0.1, 0.3, 1.0, 5.2)
# Seconds, and pages of metrics, from which is taken what the proxy does when nothing comes.
_IDLE, _PAGES = 1.0, 5
# A check is done so often: its median CPU time counts, and the most memory, since who looks now and then may miss the moment.
_CHECKS = 5
_ORDINARY, _BATCH = 1024, 64


@dataclass
class Cost:
    """What one input costs."""

    bytes: int
    cpu_us: float
    # At the most, beyond what there was before.
    memory: "float | None"
    problem: "str | None" = None


class Answers:
    """A side, that answers what the list of pairs says."""

    def __init__(self, name: str, tools: Tools, core: int, folder: Path):
        home = folder / name
        (home / "answers").mkdir(parents=True, exist_ok=True)
        # What nginx starts under another user must be able to read.
        for pair in PAIRS:
            (home / "answers" / pair.name).write_bytes(getattr(pair, name))
        self.port = free_port()
        config = home / "answers.conf"
        config.write_text(fill(PEERS / "nginx-answers.conf", {"DIR": home, "LISTEN": self.port}))
        argv = [tools.paths["nginx"], "-c", str(config), "-e", str(home / "error.log")]
        self.process = Process(f"backend {name}", argv, core, home / "out", tools.env)
        wait_for(self.process, f"http://127.0.0.1:{self.port}/ready")


class Bench:
    """Asks one proxy."""

    def __init__(self, proxy: Proxy, ports: dict[str, int]):
        self._proxy, self._ports = proxy, ports

    def unit(self) -> Cost:
        """An ordinary request of 1 KiB, with as many on their way as keep the proxy at work."""
        batch = ordinary(_ORDINARY) * _BATCH
        cost = self._cpu(lambda: self._ask("LISTEN", batch, _BATCH), _ORDINARY)
        return Cost(_ORDINARY, cost.cpu_us / _BATCH, None)

    def request(self, request: Request) -> Cost:
        """A hostile request."""
        cost = self._cpu(lambda: self._ask(request.to, request.sent, request.answers), len(request.sent))
        many = max(_FEWEST, min(_MOST, _AT_ONCE // len(request.sent)))
        # Connections have been there before: what is theirs anyway is not laid upon the input.
        self._together(many, "LISTEN", ordinary(), 1)
        before = self._proxy.process.begin_peak()
        self._together(many, request.to, request.sent, request.answers)
        cost.memory = max(0, self._proxy.process.most_kib() - before) * 1024 / many
        return cost

    def pair(self, pair: Pair) -> Cost:
        """A hostile pair of answers, until it is judged: many at once, so that each is asked again as often as it may be."""
        def asking(name: str) -> bytes:
            return f"GET /{pair.route}/{name} HTTP/1.1\r\nhost: a\r\n\r\n".encode()

        asked = asking(pair.name)
        self._judge(asked, _FEWEST)
        many = max(_FEWEST, min(_MOST_PAIRS, _AT_ONCE // pair.size))
        idle, page = self._idle(), self._page()
        # What as many pairs take that are equal, and nothing but a head, is not laid upon the input.
        self._proxy.process.begin_peak()
        self._judge(asking("none"), many)
        equal = self._proxy.process.most_kib()
        self._proxy.process.begin_peak()
        cpu, began = self._proxy.process.cpu_exact(), time.monotonic()
        judged, pages = self._judge(asked, many)
        spent = self._proxy.process.cpu_exact() - cpu - idle * (time.monotonic() - began) - page * pages
        return Cost(pair.size, max(0.0, spent) * 1e6 / judged, max(0, self._proxy.process.most_kib() - equal) * 1024 / judged)

    def _judge(self, asked: bytes, many: int) -> tuple[float, int]:
        """Gives how many were judged, and how many pages of metrics it has taken. What is not copied, since there is much to do, is not judged."""
        (judged, dropped), began = self._judged(), time.monotonic()
        self._together(many, "LISTEN", asked, 1)
        for pages, look in enumerate(_LOOKS + tuple(_LOOKS[-1] + more for more in range(1, int(_PATIENCE))), 2):
            time.sleep(max(0.0, began + look - time.monotonic()))
            now = self._judged()
            if sum(now) >= judged + dropped + many:
                if now[0] == judged:
                    break
                return now[0] - judged, pages
        raise Failure(f"{asked.splitlines()[0].decode()} is not judged within {_PATIENCE:.0f} s")

    def _judged(self) -> tuple[float, float]:
        metrics = self._proxy.metrics()
        return metrics.total("crossfade_comparisons_total"), metrics.total("crossfade_shadow_dropped_total")

    def _idle(self) -> float:
        """The share of a core that the proxy takes when nothing comes."""
        before = self._proxy.process.cpu_exact()
        time.sleep(_IDLE)
        return (self._proxy.process.cpu_exact() - before) / _IDLE

    def _page(self) -> float:
        """Seconds of CPU time for a page of metrics, which grows with what was seen."""
        before = self._proxy.process.cpu_exact()
        for _ in range(_PAGES):
            self._judged()
        return (self._proxy.process.cpu_exact() - before) / _PAGES

    def _cpu(self, one: Callable[[], object], size: int) -> Cost:
        """CPU time of one of many."""
        one()
        time.sleep(0.05)
        before = self._proxy.process.cpu_exact()
        began, count = time.monotonic(), 0
        while count < _LEAST or time.monotonic() - began < _SPAN:
            one()
            count += 1
        time.sleep(0.05)
        spent = (self._proxy.process.cpu_exact() - before) * 1e6
        return Cost(size, max(0.0, spent) / count, None)

    def _ask(self, to: str, sent: bytes, answers: int):
        self._together(1, to, sent, answers)

    def _together(self, many: int, to: str, sent: bytes, answers: int):
        """Sends the same on so many connections: all but its end, then the ends. Waits for the answers, or until the proxy closes."""
        connections = [_Connection(self._ports[to], sent, answers) for _ in range(many)]
        deadline = time.monotonic() + _PATIENCE
        try:
            if many > 1:
                _run(connections, deadline, held=1)
            _run(connections, deadline, held=0)
        finally:
            for connection in connections:
                connection.socket.close()


class _Connection:
    """Sends, and reads until what was expected has come."""

    def __init__(self, port: int, sent: bytes, answers: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setblocking(False)
        self._left, self._answers, self._two, self._came = memoryview(sent), answers, sent.startswith(b"PRI"), b""
        self.over = False

    def sends(self, held: int) -> bool:
        """Whether there is more to send, but for the last bytes."""
        return not self.over and len(self._left) > held

    def write(self, held: int):
        """Sends what can be sent."""
        try:
            self._left = self._left[self.socket.send(self._left[:len(self._left) - held]):]
        except BlockingIOError:
            return
        except OSError:
            self.over = True

    def read(self):
        """Takes what has come."""
        try:
            came = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self.over = True
        if self._two:
            self._came += came
            while len(self._came) >= 9 and len(self._came) >= 9 + int.from_bytes(self._came[:3], "big"):
                # A stream is over with the end of an answer, or a reset.
                kind, flags = self._came[3], self._came[4]
                self._answers -= kind == 3 or (kind in (0, 1) and flags & 1)
                self._came = self._came[9 + int.from_bytes(self._came[:3], "big"):]
        else:
            joined = self._came + came
            self._answers -= joined.count(b"HTTP/1.1 ")
            self._came = joined[-8:] if not joined.endswith(b"HTTP/1.1 ") else b""
        self.over = self.over or (self._answers <= 0 and not self._left)


def _run(connections: list[_Connection], deadline: float, held: int):
    with selectors.DefaultSelector() as poll:
        def wanted(each: _Connection) -> int:
            return selectors.EVENT_READ | (selectors.EVENT_WRITE if each.sends(held) else 0)

        for each in connections:
            if not each.over:
                poll.register(each.socket, wanted(each), each)
        while any(each.sends(held) for each in connections) or (not held and any(not each.over for each in connections)):
            if time.monotonic() > deadline:
                raise Failure(f"{sum(not each.over for each in connections)} of {len(connections)} connections got no answer within {_PATIENCE:.0f} s")
            for key, ready in poll.select(0.2):
                each = key.data
                if ready & selectors.EVENT_READ:
                    each.read()
                if ready & selectors.EVENT_WRITE and each.sends(held):
                    each.write(held)
                if each.over:
                    poll.unregister(each.socket)
                else:
                    poll.modify(each.socket, wanted(each), each)
    if held:
        # So that what has come is there, wherever it is kept.
        time.sleep(0.2)


def checked(program: str, core: int, folder: Path, file: File) -> Cost:
    """What `crossfade check` needs for a text, beyond what it needs for the least that can be used."""
    (cpu, memory), (least_cpu, least_memory) = (_check(program, core, folder, each.text) for each in (file, LEAST))
    return Cost(len(file.text.encode()), max(0.0, cpu - least_cpu) * 1e6, max(0, memory - least_memory) * 1024.0)


def _check(program: str, core: int, folder: Path, text: str) -> tuple[float, int]:
    path = folder / "checked.toml"
    path.write_text(text)
    cpu, memory = zip(*(_check_once(program, core, path) for _ in range(_CHECKS)))
    return median(cpu), max(memory)


def _check_once(program: str, core: int, path: Path) -> tuple[float, int]:
    child = subprocess.Popen(
        [program, "check", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    most = 0
    while True:
        # What the system tells of a process that has ended includes what its parent had when it was started.
        most = max(most, most_kib(child.pid, program))
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            child.returncode = status
            return usage.ru_utime + usage.ru_stime, most
