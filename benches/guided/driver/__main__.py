"""The command: builds, trains, builds again."""

import argparse
import shutil
import sys
from pathlib import Path

from driver import command
from driver.tools import TARGET

from .build import guided


def _run():
    parser = argparse.ArgumentParser(prog="benches/guided/run", description="Builds crossfade guided by a profile of what it does; see benches/README.md.")
    parser.add_argument("--out", type=Path, default=TARGET / "guided/crossfade", help="where the program goes (target/guided/crossfade)")
    out = parser.parse_args().out
    program = guided()
    out.parent.mkdir(parents=True, exist_ok=True)
    # A copy that a process may be running is replaced, not written into.
    fresh = out.with_name(f".{out.name}.fresh")
    shutil.copy2(program, fresh)
    fresh.rename(out)
    print(out)


if __name__ == "__main__":
    sys.exit(command.run("guided", _run))
