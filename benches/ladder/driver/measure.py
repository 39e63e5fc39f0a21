"""One run: a program is started, warmed up, counted over a number of requests, and asked whether it did what it should."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from driver.bodies import ONE, SAME
from driver.process import Failure, Process
from driver.proxies import Metrics, free_port
from driver.sides import fetch

from .lockstep import CONNECTIONS, Clients, Side
from .rungs import CROSSFADE, LAB, OTHER, SERVING, SCARCE, Run, group

# More than the lab's queue and what it has in hand, so that where nobody answers both are full.
_WARM_UP = 30
# After the last answer the last pairs are judged: until the process has slept this long. The kernel tells CPU time in steps of 10 ms.
_QUIET = 0.4
_PATIENCE = 60.0

_ROUTES = """[migration]
name = "ladder"

[server]
listen    = "127.0.0.1:{listen}"
admin     = "127.0.0.1:{admin}"
workers   = 1
state_dir = "{folder}/state"

[old]
url = "http://127.0.0.1:{old}"

[new]
url     = "http://127.0.0.1:{new}"
timeout = "1h"

# A side of this bench has one connection, and a rung counts pairs: nobody is asked more than once for one.
[noise]
sample = 0

[[route]]
name    = "bodies"
compare = {{ recheck = [] }}
match   = "GET /{{kind}}/{{size}}/{{id}}"
key     = "{{path.id}}"
percent = 0
shadow  = {{ percent = {shadow}, timeout = "1h" }}
"""


@dataclass
class Count:
    """Instructions for a request, by what the threads are for."""

    serving: float
    lab: float
    other: float

    @property
    def all(self) -> float:
        """Of the whole process."""
        return self.serving + self.lab + self.other


def measure(run: Run, program: str, counting: type, folder: Path, batches: int) -> Count:
    """Counts over `batches` requests on each connection. What the program said, and callgrind's profiles, stay in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    counter = counting(folder)
    old, new = Side(run.size, SAME), Side(run.size, SAME if run.new in (None, SCARCE) else run.new)
    listen, admin = free_port(), free_port()
    config = folder / "routes.toml"
    config.write_text(_ROUTES.format(listen=listen, admin=admin, old=old.port, new=new.port, folder=folder, shadow=100 if run.new else 0))
    rest = ["run", "--config", str(config)] if run.program == CROSSFADE else [run.rung, str(config)]
    core = max(os.sched_getaffinity(0))
    with Process(run.program, counter.under([program, *rest]), core, folder / "out", counter.env) as process:
        clients = Clients(listen, run.size, process)

        def load(turns: int, in_hand: int):
            for _ in range(turns):
                if in_hand:
                    new.answer(1, process)
                    # The lab has taken up the next pair: there is room for one.
                    new.wait(in_hand, process)
                clients.ask()
                old.answer(CONNECTIONS, process)
                clients.read()
                if run.new not in (None, SCARCE):
                    new.answer(CONNECTIONS, process)
            _settle(process)

        load(_WARM_UP, 0)
        in_hand = new.waiting() if run.new == SCARCE else 0
        before = _metrics(run, admin)
        counter.begin(process)
        load(batches, in_hand)
        threads = counter.end(process)
        _look(run, before, _metrics(run, admin), batches)
        # It would wait for the clients, and for answers that never come.
        process.kill()
    for side in (clients, old, new):
        side.close()
    counts = {SERVING: 0.0, LAB: 0.0, OTHER: 0.0}
    for thread, instructions in threads.items():
        counts[group(run.program, thread)] += instructions / (batches * CONNECTIONS)
    if not counts[SERVING]:
        raise Failure(f"no thread of {run.program} is known to serve: {', '.join(threads)}")
    return Count(**counts)


def _settle(process: Process):
    deadline = time.monotonic() + _PATIENCE
    spent = None
    while spent != (spent := process.cpu_seconds()):
        if time.monotonic() > deadline:
            raise Failure(f"{process.name} does not come to rest within {_PATIENCE:.0f} s of the last answer")
        time.sleep(_QUIET)


def _metrics(run: Run, admin: int) -> "Metrics | None":
    return Metrics(fetch(f"http://127.0.0.1:{admin}/metrics")) if run.program == CROSSFADE else None


def _look(run: Run, before: "Metrics | None", after: "Metrics | None", batches: int):
    """Whether what was counted is what the rung says."""
    if before is None or after is None:
        return
    requests = batches * CONNECTIONS
    wanted = {("crossfade_requests_total", "code_class", "2xx"): requests}
    if run.new == SCARCE:
        wanted[("crossfade_shadow_dropped_total", "reason", "queue")] = requests - batches
        wanted[("crossfade_shadow_requests_total", "side", "new")] = batches
    elif run.new:
        wanted[("crossfade_comparisons_total", "verdict", "mismatch" if run.new == ONE else "match")] = requests
    for (name, label, value), number in wanted.items():
        grown = after.by(name, label).get(value, 0) - before.by(name, label).get(value, 0)
        if grown != number:
            raise Failure(f'{name}{{{label}="{value}"}} has grown by {grown:.0f} instead of {number}')
