"""What all commands have in common: how options are read, and how a run ends."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Callable

from .process import Failure, end_all
from .tools import TARGET


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


class Options:
    """The options of a command. What all have is told here once; the rest is added, and then all are read."""

    def __init__(self, name: str, does: str, results: str = "the table"):
        self._parser = argparse.ArgumentParser(prog=f"benches/{name}/run", description=f"{does}; see benches/README.md.")
        self._amounts: "dict[str, tuple[float, float]]" = {}
        self.add = self._parser.add_argument
        self.group = self._parser.add_mutually_exclusive_group
        out = f"target/bench-{name}"
        self.add("--out", type=Path, default=TARGET / f"bench-{name}", help=f"where {name}.json and {name}.md go ({out})")
        self.add("--readme", action="store_true", help=f"also put {results} into benches/README.md")

    def part(self, option: str, allowed: list[str], more: str = ""):
        """An option that takes a comma list of these names; without it, all."""
        self.add(option, type=listed(allowed), default=allowed, metavar="NAMES", help=f"a comma list of {', '.join(allowed)}{more}")

    def amount(self, option: str, usual: float, quick: float, what: str):
        """An option that takes a number above 0, which is another one with --quick."""
        self._amounts[option.lstrip("-")] = (usual, quick)
        self.add(option, type=positive if isinstance(usual, int) else above_zero, help=f"{what} ({usual:g})")

    def quick(self, what: str):
        """The option --quick."""
        self.add("--quick", action="store_true", help=what)

    def read(self) -> argparse.Namespace:
        """What the command was told."""
        options = self._parser.parse_args()
        for name, (usual, quick) in self._amounts.items():
            if getattr(options, name) is None:
                setattr(options, name, quick if options.quick else usual)
        return options


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


def above_zero(text: str) -> float:
    """Reads a number above 0."""
    if float(text) <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return float(text)


def numbers(text: str) -> list[int]:
    """Reads a comma list of whole numbers above 0."""
    return [positive(number) for number in text.split(",")]


def cores() -> tuple[int, int]:
    """One core for load and backends, and one for the proxy."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise Failure("two cores are needed: one for the proxy, one for backends and load")
    return found[0], found[-1]
