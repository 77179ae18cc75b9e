"""API keys: where they come from, how long they are cached, what a lost database changes."""

import pytest

from internal.api import authentication, options
from internal.kernel import errors
from tests.unit.api import memory

LIMITS = options.Limits(key_ttl_s=30, key_stale_max_s=600, keys_max=3)


class Rig:
    """Cached keys over keys in memory, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.keys = memory.MemoryKeys()
        self.cached = authentication.CachedAuthenticator(self.keys, LIMITS, lambda: self.now_s)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_asked_once_per_ttl(rig: Rig) -> None:
    for _ in range(5):
        assert await rig.cached.merchant_of("key-of-m1") == "m1"
        assert await rig.cached.merchant_of("wrong") is None
    assert rig.keys.reads == 2
    rig.now_s += 30
    await rig.cached.merchant_of("key-of-m1")
    assert rig.keys.reads == 3


async def test_a_revoked_key_stops_working_after_the_ttl(rig: Rig) -> None:
    await rig.cached.merchant_of("key-of-m1")
    del rig.keys.keys["key-of-m1"]
    assert await rig.cached.merchant_of("key-of-m1") == "m1"
    rig.now_s += 31
    assert await rig.cached.merchant_of("key-of-m1") is None


async def test_a_new_key_works_at_once_and_a_tried_one_after_the_ttl(rig: Rig) -> None:
    assert await rig.cached.merchant_of("tried") is None
    rig.keys.keys |= {"tried": "m3", "new": "m3"}
    assert await rig.cached.merchant_of("new") == "m3"
    rig.now_s += 31
    assert await rig.cached.merchant_of("tried") == "m3"


async def test_known_keys_survive_a_lost_database_for_a_while(rig: Rig) -> None:
    await rig.cached.merchant_of("key-of-m1")
    rig.keys.is_away = True
    rig.now_s += 599
    assert await rig.cached.merchant_of("key-of-m1") == "m1"
    with pytest.raises(errors.DatabaseAway):
        await rig.cached.merchant_of("key-of-m2")
    rig.now_s += 2
    with pytest.raises(errors.DatabaseAway):
        await rig.cached.merchant_of("key-of-m1")


async def test_guessing_does_not_push_right_keys_out(rig: Rig) -> None:
    await rig.cached.merchant_of("key-of-m1")
    for number in range(20):
        await rig.cached.merchant_of(f"guess-{number}")
    reads = rig.keys.reads
    assert await rig.cached.merchant_of("key-of-m1") == "m1"
    assert rig.keys.reads == reads
    await rig.cached.merchant_of("guess-0")
    assert rig.keys.reads == reads + 1


@pytest.mark.parametrize(
    ("metadata", "keys"),
    [
        ({}, set()),
        ({"authorization": "Bearer k"}, {"k"}),
        ({"authorization": "BEARER  k "}, {"k"}),
        ({"authorization": "Bearer k", "x-api-key": "k"}, {"k"}),
        ({"authorization": "Bearer k", "x-api-key": "other"}, {"k", "other"}),
        ({"authorization": "Bearer k, Bearer other"}, {"k", "other"}),
        ({"authorization": "Basic k", "x-api-key": "other"}, {"other"}),
        ({"authorization": "Basic k,Bearer other"}, {"other"}),
        ({"x-api-key": "k,other"}, {"k", "other"}),
        ({"x-api-key": "k,"}, {"k"}),
        ({"x-api-key": b"binary"}, set()),
        ({"x-api-key": "x" * 257}, set()),
    ],
)
def test_where_keys_come_from(metadata: dict[str, str | bytes], keys: set[str]) -> None:
    assert authentication.keys_in(metadata) == keys


async def test_a_caller_is_a_merchant_with_a_key(rig: Rig) -> None:
    own = f"souk_{'a' * 12}_{'b' * 64}"
    rig.keys.keys |= {own: "m3"}
    found = await authentication.caller_of({"x-api-key": own}, rig.cached)
    assert found == authentication.Caller("m3", "a" * 12)
    foreign = await authentication.caller_of({"x-api-key": "key-of-m1"}, rig.cached)
    assert foreign == authentication.Caller("m1", "")
