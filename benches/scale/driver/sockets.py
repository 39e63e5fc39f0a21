"""Sockets, as the kernel shows them, and how many a process may have."""

import resource
from pathlib import Path

from driver.process import Failure

_ESTABLISHED = "01"


def standing(port: int) -> int:
    """Connections that stand at a port of this machine."""
    end = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    # sl, local address, remote address, state, ..
    return sum(1 for line in lines if (field := line.split(None, 4))[1].endswith(end) and field[3] == _ESTABLISHED)


def allow(sockets: int):
    """Lets this process, and those that it starts, have so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < sockets:
        raise Failure(f"a process may have only {hard:,} open files, and {sockets:,} are needed: raise the limit (ulimit -Hn), or ask for fewer connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, sockets), hard))
