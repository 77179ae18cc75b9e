"""The cost of a batch does not grow with the tables: rows are looked up, never scanned for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from internal.flow import janitor
from internal.infra import bulk, migrate
from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from internal.inventory import store as inventory_store
from internal.inventory.messages import Movement, StockKey
from internal.kernel import ids
from internal.orders import deadlines, messages
from internal.orders import store as orders_store
from internal.payments import store as payments_store
from internal.pipeline import handler
from internal.views import order as order_view
from internal.views import order_list
from tests.support import instances, mariadb, shop, stock

ORDERS = 1_200
BATCH = 10
WALKED = ("Handler_read_rnd_next", "Handler_read_next", "Handler_read_prev", "Handler_read_first")
"""Rows that were read one after the other, wanted or not; a statement's own rows and those of an
answer are included.
"""
WALKED_MAX = 25 * BATCH
SPLIT = (shop.cash(100), shop.card())
LINES = (("gift", 1), ("cup", 2))


def orders(name: str, count: int) -> list[messages.OrderPlaced]:
    return [shop.placed(f"{name}{number:05d}", *LINES, tenders=SPLIT) for number in range(count)]


@pytest.fixture(scope="module")
def options(mysql_server: mariadb.Server) -> Iterator[MysqlSettings]:
    """Tables with many finished orders, and some that wait for their payment."""
    with mysql_server.database() as options:
        asyncio.run(_trade(options))
        yield options


async def _trade(options: MysqlSettings) -> None:
    database = mysql.MysqlDatabase(options)
    await database.write(migrate.upgrade)
    await database.write(shop.open_for_business)
    await database.write(
        lambda c: inventory_store.move(c, list(map(_received, ("gift", "cup"))), stock.OWNER)
    )
    instance = instances.Instance(database)
    await instance.run(orders("done", ORDERS))
    await instance.carry(instance.handlers[0], orders("open", ORDERS // 4))
    await database.close()


def _received(sku: str) -> Movement:
    key = StockKey(shop.MERCHANT, shop.STORE, sku)
    return stock.moved(key, 1_000_000)


@pytest.fixture
async def database(options: MysqlSettings) -> AsyncIterator[mysql.MysqlDatabase]:
    database = mysql.MysqlDatabase(options)
    yield database
    await database.close()


def walked(connection: sa.Connection) -> int:
    status = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(count) for name, count in status if name in WALKED)


@pytest.mark.parametrize("place", range(3))
async def test_no_stage_walks_a_table(database: mysql.MysqlDatabase, place: int) -> None:
    """Each batch through its stage; also when it comes again."""
    instance = instances.Instance(database, batch_orders=BATCH)
    counts: list[int] = []
    instance.handlers[place] = Watched(instance.handlers[place], counts)
    more = orders(f"more-{place}-", BATCH)
    await instance.run(more)
    await instance.run(more)
    assert counts
    assert max(counts) <= WALKED_MAX, counts


class Watched:
    """A handler that counts what its transactions walk past."""

    def __init__(self, stage_handler: handler.StageHandler, counts: list[int]) -> None:
        self.spec = stage_handler.spec
        self._handler, self._counts = stage_handler, counts

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        before = walked(connection)
        outcomes = self._handler.record(connection, work, now_us)
        self._counts.append(walked(connection) - before)
        return outcomes

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the protocol's type
        return await self._handler.perform(effect)

    def abandon(self, connection: sa.Connection, fact: Any) -> None:  # noqa: ANN401 - as above
        self._handler.abandon(connection, fact)


NAMES = [ids.OrderRef(shop.MERCHANT, f"done{number:05d}") for number in range(BATCH)]
LOOKS: dict[str, Callable[[sa.Connection], object]] = {
    "find": lambda c: orders_store.find(c, NAMES),
    "view": lambda c: order_view.get_many(c, NAMES),
    "attempts": lambda c: payments_store.histories(c, list(range(1, BATCH))),
    "due": lambda c: [deadlines.are_due(c, it.waiting, shop.NOW_US) for it in janitor.WAYS],
    "page": lambda c: order_list.list_page(c, shop.MERCHANT, order_list.Filter(), None, BATCH),
    "postpone": lambda c: deadlines.postpone(c, list(range(1, BATCH)), shop.NOW_US),
    "replace": lambda c: bulk.replace(
        c,
        inventory_store.STOCK,
        ("merchant_id", "location_id", "sku", "lot"),
        ("merchant_id", "location_id", "sku", "lot", "on_hand_milli", "reserved_milli"),
        [("m-3", "main", f"sku-{number}", "", 1, 0) for number in range(BATCH)],
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
async def test_no_read_walks_a_table(
    database: mysql.MysqlDatabase, look: Callable[[sa.Connection], object]
) -> None:
    def count(connection: sa.Connection) -> int:
        before = walked(connection)
        look(connection)
        return walked(connection) - before

    assert await database.write(count) <= WALKED_MAX
