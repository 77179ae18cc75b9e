"""Keys are dealt out evenly over partitions; the ages of all partitions make one."""

from collections import Counter

import pytest

from internal.infra.pulsar_bus import partitions
from internal.kernel import ids


@pytest.mark.parametrize(("shard_keys", "number"), [(16, 4), (16, 16), (256, 12), (5, 1)])
def test_partitions_get_equally_many_keys(shard_keys: int, number: int) -> None:
    found = Counter(partitions.partition_of(key, number) for key in ids.shard_keys(shard_keys))
    assert set(found) == set(range(number))
    assert max(found.values()) - min(found.values()) <= 1


@pytest.mark.parametrize("key", ["", "order_processing", "\N{SUPERSCRIPT TWO}", "-1", "a" * 200])
def test_any_key_has_a_partition(key: str) -> None:
    assert partitions.partition_of(key, 4) in range(4)


@pytest.mark.parametrize(
    ("times_ms", "earliest_ms"),
    [([5, 3, 9], 3), ([-1, 7, 0], 7), ([0, -1], 0), ([], 0), ([None, 4], 4)],
)
def test_the_oldest_message_of_all_partitions_counts(
    times_ms: list[int | None], earliest_ms: int
) -> None:
    of_partitions = {
        str(number): {"subscriptions": {} if ms is None else {"s": {partitions.EARLIEST: ms}}}
        for number, ms in enumerate(times_ms)
    }
    stats = {"subscriptions": {"s": {partitions.EARLIEST: -1}}, "partitions": of_partitions}
    assert partitions.with_ages(stats)["subscriptions"]["s"][partitions.EARLIEST] == earliest_ms
