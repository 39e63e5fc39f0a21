"""The command: which part, how many rounds; then tables."""

import argparse
import os
import shutil
import sys

from driver import command, paper
from driver.command import Options
from driver.proxies import CROSSFADE, free_port
from driver.sides import Side
from driver.tools import TARGET, gather, say

from guided.driver.build import guided

from . import growth, idle, reload, report
from .growth import Case
from .peers import PROXIES
from .rows import CONNECTIONS, FEW_CONNECTIONS, FEW_ROUTES, ROUTES, Rows
from .sockets import allow

CONNECTIONS_PART, ROUTES_PART, IDLE, RELOAD = "connections", "routes", "idle", "reload"
PARTS = [CONNECTIONS_PART, ROUTES_PART, IDLE, RELOAD]
# A proxy needs two for each client, and some; HAProxy says so of itself.
_FILES = 18_000


def _options() -> argparse.Namespace:
    options = Options("scale", "Measures what grows with connections, routes and reloads", "the tables")
    options.amount("--rounds", 3, 1, "how often CPU times are measured; idle connections and reloads one round less, at least one")
    options.amount("--seconds", 3, 2, "how long CPU time is measured, after the warm-up")
    options.quick("1 round of 2 seconds, 20 reloads, 1,000 idle connections: a first look")
    options.part("--only", PARTS)
    options.part("--proxies", PROXIES)
    return options.read()


def _run():
    options = _options()
    allow(_FILES)
    cores = command.cores()
    tools = gather({*options.proxies, "nginx", "wrk", "h2load"}, guided)
    facts = {**paper.about(tools), "rounds": options.rounds, "seconds": options.seconds}
    os.sched_setaffinity(0, {cores[0]})
    folder = (TARGET / "bench-scale/run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    sides = {name: Side(name, tools, cores[0], folder / "sides", free_port()) for name in ("old", "new")}
    rows = Rows()

    def round_of(rows_of: dict, bench, cases: list, turn: int):
        for case in cases:
            sample = bench.sample(case)
            Rows.add(rows_of, case, sample)
            say(f"round {turn}: {case}: {sample.problem or sample}")
        # Written after each round, so that a run which is broken off leaves what it has.
        report.write(options.out, rows, facts)

    grows = growth.Bench(tools, cores, folder, sides, options.seconds)
    for turn in range(1, options.rounds + 1):
        round_of(rows.growth, grows, _cases(options.only, options.proxies), turn)
    rests = idle.Bench(tools, cores[1], folder, sides, 1000 if options.quick else idle.CONNECTIONS)
    reloads = reload.Bench(tools, cores, folder, sides, 20 if options.quick else reload.RELOADS)
    for turn in range(1, max(2, options.rounds)):
        if IDLE in options.only:
            round_of(rows.idle, rests, options.proxies, turn)
    if RELOAD in options.only and CROSSFADE in options.proxies:
        round_of(rows.reload, reloads, [CROSSFADE], 1)
    written = report.write(options.out, rows, facts)
    print(report.table(rows))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("scale", report.markdown(rows, facts))


def _cases(parts: list[str], proxies: list[str]) -> list[Case]:
    """One round: the smallest case, which both parts are held against, and then the larger ones, all proxies in turn."""
    sizes = []
    if CONNECTIONS_PART in parts:
        sizes += [(connections, FEW_ROUTES) for connections in CONNECTIONS]
    if ROUTES_PART in parts:
        sizes += [(FEW_CONNECTIONS, routes) for routes in ROUTES]
    return [Case(*size, proxy) for size in dict.fromkeys(sizes) for proxy in proxies]


if __name__ == "__main__":
    sys.exit(command.run("scale", _run))
