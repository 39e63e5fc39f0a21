"""Hostile answers: pairs that the comparison has to judge. What a side sent counts as it came, before it is decoded."""

import gzip
import json
import struct
from dataclasses import dataclass

# Just below what is captured of an answer (shadow.max_body), so that a pair is judged.
_MOST = 250_000
_SMALL = 32_000


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
        """Bytes of both answers."""
        return len(self.old) + len(self.new)


def _json(document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _fill(element: bytes, most: int, start: bytes = b"[", end: bytes = b"]") -> bytes:
    return start + b",".join([element] * ((most - 20) // (len(element) + 1))) + end


def _zstd(byte: bytes, blocks: int) -> bytes:
    """A frame of blocks that each repeat a byte 131,072 times (RFC 8878 §3.1.1)."""
    block = [struct.pack("<I", (128 * 1024 << 3) | (1 << 1) | last)[:3] + byte for last in (0, 1)]
    return struct.pack("<IBB", 0xFD2FB528, 0x00, 0x38) + block[0] * (blocks - 1) + block[1]


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
    Pair("bomb-zstd", "zstd: 3.9 MB of blanks in 120 bytes", _zstd(b" ", 30), _zstd(b"\t", 30)),
    Pair("long-zstd", "zstd: 200 MB of blanks", _zstd(b" ", 1600), _zstd(b"\t", 1600)),
]
