"""An order is read whole and from one merchant only; listings are complete, page by page."""

import sqlite3
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import messages, store
from internal.payments.messages import AttemptKind, AttemptState, TenderKind
from internal.pricing.messages import Discount, DiscountKind
from internal.views import order as order_view
from tests.support import gateways, shop, staged_orders

ALL = order_view.Filter()


@pytest.fixture
def stages(any_database: sa.Connection) -> staged_orders.StagedOrders:
    """The stages of a shop that is open."""
    shop.open_for_business(any_database)
    return staged_orders.StagedOrders(any_database, gateways.FaultyGateway())


def ids_of(views: Sequence[order_view.OrderView]) -> list[str]:
    return [view.order_id for view in views]


def test_a_finalized_order_is_read_from_all_its_tables(stages: staged_orders.StagedOrders) -> None:
    tenders = (shop.cash(500), shop.card())
    tenth = Discount(DiscountKind.BASIS_POINTS, 1_000)
    stages.carry(shop.placed("o-1", ("tea", 2), ("cup", 3), tenders=tenders, discount=tenth))
    view = stages.view("o-1")
    assert (view.state, view.charge_state, view.stock_state) == (
        OrderState.FINALIZED,
        ChargeState.FULL,
        StockState.COMMITTED,
    )
    assert (view.version, view.receipt_no, view.currency) == (4, 1, "EUR")
    assert view.net_minor + view.tax_minor == view.total_minor == 2_535
    assert [(line.sku, line.quantity, line.tax_inclusive) for line in view.lines] == [
        ("tea", 2, True),
        ("cup", 3, False),
    ]
    assert sum(line.total_minor for line in view.lines) == view.total_minor
    assert [bucket.tax_code for bucket in view.taxes] == ["inside", "on-top"]
    assert sum(bucket.tax_minor for bucket in view.taxes) == view.tax_minor
    assert view.price_trace[0].startswith("line 1: 2 x base price 10.00")
    assert view.price_trace[-1].startswith("tax rounded")
    assert [(it.kind, it.tender_kind, it.amount_minor, it.state) for it in view.attempts] == [
        (AttemptKind.CHARGE, TenderKind.CASH, 500, AttemptState.SUCCEEDED),
        (AttemptKind.CHARGE, TenderKind.CARD, 2_035, AttemptState.SUCCEEDED),
    ]
    assert [(it.kind, it.amount_minor) for it in view.tenders] == [
        (TenderKind.CASH, 500),
        (TenderKind.CARD, 2_035),
    ]
    assert [(entry.version, type(entry.fact)) for entry in view.timeline] == [
        (1, messages.OrderPlaced),
        (2, messages.OrderAccepted),
        (3, messages.OrderPaid),
        (4, messages.OrderFinalized),
    ]
    assert view.next_commands == ()


def test_an_order_that_could_not_be_priced_has_no_amounts(
    stages: staged_orders.StagedOrders,
) -> None:
    stages.carry(shop.placed("o-1", ("nope", 1), tenders=(shop.card(),)))
    view = stages.view("o-1")
    assert (view.state, view.reason) == (OrderState.REJECTED, "UNKNOWN_SKU")
    assert "nope" in view.explanation
    assert (view.gross_minor, view.total_minor) == (0, 0)
    assert (view.lines, view.taxes, view.attempts, view.price_trace) == ((), (), (), ())
    assert view.tenders == (shop.card(),)


def test_an_open_order_may_be_cancelled(stages: staged_orders.StagedOrders) -> None:
    stages.step(shop.placed("o-1"))
    view = stages.view("o-1")
    assert view.state is OrderState.ACCEPTED
    assert view.next_commands == ("CancelOrder",)
    assert view.due_at_us is not None


