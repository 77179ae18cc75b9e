"""A settlement knows which orders have ended, which hang, and which came to several ends."""

from internal.lab.workload import outcomes
from internal.wire.souk.v1 import order_pb2
from tests.unit.client import fake_server

PLACED = order_pb2.ORDER_STATE_PLACED
PAID = order_pb2.ORDER_STATE_PAID
FINALIZED = order_pb2.ORDER_STATE_FINALIZED
REJECTED = order_pb2.ORDER_STATE_REJECTED


def fill(house: fake_server.Server, orders: int, *states: order_pb2.OrderState) -> list[str]:
    """Put orders behind the door that go through these states, a look each."""
    names = [f"o-{number:04d}" for number in range(orders)]
    for name in names:
        house.orders[name] = (order_pb2.OrderDraft(order_id=name), list(states))
    return names


async def test_all_ends_are_found_by_listing_and_one_by_one() -> None:
    for count in (outcomes.SINGLE_LOOKS_MAX, 1_100):
        async with fake_server.opened() as (house, connection):
            names = fill(house, count, PLACED, PAID, FINALIZED)
            told: list[int] = []
            settlement = outcomes.Settlement(connection, names, 0)
            await settlement.wait(30, told.append)
        assert settlement.ends.keys() == set(names)
        assert not settlement.open
        assert told[-1] == count
        assert {end.took_ms for end in settlement.ends.values()} == {20.0}


async def test_hanging_orders_are_named() -> None:
    async with fake_server.opened() as (house, connection):
        names = fill(house, 3, FINALIZED)
        house.orders["o-0001"][1][:] = [PAID]
        settlement = outcomes.Settlement(connection, [*names, "lost"], 0)
        await settlement.wait(0.3, lambda _: None)
    assert settlement.open == {"o-0001", "lost"}
    assert not settlement.restless


async def test_order_that_leaves_its_end_is_found() -> None:
    async with fake_server.opened() as (house, connection):
        names = fill(house, 2, FINALIZED)
        house.orders["o-0001"][1][:] = [FINALIZED, REJECTED]
        settlement = outcomes.Settlement(connection, names, 0)
        await settlement.wait(30, lambda _: None)
        await settlement.look(names)
    assert settlement.restless == {"o-0001"}


async def test_timeline_without_an_end_is_found() -> None:
    async with fake_server.opened() as (house, connection):
        names = fill(house, 3, FINALIZED)
        house.orders["o-0002"][1][:] = [PAID]
        settlement = outcomes.Settlement(connection, names, 0)
        assert await settlement.stories_with_several_ends(names) == ["o-0002"]
