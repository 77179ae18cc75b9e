"""Copies all orders in the database: many rows in little time, and every invariant still holds.

Only for measurements with full tables. The captures in the gateway's ledger are copied,
too. Copies differ from their originals in keys, names and receipt numbers; the facts in their log
still name the originals.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.lab.bench.full import clone_rows
from internal.ledger import rules
from internal.payments.gateways import port


class Template(NamedTuple):
    """The orders that are copied: all orders in the database, of one merchant, all ended."""

    upto: int
    """The largest order key."""
    orders: int
    captures: Sequence[port.RecordedRequest]


def template(connection: sa.Connection, gateway: port.GatewayLedger | None) -> Template:
    """Read how many orders there are, and the gateway's ledger."""
    upto, orders = connection.execute(sa.text("SELECT MAX(order_key), COUNT(*) FROM orders")).one()
    return Template(upto or 0, orders, gateway.requests() if gateway else ())


def copy(connection: sa.Connection, of: Template, number: int) -> None:
    """Copy the template once, with keys after all others; each copy needs a `number` of its own."""
    last = connection.scalar(sa.text("SELECT MAX(order_key) FROM orders"))
    values = {"by": last, "upto": of.upto, "suffix": f".{number}"}
    for kept in clone_rows.TABLES:
        connection.execute(sa.text(_copy_sql(kept)), values)
    for statement in (_STOCK, _COUNTERS, _BALANCES):
        connection.execute(sa.text(statement), values)


def _copy_sql(kept: clone_rows.OrderTable) -> str:
    columns = ", ".join(kept.names)
    values = ", ".join(_changed(kept, name) for name in kept.names)
    table = kept.table.name
    joined = _LAST_RECEIPTS if "receipt_no" in kept.names else ""
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values}"  # noqa: S608
        f" FROM orders o STRAIGHT_JOIN {table} t ON {kept.is_of_order} {joined}"
        " WHERE o.order_key <= :upto ORDER BY o.order_key"
    )


def _changed(kept: clone_rows.OrderTable, name: str) -> str:
    if name == kept.order_key:
        return f"t.{name} + :by"
    if name == "receipt_no":
        return "t.receipt_no + r.last_no"
    if name in {"order_id", "attempt_key"}:
        return f"CONCAT(t.{name}, :suffix)"
    return f"t.{name}"


_LAST_RECEIPTS = (
    "JOIN receipt_counters r ON r.merchant_id = t.merchant_id AND r.store_id = t.store_id"
)
_STOCK = """
    UPDATE stock s JOIN (
      SELECT t.merchant_id, t.location_id, t.sku, t.lot, SUM(t.quantity_milli) AS moved_milli
      FROM orders o STRAIGHT_JOIN stock_movements t ON t.business_day = o.business_day
        AND t.source_kind = 'ORDER' AND t.source_key = o.order_key
      WHERE o.order_key <= :upto GROUP BY t.merchant_id, t.location_id, t.sku, t.lot
    ) m ON m.merchant_id = s.merchant_id AND m.location_id = s.location_id AND m.sku = s.sku
      AND m.lot = s.lot
    SET s.on_hand_milli = s.on_hand_milli + m.moved_milli
"""
_COUNTERS = """
    UPDATE receipt_counters r JOIN (
      SELECT merchant_id, store_id, MAX(receipt_no) AS last_no
      FROM orders GROUP BY merchant_id, store_id
    ) o ON o.merchant_id = r.merchant_id AND o.store_id = r.store_id
    SET r.last_no = o.last_no
"""


_BALANCES = f"""
    UPDATE account_balances b JOIN (
      SELECT e.account_key,
        SUM(CASE WHEN e.amount_minor > 0 THEN e.amount_minor ELSE 0 END) AS debit,
        SUM(CASE WHEN e.amount_minor < 0 THEN -e.amount_minor ELSE 0 END) AS credit
      FROM orders o STRAIGHT_JOIN ledger_entries e ON e.business_day = o.business_day
        AND e.source_kind = '{rules.SALE}' AND e.source_key = o.order_key
      WHERE o.order_key <= :upto GROUP BY e.account_key
    ) m ON m.account_key = b.account_key
    SET b.debit_minor = b.debit_minor + m.debit, b.credit_minor = b.credit_minor + m.credit
    WHERE b.shard = 0
"""  # noqa: S608 - a name of our own


def copy_captures(gateway: port.GatewayLedger, of: Template, number: int) -> None:
    """Copy the requests in the gateway's ledger for one copy of the orders."""
    gateway.add_copies(of.captures, f".{number}")
