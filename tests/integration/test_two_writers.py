"""Several instances of every stage at once, on the same orders and the same stock.

It happens when a broker was killed: the old instance still records while the new one begins. No
order is lost or doubled, nothing is sold twice, and nobody hears of the other.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.infra import db, migrate
from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey, StockLevel
from internal.kernel import ids
from internal.kernel.quantities import MILLI
from internal.kernel.states import OrderState
from internal.orders import messages
from internal.orders import store as orders_store
from internal.requests import store as requests_store
from internal.requests.messages import RequestState
from internal.stages import commands
from tests.support import instances, mariadb, shop

WRITERS = 3
ORDERS = 240
BATCH = 40
SMALL_BATCH = 3
SCARCE_UNITS = 60
SCARCE_MILLI = SCARCE_UNITS * MILLI
KINDS = (
    {"tenders": (shop.cash(),)},
    {"tenders": (shop.card(),)},
    {"tenders": (shop.cash(100), shop.card())},
    {"tenders": (shop.card(token="tok_declined:no_funds"),)},
)


@pytest.fixture
async def databases(mysql_books: MysqlSettings) -> AsyncIterator[list[db.Database]]:
    opened: list[db.Database] = [mysql.MysqlDatabase(mysql_books) for _ in range(WRITERS)]
    await opened[0].write(migrate.upgrade)
    await opened[0].write(mariadb.clear)
    await opened[0].write(shop.open_for_business)
    await opened[0].write(_make_scarce)
    yield opened
    for database in opened:
        await database.close()


def _make_scarce(connection: sa.Connection) -> None:
    tea = inventory_store.STOCK.c.sku == "tea"
    change = inventory_store.STOCK.update().where(tea)
    connection.execute(change.values(on_hand_milli=SCARCE_MILLI))
    moved = inventory_store.STOCK_MOVEMENTS
    connection.execute(
        moved.update().where(moved.c.sku == "tea").values(quantity_milli=SCARCE_MILLI)
    )


def _orders() -> list[messages.OrderPlaced]:
    """Every order wants tea, and something that there is plenty of."""
    wanted = [(("tea", 1), ("cup", 2)), (("cup", 1), ("tea", 1)), (("tea", 1), ("gift", 3))]
    return [
        shop.placed(f"o{number:03d}", *wanted[number % 3], **KINDS[number % 4])
        for number in range(ORDERS)
    ]


async def test_nothing_is_lost_doubled_or_sold_twice(databases: list[db.Database]) -> None:
    orders = _orders()
    workers = [instances.Instance(database, seed, BATCH) for seed, database in enumerate(databases)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(one.run(orders) for one in workers))
    names = [ids.OrderRef(shop.MERCHANT, order.order_id) for order in orders]
    found = await databases[0].read(lambda c: invariants.check(c, acknowledged=names))
    assert not found
    recorded = await databases[0].read(lambda c: orders_store.find(c, names))
    states = Counter(order.state for order in recorded.values())
    assert sum(states.values()) == ORDERS
    assert set(states) == {OrderState.FINALIZED, OrderState.REJECTED}
    levels = await databases[0].read(
        lambda c: inventory_store.find_levels(c, [StockKey(shop.MERCHANT, shop.STORE, "tea")])
    )
    left_milli = (SCARCE_UNITS - states[OrderState.FINALIZED]) * MILLI
    assert list(levels.values()) == [StockLevel(left_milli, 0)]


async def test_two_make_the_same_stores_first_receipt(databases: list[db.Database]) -> None:
    """Nobody has a counter yet: both may make it, one does."""
    orders = [shop.placed(f"o{number}", ("gift", 1)) for number in range(WRITERS)]
    workers = [instances.Instance(database, 0, BATCH) for database in databases]
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(one.run([order]) for one, order in zip(workers, orders, strict=True))
        )
    names = [ids.OrderRef(shop.MERCHANT, order.order_id) for order in orders]
    assert not await databases[0].read(lambda c: invariants.check(c, acknowledged=names))


async def test_one_cancels_what_another_pays(databases: list[db.Database]) -> None:
    """All lock orders before stock; each order comes to one end."""
    orders = [shop.placed(f"o{number}", ("gift", 1)) for number in range(BATCH)]
    first, second, third = (
        instances.Instance(database, seed, BATCH) for seed, database in enumerate(databases)
    )
    accepted = await first.carry(first.handlers[0], orders)
    requests = [shop.cancel(order.order_id, f"c-{order.order_id}") for order in orders]
    more = [shop.placed(f"p{number}", ("gift", 1)) for number in range(BATCH)]
    async with asyncio.timeout(60):
        await asyncio.gather(first.run(accepted), second.run([*more, *requests]), third.run(more))
    names = [ids.OrderRef(shop.MERCHANT, order.order_id) for order in (*orders, *more)]
    assert not await databases[0].read(lambda c: invariants.check(c, acknowledged=names))


async def test_one_records_what_another_cancels(databases: list[db.Database]) -> None:
    """Neither waits for the other, and yet each order is seen by its request, or sees it."""
    orders = [shop.placed(f"o{number:03d}", ("gift", 1)) for number in range(ORDERS)]
    requests = [shop.cancel(order.order_id, f"c-{order.order_id}") for order in orders]
    first, second, third = (
        instances.Instance(database, seed, SMALL_BATCH) for seed, database in enumerate(databases)
    )
    async with asyncio.timeout(60):
        await asyncio.gather(
            first.carry(first.handlers[0], orders),
            second.carry(second.handlers[0], requests),
            third.carry(third.handlers[0], [*orders, *requests]),
        )
    names = [ids.OrderRef(shop.MERCHANT, order.order_id) for order in orders]
    recorded = await databases[0].read(lambda c: orders_store.find(c, names))
    assert Counter(order.state for order in recorded.values()) == {OrderState.CANCELLED: ORDERS}
    assert {order.version for order in recorded.values()} == {2, 3}  # before, and after
    keys = [commands.key_of(request) for request in requests]
    answered = await databases[0].read(lambda c: requests_store.find(c, keys))
    assert {(it.state, it.status) for it in answered.values()} == {(RequestState.DONE, "")}
    assert not await databases[0].read(lambda c: invariants.check(c, acknowledged=names))
