"""The rungs, from the bottom up, and what is measured for them."""

from dataclasses import dataclass

from driver.bodies import ONE, REORDERED, SAME

LADDER, CROSSFADE = "ladder", "crossfade"
# The new side answers one request of each batch: the lab's queue has room for one pair when a batch comes, so that all of it is
# copied, and for no more than one when its answers have ended.
SCARCE = "scarce"

# Threads that a request passes through, and those beside it.
SERVING, LAB, OTHER = "serving", "lab", "other"


@dataclass(frozen=True)
class Run:
    """A program under load. One run may be more than one rung."""

    program: str
    size: str = "1k"
    # Of the program `ladder`: how far up it goes.
    rung: "str | None" = None
    # What the new side answers, if it gets copies.
    new: "str | None" = None


@dataclass(frozen=True)
class Rung:
    """What is counted for one more promise."""

    name: str
    run: Run
    says: str
    # Only what happens on the threads that serve.
    serving_only: bool = False
    # The rung that its step is counted from; the one before, unless said otherwise.
    above: "str | None" = None


def _own(rung: str) -> Run:
    return Run(LADDER, rung=rung)


_FORWARD = Run(CROSSFADE)
_EQUAL = Run(CROSSFADE, new=SAME)

RUNGS = [
    Rung("bare", _own("bare"), "hyper's server and client, connections kept"),
    Rung("headers", _own("headers"), "+ refusals, hop-by-hop fields, via, forwarded"),
    Rung("decision", _own("decision"), "+ route, key, bucket, sampling"),
    Rung("metrics", _own("metrics"), "+ counters, histograms, clock readings"),
    Rung("timers", _own("timers"), "+ limits on waiting"),
    Rung("forward", _FORWARD, "crossfade, whole: + limits of the pool, retry, stop"),
    Rung("capture", Run(CROSSFADE, new=SCARCE), "+ request and answer copied; only threads that serve", serving_only=True),
    Rung("hand-over", _EQUAL, "+ the lab takes the pairs; only threads that serve", serving_only=True),
    Rung("compare", _EQUAL, "+ the other side asked, equal bytes; all threads"),
    Rung("reordered", Run(CROSSFADE, new=REORDERED), "the same, keys reordered", above="compare"),
    Rung("difference", Run(CROSSFADE, new=ONE), "the same, one difference", above="compare"),
    Rung("forward-10k", Run(CROSSFADE, "10k"), "10 KB: forwarded", above="forward"),
    Rung("compare-10k", Run(CROSSFADE, "10k", new=SAME), "10 KB: equal bytes", above="forward-10k"),
    Rung("reordered-10k", Run(CROSSFADE, "10k", new=REORDERED), "10 KB: keys reordered", above="compare-10k"),
    Rung("difference-10k", Run(CROSSFADE, "10k", new=ONE), "10 KB: one difference", above="compare-10k"),
]


def base(rung: Rung) -> "str | None":
    """The rung that a rung's step is counted from."""
    index = RUNGS.index(rung)
    return rung.above or (RUNGS[index - 1].name if index else None)


def group(program: str, thread: str) -> str:
    """What a thread is for."""
    if program == LADDER or thread.startswith(("cf-worker", "cf-accept")):
        return SERVING
    return LAB if thread.startswith("cf-lab") else OTHER
