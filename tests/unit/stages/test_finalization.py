"""Finalizing: stock sold, sale booked, receipt numbered, once each; numbers checked by hand."""

from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockLevel
from internal.kernel import errors
from internal.kernel.facts import Fact
from internal.ledger import store as ledger_store
from internal.orders import messages
from internal.pricing.messages import Adjustment, AdjustmentKind
from tests.support import shop, staged_orders


@pytest.fixture
def line(any_database: sa.Connection) -> Iterator[staged_orders.StagedOrders]:
    shop.open_for_business(any_database)
    yield staged_orders.StagedOrders(any_database)
    assert not invariants.check(any_database)


def pay(line: staged_orders.StagedOrders, *orders: messages.OrderPlaced) -> list[Fact]:
    return line.step(*line.step(*orders))


def test_a_sale_is_booked(line: staged_orders.StagedOrders) -> None:
    """25.35 in all, 3.47 of it tax; 2.43 of the discount of 2.75 is without tax."""
    tenth = (Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)
    tenders = (shop.cash(500), shop.card())
    line.carry(shop.placed("o", ("tea", 2), ("cup", 3), tenders=tenders, adjustments=tenth))
    balances = {
        balance.account: (balance.debit_minor, balance.credit_minor)
        for balance in ledger_store.find_balances(line.connection, shop.MERCHANT)
    }
    assert balances == {
        "cash_drawer:main": (500, 0),
        "clearing": (2_035, 0),
        "discount:main": (243, 0),
        "revenue:main": (0, 2_188 + 243),
        "tax:main:inside": (0, 287),
        "tax:main:on-top": (0, 60),
    }


def test_stock_is_sold(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o", ("tea", 2), ("rare", 1)))
    assert line.level("tea") == StockLevel(998_000, 0)
    assert line.level("rare") == StockLevel(1_000, 0)
    movements = inventory_store.STOCK_MOVEMENTS
    query = sa.select(movements.c.sku, movements.c.quantity_milli)
    query = query.where(movements.c.reason == "SALE", movements.c.source_kind == "ORDER")
    assert sorted(line.connection.execute(query).all()) == [("rare", -1_000), ("tea", -2_000)]


def test_receipts_are_numbered_per_store(line: staged_orders.StagedOrders) -> None:
    """In the order in which they were placed, over batches, each merchant's store by itself."""
    first = pay(line, shop.placed("a"), shop.placed("b"))
    other = pay(line, shop.placed("a", merchant_id=shop.OTHER_MERCHANT))
    last = pay(line, shop.placed("c"))
    line.step(*reversed(first), *other)
    line.step(*last)
    assert [line.view(name).receipt_no for name in "abc"] == [1, 2, 3]


def test_a_repetition_sends_the_same_fact_and_sells_nothing(
    line: staged_orders.StagedOrders,
) -> None:
    paid = pay(line, shop.placed("o"))
    first = line.step(*paid)
    assert line.step(*paid) == first
    assert len(line.step(*paid, *paid)) == 1
    assert line.level("tea") == StockLevel(999_000, 0)
    assert line.view("o").version == 4


def test_an_order_for_nothing_is_finalized(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o", ("gift", 1)))
    assert line.view("o").state == "FINALIZED"
    assert not ledger_store.find_balances(line.connection)


def test_an_order_that_is_not_paid_is_not_finalized(line: staged_orders.StagedOrders) -> None:
    (accepted,) = line.step(shop.placed("o"))
    assert isinstance(accepted, messages.OrderAccepted)
    early = messages.OrderPaid(
        **{
            name: getattr(accepted, name)
            for name in messages.OrderPaid.__struct_fields__
            if name != "captured"
        },
        captured=(),
    )
    assert line.step(early) == []
    assert line.view("o").state == "ACCEPTED"


def test_an_order_of_another_database_is_poison(line: staged_orders.StagedOrders) -> None:
    (paid,) = pay(line, shop.placed("o"))
    assert isinstance(paid, messages.OrderPaid)
    with pytest.raises(errors.Poison):
        line.step(msgspec.structs.replace(paid, order_id="p"))
    line.step(paid)
