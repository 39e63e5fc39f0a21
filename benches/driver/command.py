"""What all commands have in common: how options are read, and how a run ends."""

import argparse
import os
import signal
import sys
from typing import Callable

from .process import Failure, end_all


def run(name: str, work: Callable[[], None]) -> int:
    """Runs, tells what went wrong in words, and leaves no process behind. Gives the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        work()
    except Failure as failure:
        print(f"benches/{name}/run: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        end_all()
    return 0


def listed(allowed: list[str]) -> Callable[[str], list[str]]:
    """Reads a comma list of known names."""

    def parse(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(allowed)}")
        # In the order of measuring, whatever the order of asking.
        return [name for name in allowed if name in text.split(",")]

    return parse


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def cores() -> tuple[int, int]:
    """One core for load and backends, and one for the proxy."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise Failure("two cores are needed: one for the proxy, one for backends and load")
    return found[0], found[-1]
