"""The attacker, a process of its own: `python3 -m attacks.driver.attacker NAME PORT OUT` attacks until it is told to end, and then writes what became of it."""

import json
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from statistics import median

from .list import ATTACKS, Attack

# Connections that are opened anew in a second, at most: how many a machine can open is not what is asked here.
_ANEW = 20
_PIECE = 1 << 16


class _Victim:
    """One connection."""

    def __init__(self, attack: Attack, port: int):
        self._attack = attack
        self.socket = socket.socket()
        if not attack.reads:
            # What the system took in for a client that does not read would hide that it does not read.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.since, self.sent = time.monotonic(), 0
        self._left, self._floods = memoryview(attack.begin), 0

    def wants_to_write(self) -> bool:
        """Whether there is more to send now."""
        return bool(self._left) or self._attack.flood is not None

    def write(self) -> bool:
        """Sends what can be sent now; false once the connection is closed."""
        if not self._left and self._attack.flood is not None:
            self._left = memoryview(self._attack.flood(self._floods))
            self._floods += 1
        try:
            count = self.socket.send(self._left[:_PIECE])
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.sent += count
        self._left = self._left[count:]
        return True

    def read(self) -> bool:
        """Takes what has come; false once the connection is closed."""
        try:
            return self.socket.recv(_PIECE) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def drip(self):
        """Has a little more to send."""
        self._left = memoryview(bytes(self._left) + self._attack.drip)


def _attack(attack: Attack, port: int, out: Path):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    poll, victims, ends, sizes = selectors.DefaultSelector(), set(), [], []
    began = dripped = time.monotonic()
    opened = 0
    while not over:
        now = time.monotonic()
        while len(victims) < attack.connections and opened < attack.connections + (now - began) * _ANEW:
            victim = _Victim(attack, port)
            victims.add(victim)
            opened += 1
            poll.register(victim.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, victim)
        if attack.drip and now - dripped > 1:
            dripped = now
            for victim in victims:
                victim.drip()
                poll.modify(victim.socket, _events(victim), victim)
        for key, ready in poll.select(0.05):
            victim = key.data
            # Who does not read learns of the end by writing, or when the system says so; a look at the first byte takes none away.
            alive = victim.read() if attack.reads and ready & selectors.EVENT_READ else not _ended(victim.socket)
            if alive and ready & selectors.EVENT_WRITE and victim.wants_to_write():
                alive = victim.write()
            if alive:
                poll.modify(victim.socket, _events(victim), victim)
                continue
            poll.unregister(victim.socket)
            victim.socket.close()
            victims.remove(victim)
            ends.append(time.monotonic() - victim.since)
            sizes.append(victim.sent)
        if not attack.reads:
            # Unread bytes are always ready.
            time.sleep(0.002)
    now = time.monotonic()
    out.write_text(json.dumps({
        "opened": opened, "closed": len(ends), "closed_after_s": median(ends) if ends else None, "sent_until_closed": median(sizes) if sizes else None,
        "oldest_s": max([*ends, *(now - victim.since for victim in victims)], default=0.0), "sent": sum(sizes) + sum(victim.sent for victim in victims),
    }))


def _events(victim: _Victim) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if victim.wants_to_write() else 0)


def _ended(connection: socket.socket) -> bool:
    """Whether the other end has closed, or reset, without taking what it sent before."""
    state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    # ESTABLISHED is 1 (tcp_states.h).
    return state != 1


if __name__ == "__main__":
    _attack(next(attack for attack in ATTACKS if attack.name == sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
