"""The proxies that are measured: started fresh for each measurement with a file made from a template, pinned to one core."""

import re
import socket
from contextlib import contextmanager
from pathlib import Path

from .process import Failure, Process
from .sides import fetch, wait_for
from .tools import Tools

CROSSFADE = "crossfade"
# The same program, built without a profile to guide the compiler.
PLAIN = "plain"
SUFFIXES = {CROSSFADE: "toml", "nginx": "conf", "haproxy": "cfg", "envoy": "yaml"}
TITLES = {CROSSFADE: "crossfade", PLAIN: "crossfade, plain build", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}


class Proxy:
    """A proxy that runs."""

    def __init__(self, name: str, process: Process, url: str, admin: str):
        self.name, self.process, self.url, self.admin = name, process, url, admin
        self.port = int(url.rpartition(":")[2])

    def metrics(self) -> "Metrics":
        """What crossfade counts."""
        return Metrics(fetch(f"{self.admin}/metrics"))


class Metrics:
    """A page of Prometheus metrics."""

    def __init__(self, text: str):
        self._text = text

    def total(self, name: str) -> float:
        """The sum of all series of a metric."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)$", self._text, re.MULTILINE))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The series of a metric, added up by one label."""
        found: dict[str, float] = {}
        for value, number in re.findall(rf'^{name}{{[^\n]*\b{label}="([^"]*)"[^\n]*}} (\S+)$', self._text, re.MULTILINE):
            found[value] = found.get(value, 0) + float(number)
        return found


def template(peers: Path, name: str, work: str) -> Path:
    """The file of a folder with which a proxy does a work; there is none if it can't."""
    family = CROSSFADE if name == PLAIN else name
    return peers / f"{family}-{work}.{SUFFIXES[family]}"


@contextmanager
def started(name: str, source: Path, tools: Tools, core: int, folder: Path, values: dict, ready: str, scheme: str = "http"):
    """A fresh proxy, for as long as the block runs. Its file is `source` with `values` in their places; it is up when it answers at the path `ready`."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"LISTEN": free_port(), "ADMIN": free_port()}
    config = folder / source.name
    config.write_text(fill(source, {**ports, "DIR": folder, **values}))
    process = Process(name, _argv(name, tools.paths[name], config), core, folder / f"{name}.out", tools.env)
    with process:
        url = f"{scheme}://127.0.0.1:{ports['LISTEN']}"
        wait_for(process, f"{url}{ready}")
        yield Proxy(name, process, url, f"http://127.0.0.1:{ports['ADMIN']}")


def _argv(name: str, program: str, config: Path) -> list[str]:
    ours = [program, "run", "--config", str(config)]
    return {
        CROSSFADE: ours,
        PLAIN: ours,
        "nginx": [program, "-c", str(config), "-e", str(config.with_name("error.log"))],
        "haproxy": [program, "-db", "-f", str(config)],
        "envoy": [program, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
    }[name]


def fill(source: Path, values: dict) -> str:
    """A template with `values` in their places."""
    def value(found: re.Match) -> str:
        if found.group(1) not in values:
            raise Failure(f"{source} has a placeholder that nobody fills: {found.group()}")
        return str(values[found.group(1)])

    return re.sub(r"@([A-Z]+)@", value, source.read_text())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
