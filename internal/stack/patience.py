"""How long to wait for something that comes up: as long as it makes progress, within a limit.

A busy machine is slow, but not broken: a fixed time either gives up on it too early, or lets people
wait for something that has died.
"""

import time
from collections.abc import Callable

import tenacity

LONGEST_S = 900.0
"""Progress without end is none."""
LOOK_EVERY_S = 0.1


class Patience:
    """Is over after `quiet_s` without progress, and after `longest_s` in any case."""

    def __init__(
        self,
        quiet_s: float,
        longest_s: float = LONGEST_S,
        now_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._quiet_s, self._now_s = quiet_s, now_s
        self._ends_s = now_s() + max(quiet_s, longest_s)
        self._moved_s = now_s()
        self._seen: object = None

    def progressed(self) -> None:
        """Note that something has moved."""
        self._moved_s = self._now_s()

    def look(self, sign: object) -> None:
        """Note progress if this sign of life is another than the last one."""
        if sign != self._seen:
            self._seen = sign
            self.progressed()

    @property
    def is_over(self) -> bool:
        """Tell whether to give up."""
        now_s = self._now_s()
        return now_s >= min(self._ends_s, self._moved_s + self._quiet_s)


def until(
    condition: Callable[[], bool],
    sign: Callable[[], object],
    quiet_s: float,
    longest_s: float = LONGEST_S,
) -> bool:
    """Poll a condition while its sign of life changes; return False if it did not hold in time."""
    patience = Patience(quiet_s, longest_s)

    def is_settled() -> bool:
        if condition():
            return True
        patience.look(sign())
        return patience.is_over

    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda is_so: not is_so),
        wait=tenacity.wait_fixed(LOOK_EVERY_S),
    )(is_settled)
    return condition()
