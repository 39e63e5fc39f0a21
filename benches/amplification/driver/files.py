"""Hostile settings: texts of a routes.toml that is edited while the proxy runs."""

from dataclasses import dataclass

_HEAD = '[migration]\nname = "a"\n[old]\nurl = "http://127.0.0.1:1"\n[new]\nurl = "http://127.0.0.1:2"\n'


@dataclass(frozen=True)
class File:
    """A row of the table."""

    name: str
    title: str
    text: str


def _route(number: int, more: str = "") -> str:
    return f'[[route]]\nname = "r{number}"\nmatch = "GET /{number}/{{a}}"\nkey = "{{path.a}}"\n{more}'


ORDINARY = File("ordinary", "a file of 200 routes", _HEAD + "".join(map(_route, range(200))))

# What a check takes of any file that can be used.
LEAST = File("least", "a file of one route", _HEAD + _route(1))

FILES = [
    ORDINARY,
    File("routes", "20,000 routes", _HEAD + "".join(map(_route, range(20_000)))),
    File("same-routes", "10,000 routes that are one", _HEAD + _route(1).replace("r1", "x") * 10_000),
    File("hidden", "5,000 routes that the first hides", _HEAD + '[[route]]\nname = "all"\nmatch = "GET /{all*}"\n' + "".join(map(_route, range(5000)))),
    File("captures", "2,000 routes of 20 placeholders", _HEAD + "".join(f'[[route]]\nname = "r{n}"\nmatch = "GET ' + "".join(f"/{{p{m}}}" for m in range(20)) + f'/{n}"\n' for n in range(2000))),
    File("unknown", "20,000 keys that nobody knows", _HEAD + "".join(f"unknown{n} = 1\n" for n in range(20_000))),
    File("short", "17,000 short keys", _HEAD + "".join(f"{chr(97 + n % 26)}{n // 26:x}=1\n" for n in range(17_000))),
    File("misspelt", "20,000 keys of 60 letters", _HEAD + "".join(f"max_connectionsmax_connectionsmax_connectionsmax_connect{n:05}=1\n" for n in range(20_000))),
    File("tables", "20,000 unknown tables", _HEAD + "".join(f"[t{n}]\n" for n in range(20_000))),
    File("broken", "20,000 lines that are no TOML", _HEAD + "= 1\n" * 20_000),
    File("unclosed", "20,000 brackets", _HEAD + "a = " + "[" * 20_000),
    File("quotes", "20,000 texts that never end", _HEAD + 'a = "\n' * 20_000),
    File("dotted", "a key of 20,000 parts", _HEAD + ".".join(["a"] * 20_000) + " = 1\n"),
    File("pins", "50,000 pins", _HEAD + _route(1, "pin = { new = [" + ",".join(f'"{n}"' for n in range(50_000)) + "] }\n")),
    File("paths", "10,000 paths to ignore", _HEAD + _route(1, "compare = { ignore = [" + ",".join(f'"$..a{n}"' for n in range(10_000)) + "] }\n")),
    File("descents", "a path of 10,000 descents", _HEAD + _route(1, 'compare = { ignore = ["$' + "..a" * 10_000 + '"] }\n')),
    File("networks", "20,000 trusted networks", _HEAD + "[server]\ntrusted_proxies = [" + ",".join(f'"10.{n % 250}.{n // 250}.0/24"' for n in range(20_000)) + "]\n"),
    File("environment", "20,000 names of the environment in a url", _HEAD.replace("http://127.0.0.1:1", "http://" + "${NO}" * 20_000)),
    File("text", "a text of 1 MB", _HEAD.replace('"a"', '"' + "a" * 1_000_000 + '"')),
]
