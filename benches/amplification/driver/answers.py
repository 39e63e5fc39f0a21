"""Hostile answers: pairs that the comparison has to judge. What a side sent counts as it came, before it is decoded."""

import gzip
import json
import random
import struct
from dataclasses import dataclass
from typing import Callable

# Just below what is captured of an answer (shadow.max_body), so that a pair is judged.
_MOST = 250_000
_SMALL = 32_000
# Inserts nothing, and copies with the longest of the lengths' codes, at a distance that is told (RFC 7932 §5).
_COPIES = 384 + 7
_DISTANCES = [(half, 1 + half // 2, (2 + half % 2 << 1 + half // 2) - 4) for half in range(8)]
# Bytes that a block of zstd may become.
_BLOCK = 128 * 1024
# Bytes that an answer's head has at the least.
_HEAD = len(b"HTTP/1.1 200\r\ncontent-length: 100\r\ncontent-encoding: zstd\r\n\r\n")


@dataclass(frozen=True)
class Pair:
    """A row of the table."""

    name: str
    title: str
    old: bytes
    new: bytes
    # The route that judges it: "pair", or "rules" with its rules.
    route: str = "pair"

    @property
    def size(self) -> int:
        """Bytes of both answers, with heads as short as they can be."""
        return len(self.old) + len(self.new) + 2 * _HEAD


def _json(document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _fill(element: bytes, most: int, start: bytes = b"[", end: bytes = b"]") -> bytes:
    return start + b",".join([element] * ((most - 20) // (len(element) + 1))) + end


def _zstd(byte: bytes, blocks: int) -> bytes:
    """A frame of blocks that each repeat a byte 131,072 times (RFC 8878 §3.1.1)."""
    block = [struct.pack("<I", (128 * 1024 << 3) | (1 << 1) | last)[:3] + byte for last in (0, 1)]
    return struct.pack("<IBB", 0xFD2FB528, 0x00, 0x38) + block[0] * (blocks - 1) + block[1]


def _zstd_copy(begin: bytes, distance: int, copied: int, end: bytes) -> bytes:
    """A frame that goes on with what stood up to 4 bytes before: one sequence, each of whose three codes has a table to itself (RFC 8878 §3.1.1.3.2)."""
    def block(payload: bytes, kind: int, last: int) -> bytes:
        return struct.pack("<I", len(payload) << 3 | kind << 1 | last)[:3] + payload

    def sequence(length: int) -> bytes:
        # No literals before it; an offset (3 more than the distance) and a length, whose codes say how many bits are added to a power of two. They are
        # read from behind.
        width = (length - 3).bit_length() - 1
        bits = (1 << 2 | distance - 1) << width | (length - 3 - (1 << width))
        return bytes([0, 1, 0x54, 0, 2, 36 + width]) + bits.to_bytes((width + 3 + 7) // 8, "little")

    lengths = [_BLOCK] * (copied // _BLOCK) + [copied % _BLOCK] * (copied % _BLOCK > 200)
    blocks = b"".join(block(sequence(length), 2, 0) for length in lengths)
    return struct.pack("<IBB", 0xFD2FB528, 0x00, 0x38) + block(begin, 0, 0) + blocks + block(end, 0, 1)


def _brotli_copy(begin: bytes, distance: int, copied: int, end: bytes) -> bytes:
    """The same in one command (RFC 7932 §9), with the largest window: as few bytes as there can be for so much."""
    bits, count = 0, 0

    def put(value: int, width: int):
        nonlocal bits, count
        bits, count = bits | value << count, count + width

    def raw(text: bytes):
        nonlocal count
        put(0, 1)
        put(0, 2)
        put(len(text) - 1, 16)
        put(1, 1)
        count = (count + 7) // 8 * 8
        put(int.from_bytes(text, "little"), 8 * len(text))

    put(0b1111, 4)
    raw(begin)
    # Not the last, of so many bytes, coded; one type of block of each kind, no postfix, no direct distances, one mode of contexts, one tree of each kind.
    nibbles = max(4, ((copied - 1).bit_length() + 3) // 4)
    put(0, 1)
    put(nibbles - 4, 2)
    put(copied - 1, 4 * nibbles)
    put(0, 1)
    put(0, 3)
    put(0, 6)
    put(0, 2)
    put(0, 2)
    # A distance is told by bits beyond where its symbol begins (§4).
    half, width, base = next((half, width, base) for half, width, base in _DISTANCES if base < distance <= base + (1 << width))
    # Each tree has one symbol (kind 1, one of them): the literal 0, the command that copies 2,118 bytes and more, the distance.
    for symbol, bits_of_it in ((0, 8), (_COPIES, 10), (16 + half, 6)):
        put(1, 2)
        put(0, 2)
        put(symbol, bits_of_it)
    put(copied - 2118, 24)
    put(distance - 1 - base, width)
    raw(end)
    put(3, 2)
    return bits.to_bytes((count + 7) // 8, "little")


def _text(size: int) -> str:
    """What no coding makes much shorter."""
    return random.Random(size).randbytes(size).hex()[:size]


def _equal(count: int) -> tuple[bytes, bytes]:
    """Arrays of equal texts, one with another one at its end."""
    return _json(["a"] * count), _json(["a"] * (count - 1) + ["b"])


def _coded(copy: Callable[[bytes, int, int, bytes], bytes], element: bytes, copied: int, text: int = 0) -> tuple[bytes, bytes]:
    """The same, coded by hand, behind a text that both have."""
    begin = b'["' + _text(text).encode() + b'",' + element
    copied -= copied % len(element)
    return copy(begin, len(element), copied, b"1]"), copy(begin, len(element), copied - len(element), b"2]")


def _shifted(count: int, step: int) -> list[dict]:
    """Elements that are all a little alike, and none of them equal."""
    return [{"id": f"{step}{number}", "k": number % 3, "l": number % 5, "m": [number % 2, step], "n": {"o": number % 7}} for number in range(count)]


def _alike(most: int) -> tuple[bytes, bytes]:
    count = most // len(_json(_shifted(1, 1000)))
    return _json(_shifted(count, 1000)), _json(_shifted(count, 2000))


_NEAR = [number * 1e-7 for number in range(_SMALL // 24)]

PAIRS = [
    Pair("ones", "32 KB: arrays of equal numbers, one less", _fill(b"1", _SMALL), _fill(b"1", _SMALL)[:-4] + b",2]"),
    Pair("ones-large", "250 KB: the same", _fill(b"1", _MOST), _fill(b"1", _MOST)[:-4] + b",2]"),
    Pair("few", "32 KB: two numbers in another order", _json([n % 2 for n in range(15_000)]), _json([n * n // 7 % 2 for n in range(15_000)])),
    Pair("primes", "32 KB: as many equal pairs as are looked at", _json([n % 401 for n in range(8000)]), _json([n * 31 % 401 for n in range(8000)])),
    Pair("alike", "32 KB: objects that are all a little alike", *_alike(_SMALL)),
    Pair("alike-large", "250 KB: the same", *_alike(_MOST)),
    Pair("gaps", "32 KB: gaps of 64 by 64", _json([[0] + [{"a": [n, m, 1, 2, 3]} for m in range(63)] for n in range(20)]), _json([[0] + [{"a": [n, m, 4, 5, 6]} for m in range(63)] for n in range(20)])),
    Pair("near", "32 KB: numbers within a tolerance", _json({"a": _NEAR}), _json({"a": [number + 3e-8 for number in reversed(_NEAR)] + [9.5]}), "rules"),
    Pair("loose", "32 KB: numbers that all could be each other", _json({"a": [n % 100 * 0.004 for n in range(3000)]}), _json({"a": [n % 100 * 0.004 + 0.3 for n in range(3000)]}), "rules"),
    Pair("weights", "32 KB: objects that the tolerance tells apart late", _json({"a": [{"w": 0.1, "k": n} for n in range(1500)]}), _json({"a": [{"w": 0.2, "k": -n} for n in range(1, 1500)]}), "rules"),
    Pair("identity", "32 KB: one identity for all", _json({"b": [{"id": 1, "n": n} for n in range(1600)]}), _json({"b": [{"id": 1, "n": -n} for n in range(1600)]}), "rules"),
    Pair("nested", "250 KB: arrays within each other, as deep as allowed", _fill(b"[" * 120 + b"1" + b"]" * 120, _MOST), _fill(b"[" * 120 + b"2" + b"]" * 120, _MOST)),
    Pair("brackets", "250 KB of brackets", b"[" * _MOST, b"[" * (_MOST - 1) + b"]"),
    Pair("names", "250 KB: many names, in another order", _json({f"{n}": n for n in range(17_000)}), _json({f"{n}": n + 1 for n in reversed(range(17_000))})),
    Pair("same-names", "250 KB: one name, many times", _fill(b'"a":1', _MOST, b"{", b"}"), _fill(b'"a":2', _MOST, b"{", b"}")),
    Pair("twins", "250 KB: many names, each twice", b"{" + b",".join(b'"%d":1' % (n % 9000) for n in range(18_000)) + b"}", b"{" + b",".join(b'"%d":2' % (n % 9000) for n in range(18_000)) + b"}"),
    Pair("number", "250 KB: one number", b"1" + b"0" * _MOST, b"1" + b"0" * (_MOST - 2) + b"e2"),
    Pair("exponents", "250 KB: numbers with exponents", _fill(b"1e-999999999", _MOST), _fill(b"1e-999999998", _MOST)),
    Pair("escapes", "250 KB: escapes", b'"' + b"\\u00e9" * (_MOST // 6) + b'"', b'"' + b"\\u00E9" * (_MOST // 6 - 1) + b'e"'),
    Pair("empty", "250 KB: empty objects", _fill(b"{}", _MOST), _fill(b"{}", _MOST)[:-3] + b"[]]"),
    Pair("zeros-gzip", "gzip: 3 MB of blanks", gzip.compress(b"1" + b" " * 3_000_000), gzip.compress(b"2" + b" " * 3_000_000)),
    Pair("bomb-gzip", "gzip: 200 MB of blanks", gzip.compress(b" " * 200_000_000, 9), gzip.compress(b" " * 199_000_000, 9)),
    Pair("values-gzip", "gzip: 190,000 values", gzip.compress(_json([1] * 190_000), 9), gzip.compress(_json([2] * 190_000), 9)),
    # Just within what a body may become: 4,000 bytes, or 100 times its size; and 250 values, or 4 for each byte.
    Pair("small-gzip", "gzip: 245 values", *(gzip.compress(text, 9) for text in _equal(245))),
    Pair("small-br", "br: 240 values in 30 bytes", *_coded(_brotli_copy, b'"abcdefghijklm",', 3600)),
    Pair("small-zstd", "zstd: 240 values in 40 bytes", *_coded(_zstd_copy, b'"a",', 940)),
    Pair("full-gzip", "gzip: 4 values for each byte", *(gzip.compress(_json([_text(1500)])[:-1] + b"," + text[1:], 9) for text in _equal(3740))),
    Pair("full-br", "br: 4 values for each byte", *_coded(_brotli_copy, b'"abcdefghijklmnopqrst",', 93_000, 1000)),
    Pair("full-zstd", "zstd: 4 values for each byte", *_coded(_zstd_copy, b'"a",', 16_200, 1000)),
    Pair("large-br", "br: 95,000 values", *_coded(_brotli_copy, b'"a",', 380_000, 24_000)),
    Pair("alike-gzip", "gzip: objects that are all a little alike", *(gzip.compress(text, 9) for text in _alike(_SMALL))),
    Pair("alike-large-gzip", "gzip: 1 MB of the same", *(gzip.compress(text, 9) for text in _alike(4 * _MOST))),
    Pair("few-gzip", "gzip: two numbers in another order", *(gzip.compress(_json([n * n // 7 % k % 2 for n in range(245)]), 9) for k in (2, 3))),
    Pair("bomb-br", "br: 16 MB of values in 30 bytes", *_coded(_brotli_copy, b'"a",', 16_000_000)),
    Pair("bomb-zstd", "zstd: 3.9 MB of blanks in 120 bytes", _zstd(b" ", 30), _zstd(b"\t", 30)),
    Pair("long-zstd", "zstd: 200 MB of blanks", _zstd(b" ", 1600), _zstd(b"\t", 1600)),
]
