"""A watcher knows which orders have ended, which hang, and which came to several ends."""

from internal.lab.workload import outcomes
from internal.wire.souk.v1 import order_pb2
from tests.unit.client import fake_server

PLACED = order_pb2.ORDER_STATE_PLACED
PAID = order_pb2.ORDER_STATE_PAID
FINALIZED = order_pb2.ORDER_STATE_FINALIZED
REJECTED = order_pb2.ORDER_STATE_REJECTED


def fill(server: fake_server.Server, orders: int, *states: order_pb2.OrderState) -> list[str]:
    """Give the server orders that go through these states, one state per look."""
    names = [f"o-{number:04d}" for number in range(orders)]
    for name in names:
        server.orders[name] = (order_pb2.OrderDraft(order_id=name), list(states))
    return names


async def test_all_ends_are_found_by_listing_and_one_by_one() -> None:
    for count in (outcomes.SINGLE_LOOKS_MAX, 1_100):
        async with fake_server.opened() as (server, connection):
            names = fill(server, count, PLACED, PAID, FINALIZED)
            told: list[int] = []
            watcher = outcomes.Watcher(connection, names, 0)
            await watcher.wait(30, told.append)
        assert watcher.ends.keys() == set(names)
        assert not watcher.open
        assert told[-1] == count
        assert {end.took_ms for end in watcher.ends.values()} == {20.0}


async def test_hanging_orders_are_named() -> None:
    async with fake_server.opened() as (server, connection):
        names = fill(server, 3, FINALIZED)
        server.orders["o-0001"][1][:] = [PAID]
        watcher = outcomes.Watcher(connection, [*names, "lost"], 0)
        await watcher.wait(0.3, lambda _: None)
    assert watcher.open == {"o-0001", "lost"}
    assert not watcher.changed_after_end


async def test_order_that_leaves_its_end_is_found() -> None:
    async with fake_server.opened() as (server, connection):
        names = fill(server, 2, FINALIZED)
        server.orders["o-0001"][1][:] = [FINALIZED, REJECTED]
        watcher = outcomes.Watcher(connection, names, 0)
        await watcher.wait(30, lambda _: None)
        await watcher.look(names)
    assert watcher.changed_after_end == {"o-0001"}


async def test_timeline_without_an_end_is_found() -> None:
    async with fake_server.opened() as (server, connection):
        names = fill(server, 3, FINALIZED)
        server.orders["o-0002"][1][:] = [PAID]
        watcher = outcomes.Watcher(connection, names, 0)
        assert await watcher.without_exactly_one_end(names) == ["o-0002"]
