"""The two backends: nginx with fixed bodies in memory, and its count of the requests that came."""

import re
import ssl
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .bodies import SAME, SIZES, VARIANTS, body
from .process import Failure, Process
from .tools import Tools

# nginx reads no word of its file that is longer than 4 KiB.
_PIECE = 3500


class Side:
    """A backend that runs."""

    def __init__(self, name: str, tools: Tools, core: int, folder: Path, port: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        config = folder / f"side-{name}.conf"
        config.write_text(_config(name, folder, port))
        argv = [tools.paths["nginx"], "-c", str(config), "-e", str(folder / f"side-{name}.log")]
        self.process = Process(f"backend {name}", argv, core, folder / f"side-{name}.out", tools.env)
        wait_for(self.process, f"http://127.0.0.1:{port}/status")
        self._asked = 1

    def seen(self) -> "Seen":
        """What has come so far. Asking is a request and a connection too, and not counted."""
        self._asked += 1
        numbers = re.findall(r"\d+", fetch(f"http://127.0.0.1:{self.port}/status"))
        return Seen(requests=int(numbers[3]) - self._asked, connections=int(numbers[1]) - self._asked)


@dataclass
class Seen:
    """Counts of a backend since it started."""

    requests: int
    connections: int


def _config(name: str, folder: Path, port: int) -> str:
    places = []
    for variant in VARIANTS:
        for size, length in SIZES.items():
            text = body(length, variant if name == "new" else SAME)
            if set(text) & set("'\\$"):
                raise AssertionError("a body that nginx's file can't hold as it is")
            pieces = [text[start:start + _PIECE] for start in range(0, length, _PIECE)]
            lines = [f"            set $piece_{index} '{piece}';" for index, piece in enumerate(pieces)]
            whole = "".join(f"${{piece_{index}}}" for index in range(len(pieces)))
            places.append("\n".join([f"        location /{variant}/{size}/ {{", *lines, f'            return 200 "{whole}";', "        }"]))
    return f"""daemon off;
worker_processes 1;
pid {folder}/side-{name}.pid;
error_log {folder}/side-{name}.log error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path {folder}/temp-body;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /status {{ stub_status; }}
{chr(10).join(places)}
    }}
}}
"""


def wait_for(process: Process, url: str):
    """Until a process answers."""
    deadline = time.monotonic() + 15
    while True:
        process.check()
        try:
            fetch(url)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failure(f"{process.name} does not answer at {url}: {error}\n{process.tail()}") from None
            time.sleep(0.05)


def fetch(url: str, seconds: float = 5) -> str:
    """The body of a page, on a connection of its own."""
    # Not through a proxy that the environment names.
    certificates = ssl.create_default_context()
    # Nobody vouches for the certificate of a bench.
    certificates.check_hostname, certificates.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=certificates))
    with opener.open(url, timeout=seconds) as answer:
        return answer.read().decode()
