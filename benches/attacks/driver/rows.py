"""What a row says: percentiles of the pooled windows, memory, the attack's end, and whether the bounds are kept."""

from dataclasses import dataclass

from driver.windows import counted, errors, growth, pooled

from .list import CONTROL
from .measure import SETTLE, Row

# p99 of the honest client under attack, over that without.
AT_MOST, GOAL = 2.0, 1.2
# What grows by less in ten seconds, in MiB, is flat.
FLAT = 8.0


@dataclass
class Judged:
    """A row with its figures; none where no window counted."""

    row: Row
    off: "dict[str, float] | None"
    attacked: "dict[str, float] | None"
    # How far two kinds of windows lie apart between which nothing differs, in ms of p99.
    noise: float
    memory_most: "float | None"
    # MiB in ten seconds, over the second half of the last window.
    memory_growth: "float | None"

    @property
    def ratio(self) -> "float | None":
        """p99 under attack over p99 without."""
        return self.attacked["p99"] / self.off["p99"] if self.attacked and self.off else None

    def failed(self) -> dict[str, int]:
        """What the honest client saw go wrong under attack, by kind."""
        return errors([*counted(self.row.windows, True), *([self.row.held] if self.row.held else [])])

    def latency_word(self) -> str:
        """Whether the honest client's p99 is kept."""
        if self.row.attack is CONTROL:
            return ""
        if self.ratio is None:
            return "no figure"
        if self.failed():
            return "missed"
        if self.ratio <= GOAL:
            return "goal"
        return "reached" if self.attacked["p99"] <= AT_MOST * self.off["p99"] + self.noise else "missed"

    def memory_word(self) -> str:
        """Whether memory is flat."""
        if self.row.attack is CONTROL:
            return ""
        if self.row.held is None:
            return ""
        if self.memory_growth is None:
            return "no figure"
        return "reached" if self.memory_growth <= FLAT else "missed"

    def end_word(self) -> str:
        """Whether each of the attacker's connections was closed in time."""
        if self.row.attack is CONTROL:
            return ""
        if self.row.held is None:
            return ""
        if self.row.fate is None:
            return "no figure"
        return "reached" if self.row.fate["closed"] and self.row.fate["oldest_s"] <= self.row.attack.within else "missed"


def judge(rows: list[Row]) -> list[Judged]:
    """Every row, against the control at its rate."""
    noise = {row.rate: _noise(row) for row in rows if row.attack is CONTROL}
    return [_judge(row, noise.get(row.rate, 0.0)) for row in rows]


def _judge(row: Row, noise: float) -> Judged:
    off, attacked = (pooled(row.windows, disturbed, row.wanted) for disturbed in (False, True))
    memory = [(at, mib) for at, mib in row.memory if at > SETTLE] if row.held else []
    most = max((mib for _, mib in memory), default=None)
    return Judged(row, off, attacked, noise, most, growth(memory[len(memory) // 2:]))


def _noise(control: Row) -> float:
    off, again = (pooled(control.windows, disturbed, control.wanted) for disturbed in (False, True))
    return abs(off["p99"] - again["p99"]) if off and again else 0.0
