"""The proxies with any number of routes, each for a template of its own."""

from contextlib import contextmanager
from pathlib import Path

from driver.proxies import CROSSFADE, started, template
from driver.tools import Tools

PEERS = Path(__file__).resolve().parents[1] / "peers"

# In the order of measuring.
PROXIES = [CROSSFADE, "nginx", "haproxy", "envoy"]
READY = "/same/1k/r000/ready/tags"


@contextmanager
def started_with(name: str, routes: int, tools: Tools, core: int, folder: Path, sides: dict[str, int]):
    """A fresh proxy with so many routes, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "haproxy":
        (folder / "routes.map").write_text("".join(f"{prefix(route)} old\n" for route in range(routes)))
    values = {"OLD": sides["old"], "NEW": sides["new"], "ROUTES": "\n".join(_route(name, route) for route in range(routes))}
    with started(name, template(PEERS, name, "scale"), tools, core, folder, values, READY) as proxy:
        yield proxy


def prefix(route: int) -> str:
    """How the paths of a route begin: always as long."""
    return f"/same/1k/r{route:03}/"


def _route(name: str, route: int) -> str:
    """The others have no templates; they get what costs them least, a prefix."""
    return {
        CROSSFADE: f'\n[[route]]\nname    = "r{route:03}"\nmatch   = "GET {prefix(route)}{{id}}/tags"\nkey     = "{{path.id}}"\npercent = 0',
        "nginx": f"        location {prefix(route)} {{ proxy_pass http://old; }}",
        "haproxy": "",
        "envoy": f'              - match: {{ prefix: "{prefix(route)}" }}\n                route: {{ cluster: old }}',
    }[name]
