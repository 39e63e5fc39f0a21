"""What a row says: percentiles of the pooled windows, memory, and whether the bounds are kept."""

from dataclasses import dataclass

from driver.windows import Window, counted, errors, growth, pooled

from .faults import CONTROL
from .measure import SETTLE, Row

# p99 of the client with a faulty shadow, over that with the shadow off; and what is allowed beside it.
AT_MOST, GOAL, LEAST_ALLOWANCE_MS = 1.10, 1.02, 0.3
# Memory with a faulty shadow after 20 s, over that with the shadow off, in MiB.
MEMORY_AT_MOST, MEMORY_GOAL = 64.0, 16.0
# What grows by less in ten seconds, in MiB, is flat: at 2,000 requests a second 0.4 KiB for each.
FLAT = 8.0

# Connections that may be added in a window without a shadow: as many as there were before it.
_CROWD = 64


@dataclass
class Judged:
    """A row with its figures; none where no window counted."""

    row: Row
    off: "dict[str, float] | None"
    fault: "dict[str, float] | None"
    # p99 that is still allowed.
    allowed_ms: "float | None"
    memory_fault: "float | None"
    # MiB in ten seconds, over the last window of the fault once it has settled, which is not much shorter.
    growth: "float | None"

    @property
    def ratio(self) -> "float | None":
        """p99 with the fault over p99 without."""
        return self.fault["p99"] / self.off["p99"] if self.fault and self.off else None

    @property
    def more_memory(self) -> "float | None":
        """MiB more than with the shadow off."""
        return self.memory_fault - self.row.memory_off if self.memory_fault is not None and self.row.memory_off is not None else None

    def latency_word(self) -> str:
        """Whether the client's p99 is kept."""
        if self.row.fault is CONTROL:
            return ""
        if self.ratio is None or self.allowed_ms is None:
            return "no figure"
        if self.errors():
            return "missed"
        return "goal" if self.ratio <= GOAL else "reached" if self.fault["p99"] <= self.allowed_ms else "missed"

    def memory_word(self) -> str:
        """Whether memory is kept."""
        if self.row.fault is CONTROL:
            return ""
        if self.row.held is None or self.more_memory is None or self.growth is None or self.crowded():
            return "no figure"
        if self.growth > FLAT:
            return "missed"
        return "goal" if self.more_memory <= MEMORY_GOAL else "reached" if self.more_memory <= MEMORY_AT_MOST else "missed"

    def crowded(self) -> bool:
        """Whether so many connections were added in the first window, by a machine that stood still, that its memory says nothing."""
        return self.row.windows[0].opened > _CROWD

    def windows(self, disturbed: bool) -> list[Window]:
        """The windows that count."""
        return counted(self.row.windows, disturbed)

    def errors(self) -> dict[str, int]:
        """What the client saw go wrong under the fault, by kind."""
        return errors([*self.windows(True), *([self.row.held] if self.row.held else [])])


def judge(rows: list[Row]) -> list[Judged]:
    """Every row, against its proxy's control."""
    spreads = {row.proxy: _spread(row) for row in rows if row.fault is CONTROL}
    return [_judge(row, spreads.get(row.proxy)) for row in rows]


def _judge(row: Row, spread: "float | None") -> Judged:
    off, fault = (pooled(row.windows, disturbed, row.wanted) for disturbed in (False, True))
    allowed = None if off is None else AT_MOST * off["p99"] + max(LEAST_ALLOWANCE_MS, spread or 0.0)
    last = [(at, mib) for at, mib in row.memory if at > SETTLE]
    return Judged(row, off, fault, allowed, max((mib for _, mib in last), default=None), growth(last))


def _spread(control: Row) -> "float | None":
    """How far two series of windows lie apart between which nothing differs, in ms of p99."""
    off, again = (pooled(control.windows, disturbed, control.wanted) for disturbed in (False, True))
    return abs(off["p99"] - again["p99"]) if off and again else None
