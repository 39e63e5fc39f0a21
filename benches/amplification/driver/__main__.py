"""The command: which inputs; then a table."""

import argparse
import os
import shutil
import sys
from contextlib import contextmanager
from typing import Callable

from driver import command, paper
from driver.command import Options
from driver.process import Failure
from driver.proxies import CROSSFADE, free_port, started, template
from driver.tools import TARGET, gather, say

from guided.driver.build import guided

from . import report
from .answers import PAIRS, Pair
from .files import FILES
from .measure import PEERS, Answers, Bench, Cost, checked
from .report import Row
from .requests import REQUESTS


def _options() -> argparse.Namespace:
    options = Options("amplification", "Measures what memory and CPU time one hostile input can cost crossfade")
    options.part("--only", [*(f"request:{each.name}" for each in REQUESTS), *(f"pair:{each.name}" for each in PAIRS), *(f"file:{each.name}" for each in FILES)])
    return options.read()


def _run():
    options = _options()
    cores = command.cores()
    tools = gather({CROSSFADE, "nginx"}, guided)
    facts = paper.about(tools)
    os.sched_setaffinity(0, {cores[0]})
    folder = (TARGET / "bench-amplification/run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sides = {name: Answers(name, tools, cores[0], folder) for name in ("old", "new")}
    ports = {"OLD": sides["old"].port, "NEW": sides["new"].port, "BALANCED": free_port()}
    rows: list[Row] = []

    def row(kind: str, each, measure: Callable[[], Cost], size: int):
        if f"{kind}:{each.name}" not in options.only:
            return
        try:
            cost = measure()
        except Failure as failure:
            cost = Cost(size, 0.0, None, str(failure))
        rows.append(Row(kind, each.name, each.title, cost, facts["unit_us"] / 1024))
        say(f"{kind} {each.name}: {rows[-1].cost}")
        report.write(options.out, rows, facts)

    source = template(PEERS, CROSSFADE, "amplification")

    @contextmanager
    def fresh():
        with started(CROSSFADE, source, tools, cores[1], folder / CROSSFADE, ports, "/p/ready") as proxy:
            yield Bench(proxy, {"LISTEN": proxy.port, "BALANCED": ports["BALANCED"], "ADMIN": int(proxy.admin.rpartition(":")[2])})

    def judged(pair: Pair) -> Cost:
        # Each has a proxy of its own: how many pairs are looked at again depends on those before.
        with fresh() as bench:
            return bench.pair(pair)

    with fresh() as bench:
        facts["unit_us"] = bench.unit().cpu_us
        say(f"an ordinary request of 1 KiB: {facts['unit_us']:.1f} us")
        for request in REQUESTS:
            row("request", request, lambda: bench.request(request), len(request.sent))
    for pair in PAIRS:
        row("pair", pair, lambda: judged(pair), pair.size)
    for file in FILES:
        row("file", file, lambda: checked(tools.paths[CROSSFADE], cores[1], folder, file), len(file.text))
    written = report.write(options.out, rows, facts)
    print(report.table(rows))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("amplification", report.markdown(rows, facts))


if __name__ == "__main__":
    sys.exit(command.run("amplification", _run))
