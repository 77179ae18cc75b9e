"""A histogram of durations with the same relative precision everywhere, like HdrHistogram.

Buckets grow by the twentieth root of two: a percentile is at most 3.6 % above the true one. Memory
depends on the spread of the recorded durations, not on their number.
"""

import math
from collections import Counter
from collections.abc import Iterable

BUCKETS_PER_DOUBLING = 20
LEAST_MS = 0.001
"""A shorter duration counts as this."""
BAR_CHARS = 40


class Histogram:
    """Durations in milliseconds."""

    def __init__(self, durations_ms: Iterable[float] = ()) -> None:
        self._buckets: Counter[int] = Counter()
        self._sum_ms = 0.0
        self.count = 0
        self.max_ms = 0.0
        for duration_ms in durations_ms:
            self.record(duration_ms)

    def record(self, duration_ms: float) -> None:
        """Add one duration."""
        self._buckets[_bucket_of(duration_ms)] += 1
        self._sum_ms += duration_ms
        self.count += 1
        self.max_ms = max(self.max_ms, duration_ms)

    @property
    def mean_ms(self) -> float:
        """The mean; 0 if the histogram is empty."""
        return self._sum_ms / self.count if self.count else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return the duration that `percent` of all do not exceed; 0 if the histogram is empty."""
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper_ms(bucket), self.max_ms)
        return 0.0

    def summary(self) -> dict[str, float]:
        """Return the usual percentiles, maximum and mean, in milliseconds."""
        percents = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9}
        found = {name: self.percentile_ms(percent) for name, percent in percents.items()}
        found |= {"max": self.max_ms, "mean": self.mean_ms}
        return {name: round(ms, 3) for name, ms in found.items()}

    def bars(self) -> list[tuple[str, int, str]]:
        """Return (range, count, bar) for each doubling between the shortest and the longest."""
        doublings: Counter[int] = Counter()
        for bucket, count in self._buckets.items():
            doublings[(bucket - 1) // BUCKETS_PER_DOUBLING] += count
        if not doublings:
            return []
        longest = max(doublings.values())
        return [
            (_range_of(doubling), count, "█" * math.ceil(BAR_CHARS * count / longest))
            for doubling in range(min(doublings), max(doublings) + 1)
            for count in (doublings[doubling],)
        ]


def _bucket_of(duration_ms: float) -> int:
    return math.ceil(math.log2(max(duration_ms, LEAST_MS)) * BUCKETS_PER_DOUBLING)


def _upper_ms(bucket: int) -> float:
    return float(2.0 ** (bucket / BUCKETS_PER_DOUBLING))


def _range_of(doubling: int) -> str:
    return f"{_short(2.0**doubling)} .. {_short(2.0 ** (doubling + 1))}"


def _short(duration_ms: float) -> str:
    if duration_ms >= 1_000:  # noqa: PLR2004 - a second
        return f"{duration_ms / 1_000:.3g} s"
    return f"{duration_ms:.3g} ms"
