"""The histogram's percentiles are within its precision for any durations."""

import math

from hypothesis import given
from hypothesis import strategies as st

from internal.lab.workload import latency

DURATIONS = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1)
PRECISION = 2 ** (1 / latency.BUCKETS_PER_DOUBLING)


@given(DURATIONS, st.integers(1, 100))
def test_percentile_is_the_true_one_or_a_little_above(
    durations_ms: list[float], percent: int
) -> None:
    told = latency.Histogram(durations_ms).percentile_ms(percent)
    true = sorted(durations_ms)[math.ceil(len(durations_ms) * percent / 100) - 1]
    assert true * 0.999999 <= told <= true * PRECISION * 1.000001


@given(DURATIONS)
def test_bars_count_everything_once(durations_ms: list[float]) -> None:
    bars = latency.Histogram(durations_ms).bars()
    assert sum(count for _, count, _ in bars) == len(durations_ms)
    assert max(len(bar) for _, _, bar in bars) == latency.BAR_CHARS
    assert all(bool(bar) == bool(count) for _, count, bar in bars)


@given(DURATIONS)
def test_maximum_and_mean_are_exact(durations_ms: list[float]) -> None:
    told = latency.Histogram(durations_ms)
    assert told.max_ms == told.percentile_ms(100) == max(durations_ms)
    assert math.isclose(told.mean_ms, math.fsum(durations_ms) / len(durations_ms))


def test_empty_histogram_is_all_zeros() -> None:
    empty = latency.Histogram()
    assert set(empty.summary().values()) == {0.0}
    assert empty.bars() == []


def test_bars_are_labelled_by_their_bounds() -> None:
    labels = [label for label, _, _ in latency.Histogram([0.75, 3.0, 2000.0]).bars()]
    assert labels[0] == "0.5 ms .. 1 ms"
    assert labels[-1] == "1.02 s .. 2.05 s"
