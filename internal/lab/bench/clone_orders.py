"""Copies all orders in the database: many rows in little time, and every invariant still holds.

Only for measurements with full tables. The captures in the gateway's ledger are copied,
too. Copies differ from their originals in keys, names and receipt numbers, and may be of another
business day; the facts in their log still name the originals.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from internal.infra import bulk
from internal.inventory import store as inventory_store
from internal.inventory.messages import SourceKind
from internal.lab.bench import clone_rows
from internal.ledger import balances, rules
from internal.ledger import store as ledger_store
from internal.orders import receipt_numbers
from internal.orders import store as order_store
from internal.payments.gateways import port

Sums = Mapping[tuple[str | int, ...], tuple[int, ...]]
"""By the key of the row that they are added to."""
ORDERS = order_store.ORDERS


class Template(NamedTuple):
    """The orders that are copied: all orders in the database, of one merchant, all ended."""

    upto: int
    """The largest order key."""
    orders: int
    days: Sequence[int]
    """Their business days."""
    sold: Sums
    booked: Sums
    receipts: Sums
    captures: Sequence[port.RecordedRequest]


def template(connection: sa.Connection, gateway: port.GatewayLedger | None) -> Template:
    """Read how many orders there are, what they add to sums, and the gateway's ledger."""
    upto, orders = connection.execute(
        sa.select(sa.func.max(ORDERS.c.order_key), sa.func.count())
    ).one()
    return Template(
        upto=upto or 0,
        orders=orders,
        days=connection.scalars(sa.select(ORDERS.c.business_day).distinct()).all(),
        sold=_sold(connection),
        booked=_booked(connection),
        receipts=_receipts(connection),
        captures=gateway.requests() if gateway else (),
    )


def copy(
    connection: sa.Connection, of: Template, number: int, business_day: int | None = None
) -> None:
    """Copy the template once, with keys after all others.

    Args:
        connection: in a transaction.
        of: the template.
        number: each copy needs a number of its own.
        business_day: the day of the copies; by default that of their originals.
    """
    last = connection.scalar(sa.select(sa.func.max(ORDERS.c.order_key))) or 0
    for kept in clone_rows.TABLES:
        values = [_changed(kept, name, last, f".{number}") for name in kept.names]
        if business_day is not None and "business_day" in kept.names:
            values[kept.names.index("business_day")] = sa.literal(business_day)
        key = kept.table.c[kept.order_key]
        rows = sa.select(*values).where(key <= of.upto, *_narrowed(kept, of)).order_by(key)
        connection.execute(kept.table.insert().from_select(list(kept.names), rows))
    _add(connection, inventory_store.STOCK, _STOCK_KEY, ("on_hand_milli",), of.sold)
    sums = ("debit_minor", "credit_minor")
    _add(connection, balances.ACCOUNT_BALANCES, ("account_key", "shard"), sums, of.booked)
    _add(connection, receipt_numbers.RECEIPT_COUNTERS, _STORE_KEY, ("last_no",), of.receipts)


def _narrowed(kept: clone_rows.OrderTable, of: Template) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on what comes before the order's key in the primary key."""
    columns, found = kept.table.c, []
    if "subject_kind" in columns:
        found.append(columns.subject_kind == kept.kind)
    if "source_kind" in columns:
        found += [columns.source_kind == kept.kind, columns.business_day.in_(of.days)]
    return found


def _changed(kept: clone_rows.OrderTable, name: str, by: int, suffix: str) -> sa.ColumnElement[Any]:
    column = kept.table.c[name]
    if name == kept.order_key:
        return column + by
    if name == "receipt_no":
        counter = receipt_numbers.RECEIPT_COUNTERS.c
        here = (counter.merchant_id == ORDERS.c.merchant_id) & (
            counter.store_id == ORDERS.c.store_id
        )
        return column + sa.select(counter.last_no).where(here).scalar_subquery()
    return column + suffix if name in {"order_id", "attempt_key"} else column


def _add(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    sums: Sums,
) -> None:
    added = tuple((name, f"t.{name} + {{w.{name}}}") for name in names)
    rows = [(*key, *values) for key, values in sums.items()]
    bulk.update(connection, table, bulk.shape_of(table, *keys, *names), keys, added, rows)


def _sold(connection: sa.Connection) -> Sums:
    t = inventory_store.STOCK_MOVEMENTS.c
    by_key = [t[name] for name in _STOCK_KEY]
    query = sa.select(*by_key, sa.func.sum(t.quantity_milli))
    query = query.where(t.source_kind == str(SourceKind.ORDER)).group_by(*by_key)
    return {tuple(key): (int(milli),) for *key, milli in connection.execute(query)}


def _booked(connection: sa.Connection) -> Sums:
    t = ledger_store.LEDGER_ENTRIES.c
    debit = sa.func.sum(sa.case((t.amount_minor > 0, t.amount_minor), else_=0))
    credit = sa.func.sum(sa.case((t.amount_minor < 0, -t.amount_minor), else_=0))
    query = sa.select(t.account_key, debit, credit)
    query = query.where(t.source_kind == rules.SALE).group_by(t.account_key)
    return {(key, 0): (int(debit), int(credit)) for key, debit, credit in connection.execute(query)}


def _receipts(connection: sa.Connection) -> Sums:
    o = ORDERS.c
    query = sa.select(o.merchant_id, o.store_id, sa.func.count(o.receipt_no))
    query = query.group_by(o.merchant_id, o.store_id)
    return {tuple(store): (given,) for *store, given in connection.execute(query)}


_STOCK_KEY = ("merchant_id", "location_id", "sku", "lot")
_STORE_KEY = ("merchant_id", "store_id")


def copy_captures(gateway: port.GatewayLedger, of: Template, number: int) -> None:
    """Copy the requests in the gateway's ledger for one copy of the orders."""
    gateway.add_copies(of.captures, f".{number}")
