"""Only a partition that could deliver and does not, for long enough, is opened again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.flow import lookout, stalls, topics
from internal.infra import bus
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, ManualClock
from tests.support import ports

STUCK = bus.Delivering(3, messages=7, out=0, delivered=100, has_room=True)
LOOK_EVERY_S = 1.0
LOOKS = round(stalls.STALLED_S / LOOK_EVERY_S)


class Broker(ports.MemoryPublisher):
    """A broker with one partition of orders.placed."""

    def __init__(self) -> None:
        super().__init__()
        self.state = STUCK
        self.is_strict = False
        self.reopened: list[stalls.Where] = []

    async def subscriptions(self, wanted: Sequence[str]) -> list[bus.Subscribed]:
        """See Bus.subscriptions."""
        if self.away:
            raise errors.BusAway("not there")
        assert topics.PLACED in wanted
        foreign = bus.Subscribed(topics.PLACED, "another's", 7, 7, 0, 1, [STUCK])
        mine = (topics.PLACED, topics.ORDER.subscription, 7, 7, 0, 1, [self.state])
        return [foreign, bus.Subscribed(*mine)]

    async def reopen(self, topic: str, partition: int) -> None:
        """See Bus.reopen."""
        if self.is_strict:
            raise errors.Misconfigured("not by you")
        self.reopened.append((topic, partition))


class World:
    """A broker and what looks at it, on a clock of their own."""

    def __init__(self) -> None:
        self.broker, self.clock = Broker(), ManualClock()
        of_bus: bus.Bus = self.broker  # type: ignore[assignment] # it is asked for no more
        self.lookout = lookout.Lookout(of_bus, [stalls.Stalls(of_bus, self.clock)], LOOK_EVERY_S)

    async def look(self, times: int = 1) -> list[stalls.Where]:
        """Look at the usual pace; return what was opened again."""
        before = len(self.broker.reopened)
        for _ in range(times):
            await self.lookout.look()
            self.clock.advance_us(round(LOOK_EVERY_S * US_PER_SECOND))
        return self.broker.reopened[before:]


async def test_a_stalled_partition_is_opened_again_once() -> None:
    world = World()
    assert await world.look(LOOKS) == []
    assert await world.look() == [(topics.PLACED, 3)]
    assert await world.look(LOOKS) == []


async def test_one_that_stays_stalled_is_opened_again_and_again() -> None:
    world = World()
    assert len(await world.look(3 * (LOOKS + 1))) == 3


@pytest.mark.parametrize(
    "change",
    [{"messages": 0}, {"out": 1}, {"has_room": False}],
    ids=["nothing waits", "a consumer has some", "no consumer has room"],
)
async def test_a_partition_that_cannot_deliver_is_left_alone(change: dict[str, int]) -> None:
    world = World()
    fields = {name: getattr(STUCK, name) for name in STUCK.__struct_fields__}
    world.broker.state = bus.Delivering(**{**fields, **change})
    assert await world.look(5 * LOOKS) == []
    world.broker.state = STUCK
    assert await world.look(LOOKS) == []


@given(st.lists(st.booleans(), max_size=8 * LOOKS))
async def test_one_that_delivers_now_and_then_is_left_alone(delivers: list[bool]) -> None:
    """It is opened again only after a whole time without any delivery."""
    world, still = World(), 0
    for has_delivered in delivers:
        if has_delivered:
            delivered = world.broker.state.delivered + 1
            world.broker.state = bus.Delivering(3, 7, 0, delivered, has_room=True)
        reopened = await world.look()
        still = 1 if has_delivered else still + 1
        assert bool(reopened) == (still == LOOKS + 1)
        still = 0 if reopened else still


async def test_what_was_seen_before_the_broker_was_away_counts_no_more() -> None:
    world = World()
    await world.look(LOOKS)
    world.broker.away = 1
    await world.look()
    world.broker.away = 0
    assert await world.look(LOOKS) == []
    assert await world.look() == [(topics.PLACED, 3)]


async def test_a_broker_that_allows_no_reopening_is_asked_again() -> None:
    world = World()
    world.broker.is_strict = True
    assert await world.look(2 * LOOKS) == []
    world.broker.is_strict = False
    assert await world.look(LOOKS) == [(topics.PLACED, 3)]
