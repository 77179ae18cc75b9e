"""Placing orders: priced, stock reserved, written down once, whatever comes twice."""

import msgspec
import pytest
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import PricePolicy, Product, Store
from internal.checks import invariants
from internal.flow import topics
from internal.inventory.messages import StockLevel
from internal.kernel.facts import Fact
from internal.kernel.unit_prices import UnitPrice
from internal.orders import messages, refusals, tables
from internal.payments.messages import Tender, TenderKind
from internal.pipeline import handler
from internal.pricing.messages import Adjustment, AdjustmentKind, PriceSource, WantedLine
from tests.support import shop, staged_orders
from tests.unit.reports import samples


@pytest.fixture
def line(any_database: sa.Connection) -> staged_orders.StagedOrders:
    shop.open_for_business(any_database)
    return staged_orders.StagedOrders(any_database)


def place(
    line: staged_orders.StagedOrders, *orders: messages.OrderPlaced
) -> list[tuple[Fact, ...]]:
    """Have a batch recorded; return what goes on its way for each order."""
    outcomes = line.record(topics.PLACED, *map(line.work, orders))
    assert not invariants.check(line.connection)
    return [outcome.facts for outcome in outcomes if isinstance(outcome, handler.Settled)]


def test_an_order_is_priced_and_its_stock_reserved(line: staged_orders.StagedOrders) -> None:
    """Tea 20.00 and cups 7.50, less 10 %: 18.00 with 2.87 inside, 6.75 and 0.60 on top."""
    tenth = (Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)
    tenders = (shop.cash(500), shop.card())
    order = shop.placed("o", ("tea", 2), ("cup", 3), tenders=tenders, adjustments=tenth)
    ((accepted,),) = place(line, order)
    assert isinstance(accepted, messages.OrderAccepted)
    assert accepted.lines == (messages.StockLine("tea", 2_000), messages.StockLine("cup", 3_000))
    assert accepted.tenders == (
        Tender(TenderKind.CASH, "t1", 500, given_minor=500),
        Tender(TenderKind.CARD, "t2", 2_035),
    )
    amounts = (accepted.gross_minor, accepted.discount_minor, accepted.net_minor)
    assert amounts == (2_750, 275, 2_188)
    assert (accepted.tax_minor, accepted.total_minor) == (287 + 60, 2_535)
    assert line.level("tea") == StockLevel(1_000_000, 2_000)
    assert line.level("cup") == StockLevel(1_000_000, 3_000)
    kept = line.view("o")
    assert (kept.state, kept.charge_state, kept.stock_state) == ("ACCEPTED", "NONE", "RESERVED")
    assert [entry.state for entry in kept.timeline] == ["PLACED", "ACCEPTED"]
    assert kept.due_at_us == shop.NOW_US + topics.PAYMENT.deadline_s * 1_000_000


def test_the_business_day_is_that_of_the_sale_in_the_stores_zone(
    line: staged_orders.StagedOrders,
) -> None:
    """Sold at 03:30 in Santiago, which closes at 04:00; sent a day later."""
    kept = Store(
        shop.MERCHANT,
        shop.STORE,
        "The shop",
        "EUR",
        time_zone="America/Santiago",
        day_cut_off_minutes=240,
    )
    catalogue_store.save_stores(line.connection, [kept])
    sold_at_us = samples.us_of("2023-11-13T06:30:00+00:00")
    order = msgspec.structs.replace(shop.placed("o"), sold_at_us=sold_at_us)
    ((accepted,),) = place(line, order)
    assert isinstance(accepted, messages.OrderAccepted)
    assert accepted.business_day == 20231112
    found = line.view("o")
    assert (found.business_day, found.sold_at_us) == (20231112, sold_at_us)


def test_a_store_may_charge_the_price_of_the_till(line: staged_orders.StagedOrders) -> None:
    kept = Store(shop.MERCHANT, shop.STORE, "The shop", "EUR", price_policy=PricePolicy.TILL)
    catalogue_store.save_stores(line.connection, [kept])
    told = [WantedLine("tea", 1_000, UnitPrice(750)), WantedLine("cup", 1_000)]
    order = msgspec.structs.replace(shop.placed("o"), lines=tuple(told))
    ((accepted,),) = place(line, order)
    assert isinstance(accepted, messages.OrderAccepted)
    assert accepted.total_minor == 750 + 272
    tea, cup = line.view("o").lines
    assert (tea.unit_price, tea.price_source) == (UnitPrice(750), PriceSource.TILL)
    assert (cup.unit_price, cup.price_source) == (UnitPrice(250), PriceSource.BASE)
    policies = line.connection.execute(sa.select(tables.ORDERS.c.price_policy)).scalars()
    assert list(policies) == [PricePolicy.TILL]


def test_an_order_without_a_store_has_a_day_too(line: staged_orders.StagedOrders) -> None:
    place(line, shop.placed("o", merchant_id="m-9"))
    days = line.connection.execute(sa.select(tables.ORDERS.c.business_day)).scalars()
    assert list(days) == [20231114]


