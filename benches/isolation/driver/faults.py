"""What a shadow may do wrong, and what crossfade must then count."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """A row of the table."""

    name: str
    title: str
    # How the shadow behaves (benches/isolation/fault.rs).
    mode: str
    # Every so many requests are a POST with a body; the same with the shadow off.
    post_every: "int | None" = None
    # The copies that are taken up must end like this: verdicts, or reasons of incomparable pairs.
    ends: frozenset[str] = field(default_factory=frozenset)


CONTROL = Fault("control", "off, for control", "healthy")

FAULTS = [
    CONTROL,
    Fault("healthy", "healthy", "healthy", ends=frozenset({"match"})),
    Fault("slow", "slow by 1 s", "slow", ends=frozenset({"match"})),
    Fault("never", "never answers", "never", ends=frozenset({"shadow_timeout"})),
    Fault("refuse", "refuses", "refuse", ends=frozenset({"shadow_connect"})),
    Fault("reset", "resets in the body", "reset", ends=frozenset({"shadow_reset"})),
    Fault("trickle", "1 byte a second", "trickle", ends=frozenset({"shadow_timeout"})),
    Fault("huge", "sends 1 GiB", "huge", ends=frozenset({"too_large"})),
    Fault("framing", "bad framing", "framing", ends=frozenset({"shadow_protocol"})),
    # A small request fits into the buffers between both ends, so that who does not read it can't be told from who does not answer.
    Fault("unread", "does not read", "unread", post_every=4, ends=frozenset({"shadow_timeout"})),
]
