"""Hostile requests: what is sent on a connection, byte by byte."""

import json
import struct
from dataclasses import dataclass

from driver.frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, fields, frame, head, preface, request, stream

KIB = 1024


@dataclass(frozen=True)
class Request:
    """A row of the table: everything that one connection sends."""

    name: str
    title: str
    sent: bytes
    # Which listener takes it: "LISTEN", "BALANCED" behind the PROXY protocol, "ADMIN".
    to: str = "LISTEN"
    # How many answers end it, unless the connection ends first. With 0, none is expected before the end: the connection is closed by this side.
    answers: int = 1


def plain(path: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> bytes:
    """A request of HTTP/1.1."""
    length = b"content-length: %d\r\n" % len(body) if method != "GET" else b""
    return f"{method} {path} HTTP/1.1\r\nhost: a\r\n".encode() + b"".join(line + b"\r\n" for line in lines) + length + b"\r\n" + body


def ordinary(size: int = KIB) -> bytes:
    """An ordinary request of that size."""
    bare = len(plain("/p/k1", b"user-agent: bench", b"accept: */*", b"content-type: text/plain", method="POST", body=bytes(100)))
    return plain("/p/k1", b"user-agent: bench", b"accept: */*", b"content-type: text/plain", method="POST", body=b"x" * (size - bare + 100))


def _chunks(size: int, extension: bytes, count: int) -> bytes:
    start = b"POST /p/k1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    return start + (b"%x" % size + extension + b"\r\n" + b"x" * size + b"\r\n") * count + b"0\r\n\r\n"


def _keyed(body: bytes) -> bytes:
    return plain("/body", b"content-type: application/json", method="POST", body=body)


def _json(document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


_METHOD_GET, _SCHEME_HTTP = b"\x82", b"\x86"
# The first place of the receiver's own table (RFC 7541 §2.3.3), and where authority and path are after the field that was kept last.
_NEWEST = b"\xbe"


def _bomb(value: int, references: int, streams: int) -> bytes:
    """A large field is kept once, and then named by a byte as often as heads may have it."""
    begin = fields([(b":path", b"/p/k1"), (b":authority", b"a")], kept=True) + fields([(b"x-large", b"a" * value)], kept=True)
    sent = preface() + frame(HEADERS, END_STREAM | END_HEADERS, 1, _METHOD_GET + _SCHEME_HTTP + begin)
    # The newest is x-large, then authority, then path.
    again = _METHOD_GET + _SCHEME_HTTP + b"\xc0\xbf" + _NEWEST * references
    return sent + b"".join(frame(HEADERS, END_STREAM | END_HEADERS, stream(number), again) for number in range(1, streams))


def _long_bomb(references: int) -> bytes:
    """The same in one head that never has an end in sight, in frames of 16 KiB."""
    begin = head(path=b"/p/k1") + fields([(b"x-large", b"a" * 3900)], kept=True)
    block = begin + _NEWEST * references
    pieces = [block[at:at + 16_000] for at in range(0, len(block), 16_000)]
    sent = preface() + frame(HEADERS, END_STREAM | (END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0])
    return sent + b"".join(frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece) for piece in pieces[1:])


_V2 = b"\r\n\r\n\x00\r\nQUIT\n"

REQUESTS = [
    Request("field", "head with a field of 63 KiB", plain("/p/k1", b"x-a: " + b"a" * 63 * KIB)),
    Request("fields", "head of 98 short fields", plain("/p/k1", *[b"a%d: b" % number for number in range(98)])),
    Request("full", "head of 98 fields that fill 63 KiB", plain("/p/k1", *[b"a%d: " % number + b"b" * 640 for number in range(98)])),
    Request("many", "head of 15,000 fields", plain("/p/k1", *[b"a:"] * 15_000)),
    Request("connection", "Connection names 5,000 fields", plain("/p/k1", b"connection: " + b"a, " * 5000 + b"close")),
    Request("forwarded", "X-Forwarded-For with 8,000 addresses", plain("/p/k1", b"x-forwarded-for: " + b"1.1.1.1," * 8000)),
    Request("segments", "path of 8,000 segments", plain("/p" + "/a" * 8000)),
    Request("escapes", "path of 5,000 escapes", plain("/p/" + "%41" * 5000)),
    Request("query", "query of 5,000 parameters, keyed", plain("/query?" + "a=&" * 5000)),
    Request("cookie", "63 KiB of cookies, keyed", plain("/cookie", b"cookie: " + b"a=b; " * 12_800)),
    Request("body", "10 MiB, keyed by body", _keyed(b"[" + b"1," * (5 * KIB * KIB - 10) + b"1]")),
    Request("nested", "64 KiB of brackets, keyed by body", _keyed(b"[" * 32_000 + b"]" * 32_000)),
    Request("names", "64 KiB of names, keyed by body", _keyed(_json({f"{number}": 1 for number in range(6500)}))),
    Request("same-names", "64 KiB of one name, keyed by body", _keyed(b'{"a":{' + b",".join([b'"b":1'] * 10_000) + b"}}")),
    Request("number", "a number of 60,000 digits, keyed by body", _keyed(b'{"a":{"b":' + b"9" * 60_000 + b"}}")),
    Request("escaped", "64 KiB of escapes, keyed by body", _keyed(b'{"a":{"b":"' + b"\\u0041" * 10_000 + b'"}}')),
    Request("chunks", "60 KiB in chunks of a byte", _chunks(1, b"", 60 * KIB)),
    Request("extensions", "chunks with extensions", _chunks(1, b";" + b"a" * 100, 100)),
    Request("h2-data", "h2: 4,000 DATA frames of a byte", preface() + request(0, b"POST", 0) + frame(DATA, 0, 1, b"x") * 4000 + frame(DATA, END_STREAM, 1)),
    Request("h2-bomb", "h2: a field of 3,900 bytes, named 3 times in each of 100 heads", _bomb(3900, 3, 100), answers=100),
    Request("h2-small", "h2: a field of 60 bytes, named 90 times in each of 100 heads", _bomb(60, 90, 100), answers=100),
    Request("h2-tiny", "h2: 100 requests at once, in 13 bytes each", _bomb(1, 0, 100), answers=100),
    Request("h2-named", "h2: a field of 60 bytes, named 40 times in each of 100 heads", _bomb(60, 40, 100), answers=100),
    Request("h2-long", "h2: a field of 3,900 bytes, named 15,000 times in a head", _long_bomb(15_000)),
    Request("upgrade", "an upgrade with 63 KiB of names", plain("/p/k1", b"connection: upgrade", b"upgrade: " + b"a, " * 21_000 + b"b")),
    Request("proxy-v1", "PROXY header without an end", b"PROXY TCP4 " + b"1" * 4000, to="BALANCED", answers=0),
    Request("proxy-v2", "PROXY header of 65,535 bytes", _V2 + struct.pack(">BBH", 0x21, 0x11, 65_535) + bytes([127, 0, 0, 1] * 2) + bytes(4) + bytes(65_523) + plain("/p/k1"), to="BALANCED"),
    Request("admin", "admin API: 60 KiB of brackets", plain("/api/override", b"content-type: application/json", method="PUT", body=b"[" * 60_000), to="ADMIN"),
    Request("admin-text", "admin API: a reason of 60 KiB", plain("/api/override", b"content-type: application/json", method="PUT", body=_json({"serve": "old", "route": "none", "reason": "a" * 60_000})), to="ADMIN"),
]
