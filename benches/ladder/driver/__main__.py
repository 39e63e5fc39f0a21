"""The command: counts rungs, and holds them against the baseline."""

import argparse
import os
import sys

from driver import command, paper
from driver.command import Options, positive
from driver.process import Failure
from driver.tools import Tools, built, say

from . import baseline, report
from .baseline import Baseline
from .count import CALLGRIND, PERF, Callgrind, Perf, works
from .lockstep import CONNECTIONS
from .measure import Count, measure
from .rungs import CROSSFADE, LADDER, RUNGS, Run


def _options() -> argparse.Namespace:
    options = Options("ladder", "Counts the instructions of a request, promise by promise")
    options.part("--only", [rung.name for rung in RUNGS])
    options.add("--profile", default="dist", help="cargo's profile (dist)")
    options.add("--counter", choices=[PERF, CALLGRIND], help="who counts; perf where it works, but for --check the one of the baseline")
    options.add("--requests", type=positive, default=6400, help=f"how many are counted for a rung, in batches of {CONNECTIONS} (6400); an eighth of it with answers of 10 KB")
    held = options.group()
    held.add_argument("--check", action="store_true", help=f"fails if a rung costs over {baseline.WORSE:.0%}% more than in benches/ladder/baseline.json")
    held.add_argument("--save", action="store_true", help="makes what is counted the baseline")
    return options.read()


def _run():
    options = _options()
    old = baseline.load() if options.check or baseline.FILE.exists() else None
    counter = options.counter or (old.counter.split()[0] if options.check else PERF if works() else CALLGRIND)
    counting = {PERF: Perf, CALLGRIND: Callgrind}[counter]
    wanted = [rung for rung in RUNGS if rung.name in options.only]
    programs = _programs({rung.run.program for rung in wanted}, options.profile)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    counts: dict[str, Count] = {}
    runs: dict[Run, Count] = {}
    for rung in wanted:
        if rung.run not in runs:
            say(f"counting {rung.name}")
            runs[rung.run] = measure(rung.run, programs[rung.run.program], counting, options.out / "run" / rung.name, _batches(rung.run, options.requests))
        counts[rung.name] = runs[rung.run]

    facts = {**paper.about(Tools({}, {}, {})), "counter": counting.name(), "profile": options.profile, "compiler": baseline.compiler(), "requests": options.requests}
    new = Baseline(facts["counter"], options.profile, facts["compiler"], facts["commit"], report.rungs(counts))
    shown = old if old and baseline.comparable(old, new) is None else None
    written = report.write(options.out.resolve(), counts, shown, facts)
    print(report.table(counts, shown))
    print(f"\nWritten: {', '.join(map(str, written))}")
    if options.readme:
        paper.into_readme("ladder", report.markdown(counts, shown, facts))
    if options.save:
        baseline.save(new)
        print(f"Saved: {baseline.FILE}")
    if options.check:
        _check(old, new)


def _batches(run: Run, requests: int) -> int:
    """How often every connection asks. Large answers cost so much that fewer are as exact."""
    return max(1, (requests if run.size == "1k" else requests // 8) // CONNECTIONS)


def _programs(names: set[str], profile: str) -> dict[str, str]:
    kinds = {LADDER: "--bench", CROSSFADE: "--bin"}
    return {name: built(profile, kinds[name], name) for name in sorted(names)}


def _check(old: Baseline, new: Baseline):
    why_not = baseline.comparable(old, new)
    if why_not:
        raise Failure(why_not)
    if old.compiler != new.compiler:
        say(f"the baseline is of {old.compiler}, this is {new.compiler}: part of a difference may be the compiler's")
    unknown = [name for name in new.rungs if name not in old.rungs]
    if unknown:
        raise Failure(f"the baseline has no {', '.join(unknown)}: make it anew with --save")
    worse = baseline.worse(old, new)
    if worse:
        raise Failure(f"over {baseline.WORSE:.0%} more than commit {old.commit}:\n  " + "\n  ".join(worse))
    print(f"No rung costs over {baseline.WORSE:.0%} more than in the baseline, commit {old.commit}.")


if __name__ == "__main__":
    sys.exit(command.run("ladder", _run))
