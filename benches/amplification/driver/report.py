"""What a run gave: a table to read, the same in Markdown, and everything as JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path

from driver import paper
from driver.paper import aligned, circumstances, piped

from .measure import Cost

AT_MOST = 100.0

_HEAD = ["input", "what", "bytes", "CPU", "in ordinary bytes", "memory", "in its bytes", "is"]


@dataclass
class Row:
    """An input."""

    kind: str
    name: str
    title: str
    cost: Cost
    # CPU time that bytes of ordinary requests take, in us a byte.
    unit: float

    @property
    def cpu(self) -> float:
        """How many bytes of ordinary requests would have taken as much CPU time, for each of its bytes."""
        return self.cost.cpu_us / self.unit / self.cost.bytes

    @property
    def memory(self) -> "float | None":
        """Bytes of memory for each of its bytes."""
        return None if self.cost.memory is None else self.cost.memory / self.cost.bytes

    def word(self) -> str:
        """Whether both are within the bound."""
        if self.cost.problem:
            return "no figure"
        worst = max(self.cpu, self.memory if self.memory is not None else 0.0)
        return "reached" if worst < AT_MOST else "missed"


def table(rows: list[Row]) -> str:
    """For a terminal."""
    return "\n".join([aligned(_HEAD, [_cells(row) for row in rows]), "", *[f"  {note}" for note in _notes(rows)]])


def markdown(rows: list[Row], facts: dict) -> str:
    """For a README."""
    extent = f"an ordinary request of 1 KiB took {facts['unit_us']:.1f} us"
    return "\n".join([*circumstances(facts, extent), "", *piped(_HEAD, [_cells(row) for row in rows]), "", *[f"- {note}" for note in _notes(rows)]]) + "\n"


def write(folder: Path, rows: list[Row], facts: dict) -> list[Path]:
    """Both files; gives their paths."""
    found = [{**asdict(row), "cpu_ratio": row.cpu, "memory_ratio": row.memory, "is": row.word()} for row in rows]
    return paper.write(folder, "amplification", {"about": facts, "rows": found}, markdown(rows, facts))


def _cells(row: Row) -> list[str]:
    cost = row.cost
    if cost.problem:
        return [row.kind, row.title, f"{cost.bytes:,}", "-", "-", "-", "-", row.word()]
    memory = ["-", "-"] if cost.memory is None else [f"{cost.memory / 1024:,.0f} KiB", f"{row.memory:.1f}"]
    return [row.kind, row.title, f"{cost.bytes:,}", f"{cost.cpu_us:,.0f} us", f"{row.cpu:.1f}", *memory, row.word()]


def _notes(rows: list[Row]) -> list[str]:
    return [f"{row.kind}, {row.title}: {' '.join(row.cost.problem.split())}" for row in rows if row.cost.problem]
