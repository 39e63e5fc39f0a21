"""What crossfade counts of its copies, and whether that can be."""

import time

from driver.proxies import Metrics, Proxy

from .faults import Fault

# Name, and by label how many.
Counts = dict[str, dict[str, float]]

# How long what is queued and under way may take once the shadow is healthy again: even if it answers nothing, 1,152 pairs end within 11 s, 128 at a time.
_PATIENCE = 20


def taken(proxy: Proxy) -> Counts:
    """The counters as they are."""
    metrics: Metrics = proxy.metrics()
    return {
        "sampled": {"all": metrics.total("crossfade_shadow_sampled_total")},
        "asked": {"all": metrics.total("crossfade_shadow_requests_total")},
        "dropped": metrics.by("crossfade_shadow_dropped_total", "reason"),
        "verdicts": metrics.by("crossfade_comparisons_total", "verdict"),
        "incomparable": metrics.by("crossfade_incomparable_total", "reason"),
    }


def settled(proxy: Proxy) -> Counts:
    """The counters once nothing is under way any more."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        counts = taken(proxy)
        if _total(counts, "sampled") == _total(counts, "dropped") + _total(counts, "verdicts") or time.monotonic() > deadline:
            return counts
        time.sleep(0.1)


def grown(before: Counts, after: Counts) -> Counts:
    """What was added; labels without any are left out."""
    added = {name: {label: value - before[name].get(label, 0) for label, value in by.items()} for name, by in after.items()}
    return {name: {label: value for label, value in by.items() if value} for name, by in added.items()}


def together(first: "Counts | None", second: Counts) -> Counts:
    """The sum of two."""
    first = first or {name: {} for name in second}
    return {name: {label: first[name].get(label, 0) + by.get(label, 0) for label in {**first[name], **by}} for name, by in second.items()}


def ends(counts: Counts) -> dict[str, float]:
    """How the copies ended that were taken up: verdicts, and instead of `incomparable` its reasons."""
    verdicts = {verdict: number for verdict, number in counts["verdicts"].items() if verdict != "incomparable"}
    return {**verdicts, **counts["incomparable"]}


def unbalanced(counts: Counts, shadowed: int) -> list[str]:
    """Which sums of a whole row don't come out, once nothing is under way."""
    sampled, asked, dropped, judged = (_total(counts, name) for name in ("sampled", "asked", "dropped", "verdicts"))
    wrong = []
    if sampled != shadowed:
        wrong.append(f"{sampled:,.0f} sampled of {shadowed:,} requests")
    if sampled != asked + dropped:
        wrong.append(f"{sampled:,.0f} sampled, but {asked:,.0f} asked and {dropped:,.0f} dropped")
    if asked != judged:
        wrong.append(f"{asked:,.0f} asked, but {judged:,.0f} judged")
    return wrong


def unexpected(counts: Counts, fault: Fault) -> list[str]:
    """Whether the copies that ended while the fault was there ended as it says."""
    ended = ends(counts)
    other = {end: number for end, number in ended.items() if end not in fault.ends}
    if len(ended) == len(other) or sum(other.values()) > 0.02 * sum(ended.values()):
        return [f"copies should have ended as {' or '.join(sorted(fault.ends))}, and did as {listed(ended)}"]
    return []


def listed(by: dict[str, float]) -> str:
    """Labels and numbers in words, the largest first."""
    return ", ".join(f"{label} {number:,.0f}" for label, number in sorted(by.items(), key=lambda item: -item[1])) or "none"


def _total(counts: Counts, name: str) -> float:
    return sum(counts[name].values())
