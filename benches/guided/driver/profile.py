"""Raw profiles to one that the compiler reads."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from driver.process import Failure
from driver.tools import found_or_fetched, say

# The oldest that reads what today's compilers write.
_OLDEST = 19
_DEBIAN = f"llvm-profdata-{_OLDEST}"


def merge(raw: "list[Path]", into: Path):
    """Merges with the first `llvm-profdata` that understands these profiles: rustup's, the machine's, at last Debian's."""
    problems = []
    for program, env in _programs():
        done = subprocess.run([program, "merge", "-o", str(into), *map(str, raw)], capture_output=True, text=True, env=env)
        if done.returncode == 0:
            say(f"profile merged by {program}")
            return
        problems.append(f"{program}: {done.stderr.strip()}")
    raise Failure("no llvm-profdata reads the profiles (rustup component add llvm-tools brings the compiler's own):\n" + "\n".join(problems))


def _programs():
    sysroot = Path(_said(["rustc", "--print", "sysroot"]))
    for program in sysroot.glob("lib/rustlib/*/bin/llvm-profdata"):
        yield str(program), None
    newest = int(re.search(r"LLVM version: (\d+)", _said(["rustc", "-vV"])).group(1))
    for name in [*(f"llvm-profdata-{version}" for version in range(newest, _OLDEST - 1, -1)), "llvm-profdata"]:
        if program := shutil.which(name):
            yield program, None
    yield found_or_fetched(_DEBIAN)


def _said(argv: "list[str]") -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=os.environ).stdout.strip()
