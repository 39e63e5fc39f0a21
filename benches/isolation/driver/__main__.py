"""The command: which proxies, faults and windows; then a table."""

import argparse
import os
import resource
import shutil
import sys

from driver import command, paper
from driver.command import Options, positive
from driver.proxies import CROSSFADE, TITLES
from driver.tools import TARGET, built, gather, say

from guided.driver.build import guided

from . import report
from .faults import CONTROL, FAULTS
from .measure import Bench, Extent
from .rows import Judged, judge


# Memory is judged after so many seconds of a fault.
_MEMORY_AFTER = 20


def _options() -> argparse.Namespace:
    options = Options("isolation", "Measures what a faulty shadow costs the client")
    options.add("--rate", type=positive, default=2000, help="requests a second (2000)")
    options.amount("--windows", 5, 2, "windows with the shadow off, and as many with the fault, that must count")
    options.amount("--seconds", 1.2, 1.0, "how long each counts, after it has settled")
    options.quick("2 windows of 1 second, for a first look; too short for memory")
    options.part("--only", [fault.name for fault in FAULTS], "; control is always there")
    options.part("--proxies", [CROSSFADE, "nginx", "envoy"])
    return options.read()


def _run():
    options = _options()
    cores = command.cores()
    tools = gather(set(options.proxies), guided)
    program = built("dist", "--bench", "isolation")
    facts = {**paper.about(tools), "rate": options.rate, "windows": options.windows, "seconds": options.seconds}
    os.sched_setaffinity(0, {cores[0]})
    # Proxies and backends hold thousands of connections while a shadow does not answer.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = (TARGET / "bench-isolation/run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    bench = Bench(tools, program, cores, folder, options.rate)
    bench.check()
    extent = Extent(options.windows, options.seconds, 0 if options.quick else _MEMORY_AFTER)
    rows = []
    for fault in [fault for fault in FAULTS if fault is CONTROL or fault.name in options.only]:
        for proxy in options.proxies:
            rows.append(bench.row(proxy, fault, extent))
            judged = judge(rows)
            say(f"{fault.title}, {TITLES[proxy]}: {_told(judged[-1])}")
            # Written after each row, so that a run which is broken off leaves what it has.
            written = report.write(options.out, judged, facts)
    print(report.table(judged))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("isolation", report.markdown(judged, facts))


def _told(judged: Judged) -> str:
    if judged.row.problem:
        return f"broken off: {judged.row.problem}"
    if judged.off is None or judged.fault is None:
        return "no window counts"
    return f"p99 {judged.off['p99']:.2f} ms, then {judged.fault['p99']:.2f} ms; memory {judged.row.memory_off:.1f} MiB, then {judged.memory_fault:.1f} MiB"


if __name__ == "__main__":
    sys.exit(command.run("isolation", _run))
