"""The JSON that the two sides of the training answer. Always the same bytes for the same name."""

import gzip
import json
import random
from functools import lru_cache

from driver.bodies import reversed_keys

EQUAL, REORDERED, DIFFERENT, RESPELLED = "equal", "reordered", "different", "respelled"
# How many of a hundred documents the new side answers in which way.
_SHARES = ((EQUAL, 60), (REORDERED, 25), (DIFFERENT, 10), (RESPELLED, 5))
_WORDS = ("café", "node", "value \"quoted\"", "long-word-without-end", "x", "data\\path", "line\nbreak", "tag::section", "2024-05-17T08:30:00Z", "日本")


def way(name: str) -> str:
    """How the new side's document of this name differs from the old one's."""
    left = _generator(f"way {name}").randrange(100)
    for found, share in _SHARES:
        if left < share:
            return found
        left -= share
    raise AssertionError("the shares are not a hundred")


@lru_cache(maxsize=4096)
def document(name: str, size: int, new: bool) -> bytes:
    """A document of about this size."""
    generator = _generator(name)
    value = {"id": name, "total": 0, "updated_at": generator.randrange(10**9), "next": None, "items": []}
    length = 0
    while length < size:
        value["items"].append(_item(generator, len(value["items"])))
        length += len(json.dumps(value["items"][-1])) + 1
    value["total"] = len(value["items"])
    kind = way(name) if new else EQUAL
    if kind == DIFFERENT:
        changed = generator.choice(value["items"])
        changed["count"] += 1
        changed.pop("note", None)
    if kind == REORDERED:
        value = reversed_keys(value)
    if kind == RESPELLED:
        return json.dumps(value, ensure_ascii=True, indent=1).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=1024)
def compressed(body: bytes) -> bytes:
    """With gzip."""
    return gzip.compress(body, mtime=0)


def _generator(name: str) -> random.Random:
    return random.Random(f"training {name}")


def _item(generator: random.Random, number: int) -> dict:
    item = {
        "id": 1000 + 7 * number,
        "name": " ".join(generator.choices(_WORDS, k=3)),
        "count": generator.randrange(-5, 10**6),
        "weight": generator.uniform(0, 100),
        "active": generator.random() < 0.5,
        "tags": [f"field::{generator.choice(_WORDS)}" for _ in range(generator.randrange(5))],
        "owner": {"id": generator.randrange(10**12), "since": "2021-03-17", "parent": None},
    }
    if generator.random() < 0.3:
        item["note"] = generator.choice(_WORDS) * generator.randrange(1, 9)
    return item
