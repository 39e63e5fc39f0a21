"""Rounds of measurements become rows: medians of what counted, ratios, and the bounds that they are held to."""

from dataclasses import dataclass, field
from statistics import median
from typing import Hashable

from driver.proxies import CROSSFADE

from .growth import Case

FEW_CONNECTIONS, FEW_ROUTES = 64, 10
CONNECTIONS, ROUTES = [64, 1024, 4096], [10, 100, 1000]


@dataclass
class Row:
    """All rounds of one thing that was measured."""

    samples: list = field(default_factory=list)

    @property
    def counted(self) -> list:
        """The samples without a problem."""
        return [sample for sample in self.samples if sample.problem is None]

    def middle(self, figure: str) -> "float | None":
        """The median of a figure; none if nothing counted, or the figure is not known."""
        values = [value for value in (getattr(sample, figure) for sample in self.counted) if value is not None]
        return median(values) if values else None

    def spread(self, figure: str) -> "float | None":
        """How far the rounds lie apart, as a share of their median."""
        values = [getattr(sample, figure) for sample in self.counted]
        return (max(values) - min(values)) / median(values) if values else None

    def problems(self) -> list[str]:
        """Why rounds do not count, each reason once."""
        found = [sample.problem for sample in self.samples if sample.problem is not None]
        return [f"{found.count(problem)} of {len(self.samples)} rounds do not count: {problem}" for problem in sorted(set(found))]


@dataclass
class Rows:
    """Every row of a run, in the order of measuring."""

    growth: dict[Case, Row] = field(default_factory=dict)
    idle: dict[str, Row] = field(default_factory=dict)
    reload: dict[str, Row] = field(default_factory=dict)

    @staticmethod
    def add(rows: dict, key: Hashable, sample):
        """One more round."""
        rows.setdefault(key, Row()).samples.append(sample)

    def ratio(self, case: Case) -> "float | None":
        """CPU time for a request, over that of the same proxy with few connections and few routes."""
        few = self.growth.get(Case(FEW_CONNECTIONS, FEW_ROUTES, case.proxy))
        ours, theirs = self.growth[case].middle("cpu_us"), few.middle("cpu_us") if few else None
        return ours / theirs if ours and theirs else None


@dataclass
class Bound:
    """A figure beside what it must not exceed."""

    what: str
    figure: float
    at_most: float
    goal: float
    form: str

    def word(self) -> str:
        """How near the goal it is."""
        if self.figure <= self.goal:
            return "goal"
        return "reached" if self.figure <= self.at_most else "missed"


def bounds(rows: Rows) -> list[Bound]:
    """The bounds of which everything was measured."""
    found = []
    many = {proxy: Case(CONNECTIONS[-1], FEW_ROUTES, proxy) for proxy in (CROSSFADE, "nginx")}
    if all(case in rows.growth for case in many.values()):
        ours, nginx = (rows.ratio(case) for case in many.values())
        if ours and nginx:
            found.append(Bound(f"CPU/request at {CONNECTIONS[-1]:,} connections, over that at {FEW_CONNECTIONS}", ours, nginx + 0.15, nginx, "{:.3f}"))
    case = Case(FEW_CONNECTIONS, ROUTES[-1], CROSSFADE)
    ratio = rows.ratio(case) if case in rows.growth else None
    if ratio:
        found.append(Bound(f"CPU/request with {ROUTES[-1]:,} routes, over that with {FEW_ROUTES}", ratio, 1.05, 1.01, "{:.3f}"))
    idle = rows.idle[CROSSFADE].middle("kib") if CROSSFADE in rows.idle else None
    if idle is not None:
        found.append(Bound("memory of an idle connection", idle, 24.0, 4.0, "{:.1f} KiB"))
    return found
