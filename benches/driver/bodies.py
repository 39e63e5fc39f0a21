"""JSON of an exact size, and the same with its keys in another order or with one value changed. Always the same bytes."""

import json

SIZES = {"1k": 1024, "10k": 10 * 1024, "100k": 100 * 1024}

# What the new side answers, compared with the old one.
SAME, REORDERED, ONE = "same", "reordered", "one"
VARIANTS = (SAME, REORDERED, ONE)

_NAMES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")


def body(size: int, variant: str) -> str:
    """What a side answers. All variants of a size have the same length."""
    document = _document(size)
    if variant == ONE:
        last = document["items"][-1]
        last["in_stock"] = (last["in_stock"] + 1) % 10
    if variant == REORDERED:
        document = reversed_keys(document)
    text = _text(document)
    if len(text) != size:
        raise AssertionError(f"a body of {len(text)} bytes instead of {size}")
    return text


def _document(size: int) -> dict:
    document = {"total": 0, "items": [], "next": None, "note": ""}
    while len(_text({**document, "items": document["items"] + [_item(document["total"])]})) < size - 8:
        document["items"].append(_item(document["total"]))
        document["total"] += 1
    document["note"] = "x" * (size - len(_text(document)))
    return document


def _item(number: int) -> dict:
    return {
        "id": 100_000 + 7 * number,
        "name": f"{_NAMES[number % 8]}-{_NAMES[number // 8 % 8]}-{number}",
        "price": f"{number % 90 + 10}.{number * 37 % 90 + 10}",
        "weight": round(0.25 * (number % 16) + 0.125, 3),
        "in_stock": number % 10,
        "active": number % 3 != 0,
        "tags": [f"field::{_NAMES[number % 5]}", f"use::{_NAMES[number % 7]}"],
        "owner": {"id": 40 + number % 60, "name": _NAMES[number % 6], "since": f"2021-0{number % 9 + 1}-17"},
    }


def reversed_keys(value):
    """The same value, the members of each object in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [reversed_keys(element) for element in value]
    return value


def _text(document: dict) -> str:
    return json.dumps(document, separators=(",", ":"))
