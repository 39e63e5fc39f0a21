"""A backend of our own (benches/isolation/backend.rs), whose behaviour can be changed while it runs."""

import json
from pathlib import Path

from .process import Failure, Process
from .proxies import free_port
from .sides import fetch, wait_for
from .tools import Tools


class Backend:
    """A backend that runs. One that gives way does so to everybody on its core."""

    def __init__(self, name: str, program: str, tools: Tools, core: int, folder: Path, gives_way: bool = False):
        folder.mkdir(parents=True, exist_ok=True)
        self.port, control = free_port(), free_port()
        self._control = f"http://127.0.0.1:{control}"
        argv = [program, "backend", "--port", str(self.port), "--control", str(control)]
        self.process = Process(f"backend {name}", argv, core, folder / f"{name}.out", tools.env, gives_way)
        wait_for(self.process, self._control)

    def behave(self, mode: str):
        """Closes every connection, and behaves like this from now on."""
        self.process.check()
        try:
            # Where it gives way to everybody, an order may take its time.
            fetch(f"{self._control}/mode/{mode}", 30)
        except OSError as error:
            raise Failure(f"{self.process.name} does not take the order to be {mode}: {error}") from None

    def seen(self) -> dict[str, int]:
        """Requests and connections since the start."""
        return json.loads(fetch(self._control, 30))
