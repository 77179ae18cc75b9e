"""Rows of orders are read, counted, moved to other keys and copied; every invariant holds."""

from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra import settings
from internal.lab.bench import clone_orders, clone_rows
from internal.payments.gateways import simulator
from internal.pricing.messages import Adjustment, AdjustmentKind
from tests.support import pipeline_fixture, shop

ORDERS = (
    shop.placed("cash"),
    shop.placed("card", ("tea", 2), ("cup", 1), tenders=(shop.card(),)),
    shop.placed("split", ("cup", 4), tenders=(shop.cash(500), shop.card())),
    shop.placed("cheap", adjustments=(Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)),
)
ROWS_OF_CASH = {
    "orders": 1,
    "order_lines": 1,
    "order_line_parts": 1,
    "order_log": 4,
    "order_tenders": 1,
    "payment_transactions": 1,
    "stock_movements": 1,
    "ledger_entries": 3,
}
NOT_WRITTEN = {
    "disputes",
    "gateway_references",
    "refund_lines",
    "refunds",
    "return_line_parts",
    "return_lines",
    "returns",
}
"""Tables that no order has rows in when it ends."""


def count(connection: sa.Connection) -> int:
    return connection.scalar(sa.text("SELECT COUNT(*) FROM orders")) or 0


async def test_rows_of_an_order_are_found_in_all_tables(tmp_path: Path) -> None:
    site = pipeline_fixture.Site(tmp_path)
    await pipeline_fixture.found(site)
    async with pipeline_fixture.opened(site) as there:
        await there.run(ORDERS[0])
        rows = await there.database.read(lambda c: clone_rows.read(c, 0, 1))
    assert {kept.table.name: len(found) for kept, found in rows.items() if found} == ROWS_OF_CASH
    assert clone_rows.count(rows) == sum(ROWS_OF_CASH.values())


async def test_every_table_with_an_order_key_is_known() -> None:
    known = {kept.table.name for kept in clone_rows.TABLES}
    tables = clone_rows.TABLES[0].table.metadata.tables
    with_orders = {name for name, table in tables.items() if "order_key" in table.columns}
    assert with_orders - NOT_WRITTEN <= known


async def test_moved_rows_are_those_of_other_orders(tmp_path: Path) -> None:
    site = pipeline_fixture.Site(tmp_path)
    await pipeline_fixture.found(site)
    async with pipeline_fixture.opened(site) as there:
        await there.run(*ORDERS)
        rows = await there.database.read(lambda c: clone_rows.read(c, 0, 100))
        for by in (1_000, 2_000):
            moved = clone_rows.moved(rows, by)
            await there.database.write(partial(clone_rows.write, rows=moved))
        assert await there.database.read(count) == 3 * len(ORDERS)
        again = await there.database.read(lambda c: clone_rows.read(c, 1_000, 1_100))
    assert again == clone_rows.moved(rows, 1_000)


@pytest.mark.slow
async def test_books_hold_with_copies_and_with_orders_after_them(
    tmp_path: Path, mysql_books: settings.MysqlSettings
) -> None:
    site = pipeline_fixture.Site(tmp_path, mysql_books)
    await pipeline_fixture.found(site)
    gateway = simulator.SimulatorLedger(tmp_path / pipeline_fixture.GATEWAY_FILE)
    async with pipeline_fixture.opened(site) as there:
        await there.run(*ORDERS)
        template = await there.database.read(lambda c: clone_orders.template(c, gateway))
        assert template.orders == len(ORDERS)
        for number in (1, 2, 3):
            await there.database.write(partial(clone_orders.copy, of=template, number=number))
            clone_orders.copy_captures(gateway, template, number)
            await there.run(shop.placed(f"between-{number}", tenders=(shop.card(),)))
        assert await there.database.read(count) == 4 * len(ORDERS) + 3
        assert await there.check([f"{order.order_id}.3" for order in ORDERS]) == []