def test_a_merchant_sees_only_its_own_order(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1"), shop.placed("o-1", merchant_id=shop.OTHER_MERCHANT))
    for merchant_id in (shop.MERCHANT, shop.OTHER_MERCHANT):
        view = order_view.get(stages.connection, merchant_id, "o-1")
        assert view is not None
        assert view.merchant_id == merchant_id
    assert order_view.get(stages.connection, "m-3", "o-1") is None
    assert order_view.get(stages.connection, shop.MERCHANT, "O-1") is None


def test_many_orders_keep_their_own_lines_and_entries(stages: staged_orders.StagedOrders) -> None:
    stages.carry(*(shop.placed(f"o-{n}", ("tea", n), tenders=(shop.card(),)) for n in (1, 2, 3)))
    wanted = [ids.OrderRef(shop.MERCHANT, name) for name in ("o-3", "o-1", "o-9")]
    found = {view.order_id: view for view in order_view.get_many(stages.connection, wanted)}
    assert set(found) == {"o-1", "o-3"}
    for name, quantity in (("o-1", 1), ("o-3", 3)):
        view = found[name]
        assert [line.quantity for line in view.lines] == [quantity]
        assert [it.amount_minor for it in view.attempts] == [view.total_minor] == [quantity * 1_000]
        assert {entry.fact.order_id for entry in view.timeline} == {name}


def add_orders(connection: sa.Connection, *orders: tuple[str, int], **fields: str) -> None:
    """Add orders of (order_id, placed_at_us) without lines."""
    empty = {c.name: 0 if isinstance(c.type, sa.BigInteger) else "" for c in store.ORDERS.c}
    del empty["order_key"]
    states = {"state": "PLACED", "charge_state": "NONE", "stock_state": "NONE"}
    named = {"merchant_id": "m-1", "store_id": "main", "currency": "EUR", "receipt_no": None}
    for order_id, at_us in orders:
        values = empty | states | named | {"order_id": order_id, "placed_at_us": at_us} | fields
        connection.execute(store.ORDERS.insert().values(values))


def test_orders_are_listed_newest_first(any_database: sa.Connection) -> None:
    add_orders(any_database, ("b", 2), ("a", 1), ("d", 3), ("c", 2))
    add_orders(any_database, ("x", 9), merchant_id="m-2")
    assert ids_of(order_view.list_page(any_database, "m-1", ALL, None, 10)) == ["d", "c", "b", "a"]
    assert ids_of(order_view.list_page(any_database, "m-1", ALL, None, 2)) == ["d", "c"]
    assert ids_of(order_view.list_page(any_database, "m-2", ALL, None, 10)) == ["x"]
    assert order_view.list_page(any_database, "m-3", ALL, None, 10) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (order_view.Filter(states=(OrderState.PAID,)), ["paid"]),
        (order_view.Filter(states=(OrderState.PAID, OrderState.PLACED)), ["annex", "paid", "old"]),
        (order_view.Filter(store_id="annex"), ["annex"]),
        (order_view.Filter(store_id="nowhere"), []),
        (order_view.Filter(placed_from_us=20), ["annex", "paid"]),
        (order_view.Filter(placed_before_us=20), ["old"]),
        (order_view.Filter(placed_from_us=20, placed_before_us=30), ["paid"]),
        (order_view.Filter(states=(OrderState.PLACED,), placed_from_us=11), ["annex"]),
    ],
)
def test_filters_are_all_met(
    any_database: sa.Connection, wanted: order_view.Filter, found: list[str]
) -> None:
    add_orders(any_database, ("old", 10))
    add_orders(any_database, ("paid", 20), state="PAID")
    add_orders(any_database, ("annex", 30), store_id="annex")
    assert ids_of(order_view.list_page(any_database, "m-1", wanted, None, 10)) == found


@given(
    instants=st.lists(st.integers(0, 4), max_size=12),
    page_orders=st.integers(1, 5),
)
def test_pages_together_are_the_whole_list(instants: list[int], page_orders: int) -> None:
    """Many orders of one instant are neither skipped nor repeated at the edge of a page."""
    with staged_orders.database() as connection:
        orders = [(f"o-{number}", at_us) for number, at_us in enumerate(instants)]
        add_orders(connection, *orders)
        listed: list[order_view.OrderView] = []
        page: order_view.Page | None = None
        while found := order_view.list_page(connection, "m-1", ALL, page, page_orders):
            assert len(found) <= page_orders
            listed += found
            assert len(listed) <= len(orders)
            page = order_view.Page(found[-1].placed_at_us, found[-1].order_key)
    places = [(view.placed_at_us, view.order_key) for view in listed]
    assert places == sorted(places, reverse=True)
    assert sorted(ids_of(listed)) == sorted(order_id for order_id, _ in orders)


def test_a_page_needs_far_fewer_queries_than_it_has_orders() -> None:
    """One for the orders, and one per chunk of keys for lines, log and attempts."""
    with staged_orders.database() as connection:
        add_orders(connection, *((f"o-{n}", n) for n in range(100)))
        statements: list[str] = []
        sqlite = connection.connection.driver_connection
        assert isinstance(sqlite, sqlite3.Connection)
        sqlite.set_trace_callback(statements.append)
        assert len(order_view.list_page(connection, "m-1", ALL, None, 100)) == 100
        sqlite.set_trace_callback(None)
    assert 4 <= len(statements) <= 20
