"""The command: which attacks, rates and windows; then a table."""

import argparse
import os
import resource
import shutil
import sys

from driver import command, paper
from driver.command import Options, numbers
from driver.proxies import CROSSFADE
from driver.tools import TARGET, built, gather, say

from guided.driver.build import guided

from . import report
from .list import ATTACKS, CONTROL
from .measure import Bench, Extent
from .rows import Judged, judge


def _options() -> argparse.Namespace:
    options = Options("attacks", "Measures what attackers cost crossfade's honest clients")
    options.add("--rates", type=numbers, default=[500, 2000], help="the honest client's requests a second, a comma list (500,2000)")
    options.amount("--windows", 5, 2, "windows without the attack, and as many with it, that must count")
    options.amount("--seconds", 1.2, 1.0, "how long each counts, after it has settled")
    options.quick("2 windows of 1 second, for a first look; nothing is said of memory and of the attack's end")
    options.part("--only", [attack.name for attack in ATTACKS], "; control is always there")
    return options.read()


def _run():
    options = _options()
    cores = command.cores()
    tools = gather({CROSSFADE}, guided)
    program = built("dist", "--bench", "isolation")
    facts = {**paper.about(tools), "windows": options.windows, "seconds": options.seconds}
    os.sched_setaffinity(0, {cores[0]})
    # Attackers hold thousands of connections.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = (TARGET / "bench-attacks/run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    bench = Bench(tools, program, cores, folder)
    bench.check(max(options.rates))
    extent = Extent(options.windows, options.seconds)
    rows = []
    for attack in [attack for attack in ATTACKS if attack is CONTROL or attack.name in options.only]:
        for rate in options.rates:
            rows.append(bench.row(attack, rate, extent, not options.quick and rate == max(options.rates)))
            judged = judge(rows)
            say(f"{attack.title}, {rate:g}/s: {_told(judged[-1])}")
            # Written after each row, so that a run which is broken off leaves what it has.
            written = report.write(options.out, judged, facts)
    print(report.table(judged))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("attacks", report.markdown(judged, facts))


def _told(judged: Judged) -> str:
    if judged.row.problem:
        return f"broken off: {judged.row.problem}"
    if judged.off is None or judged.attacked is None:
        return "too few windows count"
    return f"p99 {judged.off['p99']:.2f} ms, then {judged.attacked['p99']:.2f} ms; the attack: {judged.row.fate}"


if __name__ == "__main__":
    sys.exit(command.run("attacks", _run))
