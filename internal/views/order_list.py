"""A merchant's orders in one line each, newest first, page by page. Writes nothing.

A page reads the columns of a summary and a bounded part of the history, whatever its filters: one
that finds few orders there is short or empty, and the next one continues below.
"""

from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import store, tables

SCANNED_ORDERS_MAX = 2_000
"""Orders that one page may look at: some ten milliseconds of the database's time."""


Query = sa.Select[tuple[int, int, int]]
_ORDERS = store.ORDERS.c


class Page(msgspec.Struct, frozen=True):
    """A position in a listing, which continues below this (placed_at_us, order_key)."""

    placed_at_us: int
    order_key: int


class Filter(msgspec.Struct, frozen=True):
    """Conditions that every listed order meets."""

    states: tuple[OrderState, ...] = ()
    store_id: str = ""
    placed_from_us: int | None = None
    placed_before_us: int | None = None


class OrderSummary(msgspec.Struct, frozen=True):
    """An order without its lines, log and payments."""

    order_id: str
    store_id: str
    terminal_id: str
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    version: int
    currency: str
    total_minor: int
    is_priced: bool
    """False for an order that could not be priced; its total is 0."""
    reason: str
    receipt_no: int | None
    placed_at_us: int
    updated_at_us: int


class Listing(msgspec.Struct, frozen=True):
    """A page of orders."""

    orders: tuple[OrderSummary, ...]
    next_page: Page | None
    """The position at which the listing continues; None if this page is the last one."""


def list_page(
    connection: sa.Connection, merchant_id: str, wanted: Filter, page: Page | None, orders_max: int
) -> Listing:
    """Return up to `orders_max` orders, newest first, beginning below `page`.

    Fewer are returned where SCANNED_ORDERS_MAX orders of the history hold no more.
    """
    query = _query(merchant_id, wanted)
    found, page = _find(connection, query, page, orders_max + 1)
    if len(found) > orders_max:
        found = found[:orders_max]
        page = found[-1]
    return Listing(_summaries(connection, found), page)


def _find(
    connection: sa.Connection, query: Query, page: Page | None, orders_max: int
) -> tuple[list[Page], Page | None]:
    """Return the next orders that are wanted, and the position at which the history continues.

    It is read in ever larger pieces: a filter that fits most orders reads few that it does not fit.
    """
    found: list[Page] = []
    left, rows_max = SCANNED_ORDERS_MAX, orders_max
    while left and len(found) < orders_max:
        rows_max = min(rows_max, left)
        rows = _scan(connection, query, page, rows_max)
        found += [Page(row.placed_at_us, row.order_key) for row in rows if row.is_wanted]
        if len(rows) < rows_max:
            return found, None
        page = Page(rows[-1].placed_at_us, rows[-1].order_key)
        left -= rows_max
        rows_max *= 2
    return found, page


def _query(merchant_id: str, wanted: Filter) -> Query:
    """Return the query of all orders within the filter's times, newest first.

    Its index is named: a server that guessed would walk all merchants' orders by their keys.
    """
    fits: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        fits.append(_ORDERS.state.in_([str(state) for state in wanted.states]))
    if wanted.store_id:
        fits.append(_ORDERS.store_id == wanted.store_id)
    is_wanted = sa.case((sa.and_(*fits), 1), else_=0) if fits else sa.literal_column("1")
    query = (
        sa.select(_ORDERS.placed_at_us, _ORDERS.order_key, is_wanted.label("is_wanted"))
        .where(_ORDERS.merchant_id == merchant_id)
        .order_by(_ORDERS.placed_at_us.desc(), _ORDERS.order_key.desc())
        .with_hint(store.ORDERS, f"INDEXED BY {tables.ORDERS_BY_TIME}", "sqlite")
        .with_hint(store.ORDERS, f"FORCE INDEX ({tables.ORDERS_BY_TIME})", "mysql")
    )
    if wanted.placed_from_us is not None:
        query = query.where(_ORDERS.placed_at_us >= wanted.placed_from_us)
    if wanted.placed_before_us is not None:
        query = query.where(_ORDERS.placed_at_us < wanted.placed_before_us)
    return query


def _scan(
    connection: sa.Connection, query: Query, page: Page | None, rows_max: int
) -> list[bulk.Row]:
    """Return the next rows of the history, with the fields placed_at_us, order_key, is_wanted."""
    rows: list[bulk.Row] = []
    for part in _parts_below(query, page):
        if len(rows) < rows_max:
            rows += connection.execute(part.limit(rows_max - len(rows))).all()
    return rows


def _parts_below(query: Query, page: Page | None) -> Iterator[Query]:
    """Yield the queries that together go on below `page`, each a single range of the index.

    With both in one condition, SQLite would walk past all orders of the page's instant.
    """
    if page is None:
        yield query
        return
    same_instant = _ORDERS.placed_at_us == page.placed_at_us
    yield query.where(same_instant, _ORDERS.order_key < page.order_key)
    yield query.where(_ORDERS.placed_at_us < page.placed_at_us)


_BY_KEY = bulk.shape_of(store.ORDERS, "order_key")
_READ = tuple(
    name for name in OrderSummary.__struct_fields__ if name not in {"is_priced", "reason"}
)
_SUMMARY_SQL = (
    f"SELECT t.order_key, {', '.join(f't.{name}' for name in _READ)}, (t.total_minor <> 0 OR EXISTS"  # noqa: S608 - our own names
    " (SELECT 1 FROM order_lines l WHERE l.order_key = t.order_key)) AS is_priced,"
    " COALESCE(r.reason, '') AS reason FROM {w} CROSS JOIN orders t ON t.order_key = {w.order_key}"
    " LEFT JOIN order_refusals r ON r.order_key = t.order_key"
)
"""Only an order that was priced has lines; they are looked for where the total does not tell."""


def _summaries(connection: sa.Connection, found: Sequence[Page]) -> tuple[OrderSummary, ...]:
    keys = [(place.order_key,) for place in found]
    rows = {row.order_key: row for row in bulk.select(connection, _BY_KEY, _SUMMARY_SQL, keys)}
    return tuple(_summary(rows[key]) for (key,) in keys)


def _summary(row: bulk.Row) -> OrderSummary:
    values = row._asdict()
    del values["order_key"]
    values |= {
        "state": OrderState(row.state),
        "charge_state": ChargeState(row.charge_state),
        "stock_state": StockState(row.stock_state),
        "is_priced": bool(row.is_priced),
    }
    return OrderSummary(**values)
