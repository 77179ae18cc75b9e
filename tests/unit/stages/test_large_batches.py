"""A full batch of long orders passes every stage in one transaction each, on both databases."""

import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product
from internal.flow import topics
from internal.infra import bulk
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey
from internal.kernel.facts import Fact
from internal.kernel.unit_prices import UnitPrice
from internal.orders import store, tables
from internal.pipeline import handler
from tests.support import shop, stock
from tests.support.staged_orders import StagedOrders

ORDERS, LINES = handler.Limits().batch_orders_max, 26
SKUS = [f"sku-{number}" for number in range(LINES)]


def stock_up(connection: sa.Connection) -> None:
    shop.open_for_business(connection)
    products = [Product(shop.MERCHANT, sku, sku, UnitPrice(100), "EUR", "inside") for sku in SKUS]
    catalogue_store.save_products(connection, products)
    keys = [StockKey(shop.MERCHANT, shop.STORE, sku) for sku in SKUS]
    inventory_store.move(connection, [stock.moved(key, ORDERS) for key in keys], stock.OWNER)


def settled(outcomes: list[handler.Outcome]) -> list[Fact]:
    assert all(isinstance(outcome, handler.Settled) for outcome in outcomes)
    return [f for it in outcomes if isinstance(it, handler.Settled) for f in it.facts]


def test_more_rows_than_one_statement_takes(any_database: sa.Connection) -> None:
    """All of the stock is sold, and not one unit more: the guards hold over several statements."""
    assert ORDERS * LINES > 2 * bulk.ROWS_MAX
    stock_up(any_database)
    staged = StagedOrders(any_database)
    lines = [(sku, 1) for sku in SKUS]
    facts: list[Fact] = [shop.placed(f"o{number}", *lines) for number in range(ORDERS)]
    for topic in (topics.PLACED, topics.ACCEPTED, topics.PAID):
        facts = settled(staged.record(topic, *map(staged.work, facts)))
    assert len(facts) == ORDERS
    o = store.ORDERS.c
    states = any_database.execute(sa.select(o.state, sa.func.count()).group_by(o.state)).all()
    assert [tuple(row) for row in states] == [("FINALIZED", ORDERS)]
    counted = sa.select(sa.func.count()).select_from(tables.ORDER_LINES)
    assert any_database.execute(counted).scalar() == ORDERS * LINES
    levels = [staged.level(sku) for sku in SKUS]
    assert {(level.on_hand_milli, level.reserved_milli) for level in levels} == {(0, 0)}
    (late,) = settled(staged.record(topics.PLACED, staged.work(shop.placed("late", *lines))))
    assert late.refusal_code == "OUT_OF_STOCK"
