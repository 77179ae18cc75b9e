"""Time as a port. Rules never read a clock: whoever calls them hands the time in.

Instants are int microseconds since the Unix epoch, UTC, everywhere in Souk.
"""

from typing import Protocol

US_PER_SECOND = 1_000_000
US_PER_MS = 1_000


class Clock(Protocol):
    """Tells the time. The system's clock lives in infra; tests move one by hand."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        ...


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start_us: int = 1_700_000_000 * US_PER_SECOND) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return the instant the clock stands at."""
        return self._now_us

    def advance_us(self, by_us: int) -> None:
        """Move the clock forward (or back, to try clock jumps)."""
        self._now_us += by_us
