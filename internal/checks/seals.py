"""Seals: what was checked once, and has ended, need not be checked every time.

A seal covers the orders of the business days up to its own, and keeps the sums that a later check
starts from. It is planned in the snapshot that was checked, and written in a transaction of its
own: nothing that it covers changes any more. This is the only module of its room that writes.
"""

import itertools
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.checks import day_totals, findings, stock
from internal.checks.day_totals import Day, Totals
from internal.checks.ledger import Sums
from internal.checks.scope import NOT_SEALED, Scope
from internal.infra import bulk, statements
from internal.inventory.messages import StockKey
from internal.inventory.store import STOCK
from internal.kernel import errors, local_days, states
from internal.kernel.clock import US_PER_SECOND
from internal.ledger import accounts, business_days
from internal.ledger.business_days import BUSINESS_DAY_SUMS, BUSINESS_DAYS
from internal.orders import receipt_numbers

SEALED = "SEALED"
"""The state of a business day that has a seal."""
RECORDED_BEFORE_US = 900 * US_PER_SECOND
"""A seal covers orders that were recorded this long ago. An order with a smaller key could still be
unseen in a transaction that has not committed; none takes this long.
"""
NAMED_MAX = 5
"""Open orders that a refusal names."""
SEALED_AGREES = "a sealed day has the entries that it was sealed with"


