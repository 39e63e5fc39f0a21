"""The command: which proxies, works, sizes and rounds; then a table."""

import argparse
import os
import shutil
import sys

from driver import command, paper
from driver.bodies import ONE, REORDERED, SAME, SIZES
from driver.command import Options
from driver.process import Failure
from driver.proxies import CROSSFADE, PLAIN, free_port, template
from driver.sides import Side
from driver.tools import TARGET, gather, say

from guided.driver.build import guided

from . import report
from .measure import FORWARD, H2, MIRROR, PEERS, SATURATION, SPLIT, Bench, Case
from .rows import Rows

# Of what the slowest proxy can do.
_RATE_SHARE = 0.6
# Pilots that find out what crossfade can do start at this share of what the slowest peer can do.
_PILOT_SHARE = 0.25


def _options() -> argparse.Namespace:
    options = Options("against", "Measures crossfade and other proxies side by side")
    options.amount("--rounds", 5, 2, "how often everything is measured")
    options.amount("--seconds", 5, 2, "how long each measurement takes, after a second of warm-up")
    options.quick("2 rounds of 2 seconds, for a first look")
    options.part("--only", [FORWARD, H2, SPLIT, MIRROR])
    options.part("--sizes", list(SIZES))
    options.part("--proxies", [CROSSFADE, PLAIN, "nginx", "haproxy", "envoy"])
    return options.read()


def _run():
    options = _options()
    load_core, proxy_core = command.cores()
    tools = gather({*options.proxies, "nginx", "wrk", "h2load", "openssl"}, guided)
    facts = {**paper.about(tools), "rounds": options.rounds, "seconds": options.seconds}
    os.sched_setaffinity(0, {load_core})
    folder = (TARGET / "bench-against/run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    sides = {name: Side(name, tools, load_core, folder / "sides", free_port()) for name in ("old", "new")}
    run = Run(Bench(tools, (load_core, proxy_core), folder, sides, options.seconds), options.rounds, options.proxies)
    for work in options.only:
        for size in [size for size in options.sizes if work != H2 or size == "1k"]:
            if work == MIRROR:
                run.mirror(size)
            else:
                run.rounds([run.case(work, size, SAME, proxy) for proxy in run.proxies(work)], None)
            # Written after each step, so that a run which is broken off leaves what it has.
            written = report.write(options.out, run.rows, facts)
    print(report.table(run.rows))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("against", report.markdown(run.rows, facts))


class Run:
    """The order of measurements."""

    def __init__(self, bench: Bench, rounds: int, proxies: list[str]):
        self.rows = Rows()
        self._bench, self._rounds, self._proxies = bench, rounds, proxies

    case = staticmethod(Case)

    def proxies(self, work: str) -> list[str]:
        """Who can do a work. The plain build is there to show what the profile gives, which forwarding does, however requests come."""
        return [proxy for proxy in self._proxies if template(PEERS, proxy, work).exists() and (proxy != PLAIN or work in (FORWARD, H2))]

    def rounds(self, cases: list[Case], rate: "float | None"):
        """A B C D, A B C D, ..: what disturbs the machine disturbs all."""
        for turn in range(1, self._rounds + 1):
            for case in cases:
                sample = self._bench.sample(case, rate)
                self.rows.add(case, rate, sample)
                told = f"does not count: {sample.problem}" if sample.problem else f"{sample.cpu_us:.1f} us, {sample.per_second:,.0f}/s"
                say(f"round {turn}/{self._rounds}: {case.work} {case.size}, {case.proxy} ({case.variant}): {told}")

    def mirror(self, size: str):
        """Saturation first, which gives the rate at which the mirrors are compared."""
        proxies = self.proxies(MIRROR)
        saturated = [Case(SATURATION, size, SAME, proxy) for proxy in proxies]
        self.rounds(saturated, None)
        cases = [
            Case(MIRROR, size, variant, proxy)
            for proxy in proxies
            for variant in ((SAME, REORDERED, ONE) if proxy == CROSSFADE else (SAME,))
        ]
        self.rounds(cases, self._rate(saturated, cases))

    def _rate(self, saturated: list[Case], cases: list[Case]) -> float:
        """60 % of what the slowest can do with a core of its own: a second divided by its CPU time for a request.

        Saturated, crossfade sheds comparisons, so for crossfade it is the CPU time of a pilot in which none is shed.
        """
        needs = {case: self.rows.all[case].middle("cpu_us") for case in saturated}
        if None in needs.values():
            raise Failure("a saturated mirror gave no figure, so that there is no rate for the others")
        peers = [cpu_us for case, cpu_us in needs.items() if case.proxy != CROSSFADE]
        pilot_rate = _PILOT_SHARE * 1e6 / max(peers or needs.values())
        most = max([*peers, *(self._pilot(case, pilot_rate) for case in cases if case.proxy == CROSSFADE)])
        rate = _RATE_SHARE * 1e6 / most
        say(f"mirror {cases[0].size}: the slowest needs {most:.1f} us, so the rate is {rate:,.0f}/s")
        return rate

    def _pilot(self, case: Case, rate: float) -> float:
        """CPU time of crossfade for a request when every copy is made and compared."""
        for _ in range(4):
            sample = self._bench.sample(case, rate)
            if sample.problem is None:
                say(f"pilot: {case.size}, {case.proxy} ({case.variant}) at {rate:,.0f}/s: {sample.cpu_us:.1f} us")
                return sample.cpu_us
            say(f"pilot: {case.size}, {case.proxy} ({case.variant}) at {rate:,.0f}/s: {sample.problem}")
            rate /= 2
        raise Failure(f"crossfade does not compare {case.variant} bodies of {case.size} completely even at {rate * 2:,.0f}/s: {sample.problem}")


if __name__ == "__main__":
    sys.exit(command.run("against", _run))
