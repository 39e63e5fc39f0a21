"""Processes pinned to a core: started, measured from /proc, and ended by their ids."""

import atexit
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_running: list["Process"] = []


class Failure(Exception):
    """What keeps the run from going on, in words for whoever started it."""


class Process:
    """A process of ours with its children. What it says goes to a file. One that gives way runs when nobody else wants its core."""

    def __init__(self, name: str, argv: list[str], core: int, log: Path, env: dict[str, str], gives_way: bool = False):
        self.name, self.log = name, log
        driver = os.getpid()

        def prepare():
            os.sched_setaffinity(0, {core})
            if gives_way:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
                _lower_session()
            # Should this driver be killed, nothing stays behind.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != driver:
                os._exit(1)

        with log.open("wb") as out:
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=env, start_new_session=True, preexec_fn=prepare,
            )
        _running.append(self)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def check(self):
        """Raises if the process has ended by itself."""
        if self._child.poll() is not None:
            raise Failure(f"{self.name} has ended with status {self._child.returncode}:\n{self.tail()}")

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    def wait(self, seconds: float):
        """Waits for a process that ends by itself, as load generators do."""
        try:
            status = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not ended within {seconds:.0f} s:\n{self.tail()}") from None
        if status != 0:
            raise Failure(f"{self.name} has ended with status {status}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-2000:]

    def cpu_seconds(self) -> float:
        """User and system time of all its threads and children, also of those that have ended."""
        self.check()
        root = self._child.pid
        ticks = 0
        for pid in _tree(root):
            fields = _stat(pid)
            if fields is not None:
                # proc(5): utime, stime, and for the root the children that it waited for.
                ticks += sum(int(field) for field in fields[11:15 if pid == root else 13])
        return ticks / _TICKS

    def cpu_exact(self) -> float:
        """The same to the nanosecond, of the process alone: no child's."""
        self.check()
        # What clock_getcpuclockid(3) gives for a process.
        return time.clock_gettime(~self._child.pid << 3 | 2)

    def begin_peak(self) -> int:
        """From now on the most memory is that from now on; gives what there is now, in KiB."""
        self.check()
        Path(f"/proc/{self._child.pid}/clear_refs").write_text("5")
        return self._memory("RssAnon:")

    def most_kib(self) -> int:
        """The most memory that it had, in KiB, without pages of files. Those that were there then are there still, or were fewer."""
        return self._memory("VmHWM:") - self._memory("RssFile:")

    def members(self) -> list[int]:
        """The ids of all processes in the tree."""
        self.check()
        return _tree(self._child.pid)

    def peak_kib(self) -> int:
        """The largest resident set, of every process in the tree, added up."""
        return self._memory("VmHWM:")

    def rss_kib(self) -> int:
        """The resident set now, likewise."""
        return self._memory("VmRSS:")

    def _memory(self, name: str) -> int:
        self.check()
        lines = [line for pid in _tree(self._child.pid) for line in _read(f"/proc/{pid}/status").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith(name))

    def kill(self):
        """Ends it at once, for one that would take its time."""
        self._child.kill()
        self._child.wait()

    def end(self):
        """SIGTERM, and after five seconds SIGKILL for whoever of the tree is left."""
        if self not in _running:
            return
        family = {}
        # The id of a process that has ended may be somebody else's by now.
        if self._child.poll() is None:
            family = {pid: _born(pid) for pid in _tree(self._child.pid)}
            self._child.terminate()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        deadline = time.monotonic() + 2
        while _alive(family) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in _alive(family):
            os.kill(pid, signal.SIGKILL)
        _running.remove(self)


def _lower_session():
    """Where the kernel shares a core between sessions first (autogroup), the session must give way too."""
    try:
        Path("/proc/self/autogroup").write_text("19")
    except OSError:
        # There are no such groups: the scheduler's class says it all.
        return


def resident_kib(pids: list[int]) -> int:
    """Memory of these processes now, added up. Cheap enough to look often."""
    pages = [_read(f"/proc/{pid}/statm").split() for pid in pids]
    return sum(int(fields[1]) for fields in pages if fields) * os.sysconf("SC_PAGE_SIZE") // 1024


def most_kib(pid: int, program: str) -> int:
    """The most memory that a process had so far, once it is that program, without pages of files; 0 before, and when it has ended."""
    lines = dict(line.partition(":")[::2] for line in _read(f"/proc/{pid}/status").splitlines())
    if lines.get("Name", "").strip() != os.path.basename(program)[:15]:
        return 0
    peak, anonymous, of_files = (int(lines.get(name, "0").split()[0]) for name in ("VmHWM", "RssAnon", "RssFile"))
    return max(anonymous, peak - of_files)


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _stat(pid: int) -> "list[str] | None":
    """/proc/PID/stat from the state on; the name before it may hold blanks and brackets."""
    text = _read(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() if text else None


def _born(pid: int) -> "str | None":
    """When a process started, which with its id names it for ever; none if it has ended."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def _alive(family: dict[int, "str | None"]) -> list[int]:
    return [pid for pid, born in family.items() if born is not None and _born(pid) == born]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def core_busy_seconds(core: int) -> float:
    """How long a core has worked since the machine started, for whomever; stolen time counts."""
    for line in _read("/proc/stat").splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
            return (user + nice + system + irq + softirq + steal) / _TICKS
    raise Failure(f"/proc/stat has no core {core}")


@atexit.register
def end_all():
    """Ends everything that is still running."""
    for process in reversed(_running[:]):
        process.end()
