"""Instructions of a process between two moments, by thread: counted by the processor where it lets itself be asked, else by callgrind."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from driver.process import Failure, Process
from driver.tools import gather

PERF, CALLGRIND = "perf", "callgrind"
_EVENT = "instructions:u"


def works() -> bool:
    """Whether perf can count instructions on this machine."""
    try:
        told = subprocess.run(["perf", "stat", "-x", ",", "-e", _EVENT, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        return False
    return told.returncode == 0 and re.match(r"\d+,", told.stderr.strip()) is not None


class Perf:
    """Counts with the processor's own counters."""

    @staticmethod
    def name() -> str:
        """Who counts."""
        return PERF

    def __init__(self, folder: Path):
        self.env = dict(os.environ)
        self._out, self._stat = folder / "perf.csv", None

    def under(self, argv: list[str]) -> list[str]:
        """How a program is started so that it can be counted."""
        return argv

    def begin(self, process: Process):
        """From here on."""
        argv = ["perf", "stat", "-x", ",", "-e", _EVENT, "--per-thread", "-p", str(process.pid), "-o", str(self._out)]
        self._stat = subprocess.Popen(argv)
        # It says nothing when it has attached itself, which takes a few milliseconds.
        time.sleep(0.3)
        if self._stat.poll() is not None:
            raise Failure(f"{' '.join(argv)} has ended with status {self._stat.returncode}")

    def end(self, process: Process) -> dict[str, int]:
        """Until here: instructions by the names of threads."""
        self._stat.send_signal(signal.SIGINT)
        self._stat.wait(10)
        process.check()
        found: dict[str, int] = {}
        for thread, number in re.findall(rf"^(.+)-\d+,(\d+),[^,]*,{_EVENT},", self._out.read_text(), re.MULTILINE):
            found[thread] = found.get(thread, 0) + int(number)
        return found


class Callgrind:
    """Counts in valgrind's machine, which executes the program some fifty times more slowly."""

    @staticmethod
    def name() -> str:
        """Who counts."""
        return f"{CALLGRIND} (valgrind {gather({'valgrind'}).versions['valgrind']})"

    def __init__(self, folder: Path):
        tools = gather({"valgrind"})
        self.env = tools.env
        self._valgrind, self._out, self._dumps = tools.paths["valgrind"], folder / "callgrind.out", 0
        # Left behind by processes that are killed, so not in /tmp.
        self._door = f"--vgdb-prefix={folder}/vgdb"

    def under(self, argv: list[str]) -> list[str]:
        """How a program is started so that it can be counted."""
        return [self._valgrind, "--tool=callgrind", self._door, f"--callgrind-out-file={self._out}", "--separate-threads=yes", *argv]

    def begin(self, process: Process):
        """From here on."""
        self._tell(process, "zero")

    def end(self, process: Process) -> dict[str, int]:
        """Until here: instructions by the names of threads. The profiles stay in the folder."""
        self._tell(process, "dump")
        self._dumps += 1
        names = self._names(process)
        found: dict[str, int] = {}
        for profile in self._out.parent.glob(f"{self._out.name}.{self._dumps}-*"):
            # A thread that has ended since has lost its name.
            name = names.get(int(profile.name.rpartition("-")[2]), "ended")
            total = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
            if total:
                found[name] = found.get(name, 0) + int(total.group(1))
        return found

    def _names(self, process: Process) -> dict[int, str]:
        """valgrind numbers threads in its own way; the kernel knows their names."""
        threads = re.findall(r"^Thread (\d+): .*\(lwpid (\d+)\)", self._tell(process, "v.info", "scheduler"), re.MULTILINE)
        if not threads:
            raise Failure("valgrind names no threads")
        places = {int(number): Path(f"/proc/{process.pid}/task/{task}/comm") for number, task in threads}
        return {number: place.read_text().strip() for number, place in places.items() if place.exists()}

    def _tell(self, process: Process, *order: str) -> str:
        vgdb = Path(self._valgrind).with_name("vgdb")
        told = subprocess.run([str(vgdb), self._door, f"--pid={process.pid}", *order], capture_output=True, text=True, env=self.env)
        if told.returncode != 0:
            raise Failure(f"vgdb can't reach {process.name}: {told.stdout}{told.stderr}\n{process.tail()}")
        return told.stdout