class Receipts(msgspec.Struct, frozen=True):
    """The receipts that a seal adds to those of a store."""

    count: int
    highest: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A seal that is not written yet."""

    before: Scope
    """What the seal before it leaves out."""
    scope: Scope
    """What it leaves out itself."""
    days: Mapping[Day, Totals]
    orders: Mapping[Day, int]
    receipts: Mapping[tuple[str, str], Receipts]
    sold: Mapping[StockKey, int]
    """What the orders took from the stock, below zero."""

    @property
    def accounts(self) -> dict[int, Sums]:
        """The sums that it adds to each account, by key."""
        sums: dict[int, Sums] = {}
        for totals in self.days.values():
            for key, moved in totals.sums.items():
                sums[key] = sums.get(key, Sums()).plus(moved)
        return sums


def last(connection: sa.Connection) -> Scope:
    """Return what the last seal leaves to be checked: everything if there is none."""
    return Scope(*business_days.last_seal(connection))


def newest_day(connection: sa.Connection, now_us: int) -> int:
    """Return the newest business day that is over in every store."""
    zones = {(row.time_zone, row.day_cut_off_minutes) for row in connection.execute(_ZONES)}
    days = (
        local_days.business_day(now_us, local_days.zone_named(name), cut_off_minutes)
        for name, cut_off_minutes in zones or {("", 0)}
    )
    return local_days.day_before(min(days))


def plan(connection: sa.Connection, business_day: int, now_us: int) -> Plan:
    """Plan the seal of a business day, and of all days before it.

    Args:
        connection: a snapshot in which every invariant holds.
        business_day: YYYYMMDD; it is over in every store.
        now_us: the time.

    Raises:
        InvalidInput: it is sealed already, or an order of it or of a day before it is open.
    """
    before = last(connection)
    if business_day <= before.sealed_day:
        raise errors.InvalidInput([("--seal", f"{before.sealed_day} is sealed already")])
    values = {"business_day": business_day, **before.parameters}
    _require_ended(connection, values)
    recorded_us = now_us - RECORDED_BEFORE_US
    upto = connection.execute(_UPTO, values | {"recorded_us": recorded_us}).scalar_one()
    values["upto"] = upto
    first_left = connection.execute(_FIRST_LEFT, values).scalar()
    scope = Scope(upto if first_left is None else first_left - 1, business_day, upto)
    orders, receipts = _orders(connection, values)
    return Plan(
        before=before,
        scope=scope,
        days=day_totals.between(connection, before, scope),
        orders=orders,
        receipts=receipts,
        sold=stock.sold_between(connection, values),
    )


def _require_ended(connection: sa.Connection, values: Mapping[str, int]) -> None:
    rows = connection.execute(_OPEN, values).all()
    if rows:
        named = ", ".join(f"{row.merchant_id}/{row.order_id} {row.state}" for row in rows)
        what = f"orders of {values['business_day']} or before it are open, such as {named}"
        raise errors.InvalidInput([("--seal", what)])


def _orders(
    connection: sa.Connection, values: Mapping[str, int]
) -> tuple[dict[Day, int], dict[tuple[str, str], Receipts]]:
    orders: dict[Day, int] = {}
    receipts: dict[tuple[str, str], Receipts] = {}
    for row in connection.execute(_ORDERS, values):
        day = Day(row.merchant_id, row.store_id, row.business_day)
        orders[day] = row.orders
        of_store = receipts.get(day[:2], Receipts(0, 0))
        highest = max(of_store.highest, row.highest or 0)
        receipts[day[:2]] = Receipts(of_store.count + row.receipts, highest)
    return orders, receipts


def write(connection: sa.Connection, planned: Plan, now_us: int) -> None:
    """Write a seal.

    Raises:
        InvalidInput: another one was written since it was planned.
    """
    if last(connection) != planned.before:
        raise errors.InvalidInput([("--seal", "another seal was written at the same time")])
    _write_days(connection, planned, now_us)
    sums = [(*day, key, *it) for day, of in planned.days.items() for key, it in of.sums.items()]
    _add(
        connection, BUSINESS_DAY_SUMS, (*_DAY, "account_key"), ("debit_minor", "credit_minor"), sums
    )
    moved = [(key, *it) for key, it in planned.accounts.items()]
    _change(connection, accounts.ACCOUNTS, ("account_key",), _SEALED_SUMS, moved)
    given = [(*store, it.count, it.highest) for store, it in planned.receipts.items()]
    names = ("merchant_id", "store_id", "sealed_receipts", "sealed_last_no")
    shape = bulk.shape_of(receipt_numbers.RECEIPT_COUNTERS, *names)
    bulk.update(
        connection, receipt_numbers.RECEIPT_COUNTERS, shape, names[:2], _RECEIPTS_ADDED, given
    )
    sold = [(*_row(key), quantity) for key, quantity in planned.sold.items()]
    _change(connection, STOCK, _STOCK_KEY, ("sealed_milli",), sold)
    scope = planned.scope
    marks = ("after_order_key", "upto_order_key")
    row = ("", "", scope.sealed_day, SEALED, now_us, scope.after, scope.sealed_upto)
    bulk.insert(connection, BUSINESS_DAYS, (*_DAY, "state", "sealed_at_us", *marks), [row])


def _write_days(connection: sa.Connection, planned: Plan, now_us: int) -> None:
    """Add to the rows of the days: one that was sealed before may have got a late sale."""
    days = sorted(planned.days.keys() | planned.orders.keys())
    before = {
        Day(*row[:3]): row
        for row in bulk.select(connection, bulk.shape_of(BUSINESS_DAYS, *_DAY), _FIND_DAYS, days)
    }
    rows = []
    for day in days:
        totals = planned.days.get(day, Totals())
        row = before.get(day)
        orders = planned.orders.get(day, 0) + (row.orders if row else 0)
        entries = totals.entries + (row.entries if row else 0)
        digest = (totals.digest + int(row.digest if row else "0", 16)) % day_totals.DIGEST_END
        rows.append((*day, SEALED, orders, entries, day_totals.text_of(digest), now_us))
    names = (*_DAY, "state", "orders", "entries", "digest", "sealed_at_us")
    bulk.replace(connection, BUSINESS_DAYS, _DAY, names, rows)


def _add(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    numbers: tuple[str, ...],
    rows: Sequence[bulk.Values],
) -> None:
    """Add to the numbers of the rows, or make the rows."""
    query = f"SELECT {', '.join(f't.{key}' for key in keys)} FROM {{w}} CROSS JOIN {table.name} t"  # noqa: S608 - our own names
    query = f"{query} ON {statements.same_in_both(keys)}"
    of_keys = [row[: len(keys)] for row in rows]
    known = {
        tuple(row) for row in bulk.select(connection, bulk.shape_of(table, *keys), query, of_keys)
    }
    is_known = [tuple(key) in known for key in of_keys]
    _change(connection, table, keys, numbers, list(itertools.compress(rows, is_known)))
    new = [row for row, known in zip(rows, is_known, strict=True) if not known]
    bulk.insert(connection, table, (*keys, *numbers), new)


def _row(key: StockKey) -> tuple[str, str, str, str]:
    return key.merchant_id, key.location_id, key.sku, key.lot


def _change(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    numbers: tuple[str, ...],
    rows: Sequence[bulk.Values],
) -> None:
    added = tuple((name, f"t.{name} + {{w.{name}}}") for name in numbers)
    bulk.update(connection, table, bulk.shape_of(table, *keys, *numbers), keys, added, rows)


def check(connection: sa.Connection, scope: Scope) -> list[findings.Finding]:
    """Compare what is sealed with the entries of now; only a check of everything does it."""
    broken, sealed = findings.Collector("I4"), last(connection)
    if not scope.is_everything or sealed.is_everything:
        return []
    totals = day_totals.sealed(connection, sealed)
    for row in connection.execute(_DAYS):
        day = Day(*row[:3])
        found = totals.pop(day, Totals())
        if (found.entries, day_totals.text_of(found.digest)) != (row.entries, row.digest):
            broken.add(
                SEALED_AGREES,
                findings.show(**day._asdict(), entries=found.entries, sealed=row.entries),
            )
    for day, found in totals.items():
        broken.add(SEALED_AGREES, findings.show(**day._asdict(), entries=found.entries, sealed=0))
    return broken.findings()


_DAY = ("merchant_id", "store_id", "business_day")
_STOCK_KEY = ("merchant_id", "location_id", "sku", "lot")
_SEALED_SUMS = ("sealed_debit_minor", "sealed_credit_minor")
_RECEIPTS_ADDED = (
    ("sealed_receipts", "t.sealed_receipts + {w.sealed_receipts}"),
    (
        "sealed_last_no",
        "CASE WHEN t.sealed_last_no > {w.sealed_last_no} THEN t.sealed_last_no"
        " ELSE {w.sealed_last_no} END",
    ),
)
_OPEN_STATES = ", ".join(
    f"'{state}'" for state in states.OrderState if not states.is_terminal(state)
)
_ZONES = sa.text("SELECT DISTINCT time_zone, day_cut_off_minutes FROM stores")
_OPEN = sa.text(
    f"""
    SELECT o.merchant_id, o.order_id, o.state FROM orders o
    WHERE o.order_key > :after AND o.business_day <= :business_day AND o.state IN ({_OPEN_STATES})
    LIMIT {NAMED_MAX}
    """  # noqa: S608 - our own names
)
_UPTO = sa.text(
    "SELECT COALESCE(MAX(order_key), :sealed_upto) FROM orders"
    " WHERE order_key > :sealed_upto AND updated_at_us <= :recorded_us"
)
_FIRST_LEFT = sa.text(
    "SELECT MIN(order_key) FROM orders"
    " WHERE order_key > :after AND order_key <= :upto AND business_day > :business_day"
)
_ORDERS = sa.text(
    f"""
    SELECT o.merchant_id, o.store_id, o.business_day, COUNT(*) AS orders,
      COUNT(o.receipt_no) AS receipts, MAX(o.receipt_no) AS highest
    FROM orders o
    WHERE o.order_key > :after AND o.order_key <= :upto AND o.business_day <= :business_day
      AND {NOT_SEALED}
    GROUP BY o.merchant_id, o.store_id, o.business_day
    """  # noqa: S608 - a fragment of our own
)
_FIND_DAYS = (
    "SELECT t.merchant_id, t.store_id, t.business_day, t.orders, t.entries, t.digest FROM {w}"
    " CROSS JOIN business_days t ON t.merchant_id = {w.merchant_id}"
    " AND t.store_id = {w.store_id} AND t.business_day = {w.business_day}"
)
_DAYS = sa.text(
    "SELECT merchant_id, store_id, business_day, entries, digest FROM business_days"
    " WHERE merchant_id <> ''"
)
