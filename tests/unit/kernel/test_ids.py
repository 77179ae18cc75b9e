"""Orders share keys evenly, and an order always has the same one."""

from collections import Counter

import pytest

from internal.kernel import ids


@pytest.mark.parametrize(("shard_keys", "key"), [(1, "00"), (16, "04"), (256, "116")])
def test_the_key_of_an_order_is_the_same_on_every_machine(shard_keys: int, key: str) -> None:
    assert ids.shard_of("m", "o-7", shard_keys) == key
    assert key in ids.shard_keys(shard_keys)


@pytest.mark.parametrize("shard_keys", [1, 16, 256])
def test_every_key_gets_about_as_many_orders(shard_keys: int) -> None:
    orders = 200 * shard_keys
    found = Counter(ids.shard_of("m", f"o-{number}", shard_keys) for number in range(orders))
    assert set(found) == set(ids.shard_keys(shard_keys))
    assert max(found.values()) < 300
