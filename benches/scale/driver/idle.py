"""Memory of connections that have made one request and now do nothing."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from driver.bodies import SAME, SIZES, body
from driver.process import Failure
from driver.sides import Side
from driver.tools import Tools

from .peers import started_with
from .sockets import standing

CONNECTIONS = 4000
# After this many seconds without a request memory is read: the connections to the backends that were used have then been given up
# by crossfade (4 s) and HAProxy (5 s). nginx and Envoy keep theirs, which are as many as requests were made together.
SETTLE = 10.0
_TOGETHER = 64
_WARM_UP = 20


@dataclass
class Sample:
    """What one measurement gave. With a problem it does not count."""

    kib: float
    # The proxy after its first requests, its clients gone; and with all its idle clients.
    rss_before_mib: float
    rss_after_mib: float
    problem: "str | None"


class Bench:
    """Everything that stays while proxies come and go."""

    def __init__(self, tools: Tools, core: int, folder: Path, sides: dict[str, Side], connections: int):
        self._tools, self._core, self._folder, self._connections = tools, core, folder, connections
        self._ports = {name: side.port for name, side in sides.items()}

    def sample(self, name: str) -> Sample:
        """Measures once. What the first requests of a process cost it is not laid upon its idle connections."""
        with started_with(name, 10, self._tools, self._core, self._folder / name, self._ports) as proxy:
            first = [_connected(proxy.port) for _ in range(_TOGETHER)]
            for _ in range(_WARM_UP):
                _ask(first)
            _close(first)
            time.sleep(SETTLE)
            before = proxy.process.rss_kib()
            idle: list[socket.socket] = []
            while len(idle) < self._connections:
                more = [_connected(proxy.port) for _ in range(min(_TOGETHER, self._connections - len(idle)))]
                idle += more
                _ask(more)
            time.sleep(SETTLE)
            after, stand = proxy.process.rss_kib(), standing(proxy.port)
            _close(idle)
            problem = None if stand >= self._connections else f"{stand} of {self._connections} connections stood"
            return Sample((after - before) / self._connections, before / 1024, after / 1024, problem)


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _close(connections: list[socket.socket]):
    for connection in connections:
        connection.close()


def _ask(connections: list[socket.socket]):
    """One request on each of them, at the same time."""
    for connection in connections:
        connection.sendall(b"GET /same/1k/r000/k0000/tags HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for connection in connections:
        came = b""
        while not came.endswith(_BODY):
            piece = connection.recv(65536)
            if not piece:
                raise Failure(f"a connection ended after {came!r}")
            came += piece


_BODY = body(SIZES["1k"], SAME).encode()
