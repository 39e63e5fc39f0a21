"""The attacks: what each connection sends, how many there are, and when the proxy must have closed one."""

import struct
from dataclasses import dataclass
from typing import Callable

from driver.frames import (
    CANCEL, CONTINUATION, DATA, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, preface, request, stream,
)

# A flood is not limited by a time: its connection must be gone this soon, by an attacker's clock that runs when nobody else wants its core.
_SOON = 4.0
# Beyond a limit on time, for the same reason.
_GRACE = 4.0
# `response_timeout` is 30 s, and over HTTP/2 it is looked at in fifths of itself.
_UNREAD = 36 + _GRACE
# `idle_timeout`.
_IDLE = 75 + _GRACE
_AT_ONCE = 50


@dataclass(frozen=True)
class Attack:
    """A row of the table."""

    name: str
    title: str
    # Connections that stand at the same time; one that was closed is opened anew.
    connections: int
    # What each begins with.
    begin: bytes
    # Seconds after which each must be closed.
    within: float
    # What is sent next as soon as all before it is sent, by its number.
    flood: "Callable[[int], bytes] | None" = None
    # What is sent each second.
    drip: bytes = b""
    # Whether answers are read.
    reads: bool = True


CONTROL = Attack("control", "none, for control", 0, b"", 0)


def _streams(number: int, one: Callable[[int], bytes]) -> bytes:
    return b"".join(one(number * _AT_ONCE + each) for each in range(_AT_ONCE))


def _reset(number: int) -> bytes:
    return request(number) + frame(RST_STREAM, 0, stream(number), CANCEL)


def _bad_update(number: int) -> bytes:
    # An increment of 0 is an error of the stream, which the proxy has to reset (RFC 9113 §6.9).
    return request(number) + frame(WINDOW_UPDATE, 0, stream(number), struct.pack(">I", 0))


_FIELD = fields([(b"x-a", b"b")])
_HEAD = b"HTTP/1.1\r\nhost: attacks.example\r\n"

ATTACKS = [
    CONTROL,
    Attack("reset", "h2: rapid reset", 4, preface(), _SOON, flood=lambda number: _streams(number, _reset)),
    Attack("continuation", "h2: CONTINUATION without end", 4, preface() + frame(HEADERS, END_STREAM, 1, _FIELD), _SOON, flood=lambda _: frame(CONTINUATION, 0, 1, _FIELD) * 200),
    Attack("data", "h2: empty DATA", 4, preface() + request(0, b"POST", 0), _SOON, flood=lambda _: frame(DATA, 0, 1) * 500),
    Attack("updates", "h2: bad WINDOW_UPDATEs", 4, preface(), _SOON, flood=lambda number: _streams(number, _bad_update)),
    Attack("pings", "h2: PING and SETTINGS, answers unread", 4, preface(), _SOON, flood=lambda _: (frame(PING, 0, 0, bytes(8)) + frame(SETTINGS, 0, 0)) * 200, reads=False),
    Attack("windows", "h2: windows that never open", 4, preface({INITIAL_WINDOW_SIZE: 0}) + b"".join(map(request, range(100))), _UNREAD),
    Attack("head", "h1: slow head", 500, b"GET /a/k1 " + _HEAD + b"x-a: ", 10 + _GRACE, drip=b"a"),
    Attack("body", "h1: slow body", 500, b"POST /a/k1 " + _HEAD + b"content-length: 1000000\r\n\r\n", 10 + _GRACE, drip=b"a"),
    Attack("idle", "h1: idle connections", 2000, b"", _IDLE),
    Attack("reader", "h1: answers unread", 4, (b"GET /a/k1 " + _HEAD + b"\r\n") * 10_000, 30 + _GRACE, reads=False),
]
