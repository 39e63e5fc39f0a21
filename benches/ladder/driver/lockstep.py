"""Clients and both sides in one process, in lockstep: each batch is sent whole, and each side answers a batch only when it has all of it.

So it is always the same requests that a proxy finds together, and it does the same work in every run.
"""

import selectors
import socket
import time

from driver.bodies import SAME, SIZES, body
from driver.load import KEYS
from driver.process import Failure, Process

# As many as the other benches have.
CONNECTIONS = 64
_PATIENCE = 30.0


class Side:
    """A backend on a port of its own. Its answers are those of nginx, to the byte but for the date."""

    def __init__(self, size: str, variant: str):
        text = body(SIZES[size], variant)
        self._answer = (
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 02:31:00 GMT\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\nConnection: keep-alive\r\n\r\n{text}"
        ).encode()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]

    def answer(self, requests: int, proxy: Process):
        """Waits for that many requests, each on a connection of its own, and then answers them. Others go on waiting."""
        self.wait(requests, proxy)
        for connection in self._waiting[:requests]:
            connection.sendall(self._answer)
        del self._waiting[:requests]

    def wait(self, requests: int, proxy: Process):
        """Until that many requests wait for an answer."""
        deadline = time.monotonic() + _PATIENCE
        while len(self._waiting) < requests:
            if time.monotonic() > deadline:
                raise Failure(f"a side got {len(self._waiting)} of {requests} requests within {_PATIENCE:.0f} s:\n{proxy.tail()}")
            self._look(1)

    def waiting(self) -> int:
        """How many requests wait, once no more come."""
        while self._look(0.5):
            pass
        return len(self._waiting)

    def close(self):
        """Closes all connections."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _look(self, seconds: float) -> bool:
        """Takes what comes within some time; whether anything came."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif self._has_request(key.fileobj):
                self._waiting.append(key.fileobj)
        return bool(ready)

    def _accept(self):
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)

    def _has_request(self, connection: socket.socket) -> bool:
        came = connection.recv(65536)
        if came and not came.endswith(b"\r\n\r\n"):
            raise Failure(f"a side got something else than the head of one request: {came!r}")
        if not came:
            self._selector.unregister(connection)
            connection.close()
        return bool(came)


class Clients:
    """Connections to a proxy that ask in turn for a thousand keys, as wrk does in the other benches."""

    def __init__(self, port: int, size: str, proxy: Process):
        self._body = body(SIZES[size], SAME).encode()
        self._head = f"GET /{SAME}/{size}/k%d HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        self._proxy, self._turn = proxy, 0
        self._connections = [_connected(port, proxy) for _ in range(CONNECTIONS)]

    def ask(self):
        """Sends a request on each connection."""
        for connection in self._connections:
            self._turn = self._turn % KEYS + 1
            connection.sendall((self._head % self._turn).encode())

    def read(self):
        """Reads the answer of each, and looks whether it is the old side's."""
        for connection in self._connections:
            came = b""
            while not came.endswith(self._body):
                try:
                    piece = connection.recv(1 << 20)
                except TimeoutError:
                    piece = b""
                if not piece:
                    raise Failure(f"an answer ended after {came!r}:\n{self._proxy.tail()}")
                came += piece
            if not came.startswith(b"HTTP/1.1 200 OK\r\n"):
                raise Failure(f"an answer is {came!r}")

    def close(self):
        """Closes all connections."""
        for connection in self._connections:
            connection.close()


def _connected(port: int, proxy: Process) -> socket.socket:
    deadline = time.monotonic() + _PATIENCE
    while True:
        proxy.check()
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise Failure(f"{proxy.name} does not listen after {_PATIENCE:.0f} s:\n{proxy.tail()}") from None
            time.sleep(0.05)