REFUSED = {
    "UNKNOWN_SKU": shop.placed("o", ("nope", 1)),
    "INACTIVE_SKU": shop.placed("o", ("old", 1)),
    "NOT_STOCKED": shop.placed("o", ("ghost", 1)),
    "OUT_OF_STOCK": shop.placed("o", ("tea", 1), ("rare", 3)),
    "TENDERS_DO_NOT_COVER_TOTAL": shop.placed("o", tenders=(shop.cash(999),)),
    "DISCOUNT_TOO_LARGE": shop.placed("o", adjustments=(Adjustment(AdjustmentKind.AMOUNT, 1_001),)),
    "UNKNOWN_STORE": shop.placed("o", merchant_id="m-9"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_an_order_is_refused_and_holds_nothing(
    line: staged_orders.StagedOrders, reason: str
) -> None:
    ((rejected,),) = place(line, REFUSED[reason])
    assert isinstance(rejected, messages.OrderRejected)
    assert (rejected.stage, rejected.reason) == ("order_processing", reason)
    assert rejected.explanation
    assert line.level("tea").reserved_milli == line.level("rare").reserved_milli == 0
    if reason != "UNKNOWN_STORE":
        kept = line.view("o")
        assert (kept.state, kept.reason, kept.due_at_us) == ("REJECTED", reason, None)


def test_a_bad_order_never_blocks_its_neighbours(line: staged_orders.StagedOrders) -> None:
    facts = place(line, shop.placed("a"), shop.placed("b", ("nope", 1)), shop.placed("c"))
    kinds = [type(fact).__name__ for (fact,) in facts]
    assert kinds == ["OrderAccepted", "OrderRejected", "OrderAccepted"]


def test_the_first_in_a_batch_gets_the_last_of_the_stock(line: staged_orders.StagedOrders) -> None:
    orders = [shop.placed(name, ("rare", 1)) for name in "abc"]
    facts = place(line, *orders)
    assert [type(fact).__name__ for (fact,) in facts][-1] == "OrderRejected"
    assert line.level("rare") == StockLevel(2_000, 2_000)


def test_two_lines_of_one_product_reserve_together(line: staged_orders.StagedOrders) -> None:
    ((fact,),) = place(line, shop.placed("o", ("rare", 1), ("rare", 2)))
    assert isinstance(fact, messages.OrderRejected)
    ((fact,),) = place(line, shop.placed("p", ("rare", 1), ("rare", 1)))
    assert isinstance(fact, messages.OrderAccepted)
    assert fact.lines == (messages.StockLine("rare", 2_000),)


def test_a_repetition_sends_the_same_fact_again(line: staged_orders.StagedOrders) -> None:
    order = shop.placed("o")
    (first,) = place(line, order)
    line.clock.advance_us(5)
    assert place(line, order) == [first]
    assert place(line, order, order) == [first, first]
    assert line.level("tea").reserved_milli == 1_000


def test_a_repetition_within_a_batch_is_one_order(line: staged_orders.StagedOrders) -> None:
    order = shop.placed("o")
    first, second, third = place(line, order, order, shop.placed("p"))
    assert first == second != third
    assert line.level("tea").reserved_milli == 2_000


def test_a_repetition_of_a_refusal_is_refused_alike(line: staged_orders.StagedOrders) -> None:
    order = shop.placed("o", ("rare", 3))
    (first,) = place(line, order)
    assert place(line, order) == [first]


def test_a_repetition_of_an_order_that_went_on_sends_nothing(
    line: staged_orders.StagedOrders,
) -> None:
    order = shop.placed("o")
    line.carry(order)
    assert place(line, order) == [()]


def test_another_order_under_the_same_id_is_noted_once_and_changes_nothing(
    line: staged_orders.StagedOrders,
) -> None:
    first, other = shop.placed("o"), shop.placed("o", ("cup", 5))
    place(line, first)
    assert place(line, other, other) == [(), ()]
    assert place(line, other) == [()]
    assert line.level("cup").reserved_milli == 0
    noted = [entry for entry in line.view("o").timeline if entry.reason == "ORDER_ID_REUSED"]
    assert [entry.fact for entry in noted] == [other]
    assert (noted[0].version, noted[0].state) == (2, "ACCEPTED")


def test_two_orders_under_one_id_in_a_batch(line: staged_orders.StagedOrders) -> None:
    first, other = shop.placed("o"), shop.placed("o", ("cup", 5))
    facts = place(line, first, other)
    assert [len(some) for some in facts] == [1, 0]
    assert line.level("cup").reserved_milli == 0


def test_merchants_do_not_share_order_ids(line: staged_orders.StagedOrders) -> None:
    mine, theirs = shop.placed("o"), shop.placed("o", merchant_id=shop.OTHER_MERCHANT)
    facts = place(line, mine, theirs)
    assert [fact.merchant_id for (fact,) in facts] == ["m-1", "m-2"]


def test_nothing_to_do_is_nothing_done(line: staged_orders.StagedOrders) -> None:
    assert place(line) == []


def test_what_cannot_be_explained_in_500_characters_is_cut(
    line: staged_orders.StagedOrders,
) -> None:
    ((rejected,),) = place(line, shop.placed("o", ("x" * 5_000, 1)))
    assert isinstance(rejected, messages.OrderRejected)
    length = line.connection.execute(
        sa.select(sa.func.length(refusals.ORDER_REFUSALS.c.explanation))
    )
    assert length.scalar() == 500


def test_a_service_needs_no_stock(line: staged_orders.StagedOrders) -> None:
    """Beside goods, and alone: it is sold without a stock row."""
    wrap = Product(
        shop.MERCHANT,
        "wrap",
        "Wrapping",
        UnitPrice(100),
        "EUR",
        "inside",
        kind="SERVICE",
        is_stocked=False,
    )
    catalogue_store.save_products(line.connection, [wrap])
    both, alone = shop.placed("both", ("tea", 1), ("wrap", 2)), shop.placed("alone", ("wrap", 1))
    facts = line.carry(both, alone)
    assert [type(fact).__name__ for fact in facts].count("OrderFinalized") == 2
    assert isinstance(facts[0], messages.OrderAccepted)
    assert facts[0].lines == (messages.StockLine("tea", 1_000),)
    assert line.level("tea") == StockLevel(999_000, 0)
    assert not invariants.check(line.connection)
