"""Time as a port. Rules never read a clock: their callers pass the time in.

Instants are int microseconds since the Unix epoch, UTC, everywhere in Souk.
"""

from typing import Protocol

US_PER_SECOND = 1_000_000
US_PER_MS = 1_000


class Clock(Protocol):
    """Tells the time. The system's clock is in infra; tests move a manual one."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        ...


class ManualClock:
    """A clock that keeps its time until it is moved."""

    def __init__(self, start_us: int = 1_700_000_000 * US_PER_SECOND) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return the instant that the clock is set to."""
        return self._now_us

    def advance_us(self, by_us: int) -> None:
        """Move the clock forward (or back, to test clock jumps)."""
        self._now_us += by_us
