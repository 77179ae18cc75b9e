"""A listing is complete, page by page, and no page reads more of the history than its share."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.infra import bulk
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import store
from internal.views import order_list
from tests.support import gateways, shop, staged_orders

ALL = order_list.Filter()
RARE = order_list.Filter(states=(OrderState.REJECTED,))
NAMES = tuple(column.name for column in store.ORDERS.c if column.name != "order_key")
Row = dict[str, int | str | None]
NOTHING: Row = {c.name: 0 if isinstance(c.type, sa.BigInteger) else "" for c in store.ORDERS.c}
IN_USE: Row = {"merchant_id": "m-1", "store_id": "main", "currency": "EUR", "receipt_no": None}
STATES: Row = {"state": "PLACED", "charge_state": "NONE", "stock_state": "NONE"}
EMPTY = NOTHING | IN_USE | STATES
WALKED = ("Handler_read_rnd_next", "Handler_read_next", "Handler_read_prev", "Handler_read_first")
STEPS_PER_ORDER = 15
"""SQLite's own steps for an order that is looked at: eleven or twelve, with some room."""


def add_orders(connection: sa.Connection, *orders: tuple[str, int], **fields: str) -> None:
    """Add orders of (order_id, placed_at_us) without lines."""
    rows: list[Row] = [
        {**EMPTY, "order_id": name, "placed_at_us": at_us, **fields} for name, at_us in orders
    ]
    bulk.insert(connection, store.ORDERS, NAMES, [[row[name] for name in NAMES] for row in rows])


def ids_of(listing: order_list.Listing) -> list[str]:
    return [order.order_id for order in listing.orders]


def pages(
    connection: sa.Connection, wanted: order_list.Filter, orders_max: int
) -> list[order_list.Listing]:
    """Read a listing to its end."""
    found = [order_list.list_page(connection, "m-1", wanted, None, orders_max)]
    while page := found[-1].next_page:
        found.append(order_list.list_page(connection, "m-1", wanted, page, orders_max))
    return found


def test_orders_are_listed_newest_first(any_database: sa.Connection) -> None:
    add_orders(any_database, ("b", 2), ("a", 1), ("d", 3), ("c", 2))
    add_orders(any_database, ("x", 9), merchant_id="m-2")
    assert ids_of(order_list.list_page(any_database, "m-1", ALL, None, 10)) == ["d", "c", "b", "a"]
    assert ids_of(order_list.list_page(any_database, "m-1", ALL, None, 2)) == ["d", "c"]
    assert ids_of(order_list.list_page(any_database, "m-2", ALL, None, 10)) == ["x"]
    assert order_list.list_page(any_database, "m-3", ALL, None, 10).orders == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (order_list.Filter(states=(OrderState.PAID,)), ["paid"]),
        (order_list.Filter(states=(OrderState.PAID, OrderState.PLACED)), ["annex", "paid", "old"]),
        (order_list.Filter(store_id="annex"), ["annex"]),
        (order_list.Filter(store_id="nowhere"), []),
        (order_list.Filter(placed_from_us=20), ["annex", "paid"]),
        (order_list.Filter(placed_before_us=20), ["old"]),
        (order_list.Filter(placed_from_us=20, placed_before_us=30), ["paid"]),
        (order_list.Filter(states=(OrderState.PLACED,), placed_from_us=11), ["annex"]),
    ],
)
def test_filters_are_all_met(
    any_database: sa.Connection, wanted: order_list.Filter, found: list[str]
) -> None:
    add_orders(any_database, ("old", 10))
    add_orders(any_database, ("paid", 20), state="PAID")
    add_orders(any_database, ("annex", 30), store_id="annex")
    assert ids_of(order_list.list_page(any_database, "m-1", wanted, None, 10)) == found


@given(
    instants=st.lists(st.integers(0, 4), max_size=12),
    rejected=st.sets(st.integers(0, 11)),
    wanted=st.sampled_from([ALL, RARE]),
    page_orders=st.integers(1, 5),
    scanned=st.integers(6, 9),
)
def test_pages_together_are_the_whole_list(
    instants: list[int],
    rejected: set[int],
    wanted: order_list.Filter,
    page_orders: int,
    scanned: int,
) -> None:
    """Many orders of one instant are neither skipped nor repeated at the edge of a page.

    Nor are they where a page ends because it has looked at its share of the history.
    """
    with staged_orders.database() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_list, "SCANNED_ORDERS_MAX", scanned)
        for number, at_us in enumerate(instants):
            state = "REJECTED" if number in rejected else "PAID"
            add_orders(connection, (f"o-{number}", at_us), state=state)
        listed = pages(connection, wanted, page_orders)
    assert all(len(page.orders) <= page_orders for page in listed)
    assert len(listed) <= len(instants) + 1
    fits = [
        (at_us, number)
        for number, at_us in enumerate(instants)
        if wanted is ALL or number in rejected
    ]
    newest_first = [f"o-{number}" for _, number in sorted(fits, reverse=True)]
    assert [order_id for page in listed for order_id in ids_of(page)] == newest_first


