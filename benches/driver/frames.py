"""As much of HTTP/2 as a client needs that keeps none of its rules (RFC 9113 §4.1, RFC 7541 §6)."""

import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
# Flags of DATA and HEADERS, and of HEADERS and CONTINUATION.
END_STREAM, END_HEADERS = 1, 4
# Names in SETTINGS.
INITIAL_WINDOW_SIZE = 4
CANCEL = struct.pack(">I", 8)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def preface(settings: "dict[int, int] | None" = None) -> bytes:
    """What a connection begins with."""
    payload = b"".join(struct.pack(">HI", name, value) for name, value in (settings or {}).items())
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, payload)


def fields(pairs: "list[tuple[bytes, bytes]]", kept: bool = False) -> bytes:
    """Fields written out; those that are kept enter the receiver's table."""
    first = b"\x40" if kept else b"\x00"
    return b"".join(first + _text(name) + _text(value) for name, value in pairs)


def head(method: bytes = b"GET", path: bytes = b"/a/k1") -> bytes:
    """The block of a request's head."""
    return fields([(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"attacks.example")])


def request(number: int, method: bytes = b"GET", flags: int = END_STREAM, more: bytes = b"") -> bytes:
    """A request on the nth stream of a client."""
    return frame(HEADERS, flags | END_HEADERS, stream(number), head(method) + more)


def stream(number: int) -> int:
    """The nth number that a client may give a stream."""
    return 2 * number + 1


def _text(text: bytes) -> bytes:
    """A length and the bytes: lengths from 127 on are continued in sevens of bits (RFC 7541 §5.1)."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    length, rest = b"\x7f", len(text) - 127
    while rest >= 128:
        length, rest = length + bytes([rest % 128 + 128]), rest // 128
    return length + bytes([rest]) + text
