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


def test_where_messages_wait_is_told_by_partition_and_consumer() -> None:
    consumer = {"consumerName": "c1", "unackedMessages": 3, "availablePermits": 997}
    waiting = {"msgBacklog": 4, "msgInReplay": 1, "drainingHashesCount": 2, "consumers": [consumer]}
    stats = {
        "partitions": {
            "persistent://a/b/placed-partition-1": {"subscriptions": {"orders": waiting}},
            "persistent://a/b/placed-partition-0": {"subscriptions": {"orders": {"msgBacklog": 0}}},
            "persistent://a/b/placed-partition-2": {"subscriptions": {"orders": {"msgBacklog": 1}}},
            "persistent://a/b/placed-partition-3": {"subscriptions": {}},
        }
    }
    assert partitions.described(stats, "orders") == [
        "placed-partition-1: 4 wait, 1 to repeat, 2 keys drain;"
        " consumers: c1 (3 unacknowledged, 997 permits, 0 keys drain)",
        "placed-partition-2: 1 wait, 0 to repeat, 0 keys drain; consumers: none",
    ]