def test_a_summary_says_what_the_whole_order_says(any_database: sa.Connection) -> None:
    """Also of an order that could not be priced, and of one that costs nothing."""
    shop.open_for_business(any_database)
    stages = staged_orders.StagedOrders(any_database, gateways.FaultyGateway())
    stages.carry(
        shop.placed("sold", ("tea", 2), tenders=(shop.card(),)),
        shop.placed("unknown", ("nope", 1), tenders=(shop.card(),)),
        shop.placed("free", ("gift", 1)),
    )
    listing = order_list.list_page(any_database, shop.MERCHANT, ALL, None, 10)
    assert set(ids_of(listing)) == {"sold", "unknown", "free"}
    for summary in listing.orders:
        view = stages.view(summary.order_id)
        assert summary.is_priced == bool(view.lines)
        for name in set(summary.__struct_fields__) - {"is_priced"}:
            assert getattr(summary, name) == getattr(view, name)
    sold = next(order for order in listing.orders if order.order_id == "sold")
    assert (sold.state, sold.charge_state) == (OrderState.FINALIZED, ChargeState.FULL)
    assert (sold.stock_state, sold.is_priced) == (StockState.COMMITTED, True)


def cost(connection: sa.Connection, look: Callable[[], object]) -> int:
    """Count the orders that `look` walks past: MariaDB's own figure, or SQLite's steps, divided."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        before = _walked(connection)
        look()
        return _walked(connection) - before
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    raw.set_progress_handler(count, 1)
    look()
    raw.set_progress_handler(None, 1)
    return steps // STEPS_PER_ORDER


def _walked(connection: sa.Connection) -> int:
    status = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(count) for name, count in status if name in WALKED)


MANY = 3 * order_list.SCANNED_ORDERS_MAX
OTHERS = 50
"""Rows of the statement itself and of its answer."""


@pytest.fixture
def history(any_database: sa.Connection) -> sa.Connection:
    """A long history of one merchant between those of others; the oldest order was rejected."""
    for number in range(3):
        orders = [(f"o-{number}-{at_us}", at_us) for at_us in range(1, MANY)]
        add_orders(any_database, *orders, merchant_id=f"m-{number}")
    add_orders(any_database, ("refused", 0), state="REJECTED")
    return any_database


def test_a_page_looks_at_its_share_of_the_history(history: sa.Connection) -> None:
    """Whatever is looked for: nothing fits, little, or all; at the beginning or further on."""
    nowhere = order_list.Filter(store_id="nowhere")
    deep = order_list.Page(MANY // 2, 0)
    for wanted in (RARE, nowhere, ALL):
        for page in (None, deep):
            looked = cost(history, partial(order_list.list_page, history, "m-1", wanted, page, 10))
            assert looked <= order_list.SCANNED_ORDERS_MAX + OTHERS


def test_a_page_that_is_full_soon_looks_no_further(history: sa.Connection) -> None:
    common = order_list.Filter(states=(OrderState.PLACED,))
    for wanted in (ALL, common):
        for page in (None, order_list.Page(MANY // 2, 0)):
            looked = cost(history, partial(order_list.list_page, history, "m-1", wanted, page, 10))
            assert looked <= OTHERS


def test_orders_of_one_instant_are_not_walked_again_and_again(any_database: sa.Connection) -> None:
    add_orders(any_database, *((f"o-{number}", 7) for number in range(1_000)))
    last = order_list.Page(7, 20)
    looked = cost(any_database, lambda: order_list.list_page(any_database, "m-1", ALL, last, 10))
    assert looked <= OTHERS


def test_a_rare_order_is_found_in_the_end(history: sa.Connection) -> None:
    listed = pages(history, RARE, 10)
    assert [order_id for page in listed for order_id in ids_of(page)] == ["refused"]
    assert ids_of(listed[0]) == ids_of(listed[1]) == []


def test_a_page_needs_a_few_queries_and_reads_summaries_only() -> None:
    """No lines, log or payments, however many of them the orders have."""
    with staged_orders.database() as connection:
        add_orders(connection, *((f"o-{n}", n) for n in range(100)))
        connection.execute(store.ORDERS.update().values(total_minor=5))
        statements: list[str] = []
        sqlite = connection.connection.driver_connection
        assert isinstance(sqlite, sqlite3.Connection)
        sqlite.set_trace_callback(statements.append)
        assert len(order_list.list_page(connection, "m-1", ALL, None, 100).orders) == 100
        sqlite.set_trace_callback(None)
    assert len(statements) <= 5
    assert _tables_in(statements) == {"orders", "order_lines", "order_refusals"}


def _tables_in(statements: Sequence[str]) -> set[str]:
    words = " ".join(statements).split()
    return {
        words[place + 1]
        for place, word in enumerate(words)
        if word in {"FROM", "JOIN"} and words[place + 1].startswith("order")
    }
