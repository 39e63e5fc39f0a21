"""The command: which proxies, faults and windows; then a table."""

import argparse
import os
import resource
import shutil
import sys
from pathlib import Path

from driver import command, paper
from driver.command import Options, positive
from driver.proxies import CROSSFADE, TITLES
from driver.tools import TARGET, built, gather, say

from guided.driver.build import guided

from . import outage, report
from .faults import CONTROL, FAULTS
from .measure import Bench, Extent
from .outage import OUTAGES
from .rows import Judged, judge


# Memory is judged after so many seconds of a fault.
_MEMORY_AFTER = 20


def _options() -> argparse.Namespace:
    options = Options("isolation", "Measures what a faulty shadow costs the client, and what a dead old side does")
    options.add("--rate", type=positive, default=2000, help="requests a second (2000)")
    options.amount("--windows", 5, 2, "windows with the shadow off, and as many with the fault, that must count")
    options.amount("--seconds", 1.2, 1.0, "how long each counts, after it has settled")
    options.quick("2 windows of 1 second, for a first look; too short for memory")
    options.part("--only", [*(each.name for each in OUTAGES), *(fault.name for fault in FAULTS)], "; control is there with every shadow's fault")
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
    judged: list[Judged] = []
    outages: list[outage.Row] = []

    def written() -> list[Path]:
        # After each row, so that a run which is broken off leaves what it has.
        return report.write(options.out, judged, outages, facts)

    for each in [each for each in OUTAGES if each.name in options.only]:
        outages.append(outage.measured(each, options.windows, tools, bench.old, cores[1], folder))
        say(f"{each.title}: {outages[-1].problem or outages[-1].figures()}")
        written()
    rows = []
    faults = [fault for fault in FAULTS if fault.name in options.only]
    for fault in [CONTROL, *(fault for fault in faults if fault is not CONTROL)] if faults else []:
        for proxy in options.proxies:
            rows.append(bench.row(proxy, fault, extent))
            judged = judge(rows)
            say(f"{fault.title}, {TITLES[proxy]}: {_told(judged[-1])}")
            written()
    print(report.table(judged, outages))
    print(f"\nWritten: {', '.join(map(str, written()))}")
    if options.readme:
        paper.into_readme("isolation", report.markdown(judged, outages, facts))


def _told(judged: Judged) -> str:
    if judged.row.problem:
        return f"broken off: {judged.row.problem}"
    if judged.off is None or judged.fault is None:
        return "no window counts"
    return f"p99 {judged.off['p99']:.2f} ms, then {judged.fault['p99']:.2f} ms; memory {judged.row.memory_off:.1f} MiB, then {judged.memory_fault:.1f} MiB"


if __name__ == "__main__":
    sys.exit(command.run("isolation", _run))
