"""Rounds of measurements become rows: medians of what counted."""

from dataclasses import dataclass, field
from statistics import median

from driver.bodies import ONE, REORDERED, SAME
from driver.proxies import CROSSFADE, PLAIN, TITLES

from .measure import FORWARD, H2, MIRROR, SATURATION, SPLIT, Case, Sample

WORKS = {FORWARD: "forward", H2: "HTTP/2 through TLS, forward", SPLIT: "split at 50 %", MIRROR: "mirror", SATURATION: "mirror, saturated"}
SIZES = {"1k": "1 KB", "10k": "10 KB", "100k": "100 KB"}
_VARIANTS = {SAME: "equal bytes", REORDERED: "reordered keys", ONE: "one difference"}


@dataclass
class Row:
    """All rounds of a case."""

    case: Case
    rate: "float | None"
    samples: list[Sample] = field(default_factory=list)

    @property
    def counted(self) -> list[Sample]:
        """The samples without a problem."""
        return [sample for sample in self.samples if sample.problem is None]

    @property
    def problems(self) -> list[str]:
        """Why the others do not count."""
        return [sample.problem for sample in self.samples if sample.problem is not None]

    def middle(self, figure: str) -> "float | None":
        """The median of a figure; none if nothing counted, or the figure does not apply."""
        values = [value for value in (getattr(sample, figure) for sample in self.counted) if value is not None]
        return median(values) if values else None

    def spread(self) -> "float | None":
        """How far the CPU times of the rounds lie apart, as a share of their median."""
        values = [sample.cpu_us for sample in self.counted]
        return (max(values) - min(values)) / median(values) if values else None

    def title(self) -> str:
        """Who did it, and what it compared."""
        if self.case.proxy == CROSSFADE and self.case.mirrors:
            return f"crossfade, compares: {_VARIANTS[self.case.variant]}"
        return TITLES[self.case.proxy]

    def work(self) -> str:
        """What was done."""
        text = f"{WORKS[self.case.work]} {SIZES[self.case.size]}"
        return text if self.rate is None else f"{text} at {self.rate:,.0f}/s"


class Rows:
    """Every row of a run, in the order of measuring."""

    def __init__(self):
        self.all: dict[Case, Row] = {}

    def add(self, case: Case, rate: "float | None", sample: Sample):
        """One more round."""
        self.all.setdefault(case, Row(case, rate)).samples.append(sample)

    def ratio(self, row: Row, peer: str) -> "float | None":
        """CPU time per request of a row of crossfade, whichever build, over a peer's at the same work."""
        if row.case.proxy not in (CROSSFADE, PLAIN):
            return None
        other = self.all.get(Case(row.case.work, row.case.size, SAME, peer))
        ours, theirs = row.middle("cpu_us"), other.middle("cpu_us") if other else None
        return ours / theirs if ours and theirs else None


@dataclass(frozen=True)
class Target:
    """A bound of a ratio, and where it should be."""

    work: str
    size: str
    variant: str
    peer: str
    at_most: float
    goal: float


TARGETS = [
    Target(FORWARD, "1k", SAME, "nginx", 1.20, 0.90),
    Target(FORWARD, "1k", SAME, "haproxy", 1.10, 0.80),
    Target(FORWARD, "1k", SAME, "envoy", 0.38, 0.25),
    Target(FORWARD, "10k", SAME, "nginx", 1.20, 0.90),
    Target(FORWARD, "10k", SAME, "haproxy", 1.15, 0.90),
    Target(FORWARD, "10k", SAME, "envoy", 0.45, 0.30),
    Target(FORWARD, "100k", SAME, "nginx", 1.15, 0.90),
    Target(FORWARD, "100k", SAME, "haproxy", 1.15, 0.85),
    Target(FORWARD, "100k", SAME, "envoy", 0.70, 0.50),
    Target(H2, "1k", SAME, "envoy", 0.60, 0.40),
    Target(MIRROR, "1k", SAME, "envoy", 0.45, 0.28),
    Target(MIRROR, "10k", SAME, "envoy", 0.50, 0.33),
    Target(MIRROR, "1k", REORDERED, "envoy", 0.60, 0.40),
    Target(MIRROR, "10k", REORDERED, "envoy", 1.20, 0.60),
]


@dataclass
class Reached:
    """A target beside what was measured."""

    target: Target
    ratio: float

    def work(self) -> str:
        """What is compared with what."""
        target = self.target
        compares = f", compares: {_VARIANTS[target.variant]}" if target.work == MIRROR else ""
        return f"{WORKS[target.work]} {SIZES[target.size]}{compares}, against {TITLES[target.peer]}"

    def word(self) -> str:
        """How near the goal it is."""
        if self.ratio <= self.target.goal:
            return "goal"
        return "reached" if self.ratio <= self.target.at_most else "missed"


def reached(rows: Rows) -> list[Reached]:
    """The targets of which both sides were measured."""
    found = []
    for target in TARGETS:
        row = rows.all.get(Case(target.work, target.size, target.variant, CROSSFADE))
        ratio = rows.ratio(row, target.peer) if row else None
        if ratio is not None:
            found.append(Reached(target, ratio))
    return found
