"""Copies all orders in the database: many rows in little time, and every invariant still holds.

Only for measurements with full tables. The captures in the gateway's ledger are copied,
too. Copies differ from their originals in keys, names and receipt numbers; the facts in their log
still name the originals.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.lab.bench.full import clone_rows
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
    for statement in (_STOCK, _COUNTERS):
        connection.execute(sa.text(statement), values)


def _copy_sql(kept: clone_rows.OrderTable) -> str:
    columns = ", ".join(kept.names)
    values = ", ".join(_changed(kept, name) for name in kept.names)
    table = kept.table.name
    joined = _LAST_RECEIPTS if "receipt_no" in kept.names else ""
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} t {joined}"  # noqa: S608
        f" WHERE t.{kept.order_key} <= :upto AND {kept.where} ORDER BY t.{kept.order_key}"
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
      SELECT merchant_id, location_id, sku, lot, SUM(quantity_milli) AS moved_milli
      FROM stock_movements WHERE source_kind = 'ORDER' AND source_key <= :upto
      GROUP BY merchant_id, location_id, sku, lot
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


def copy_captures(gateway: port.GatewayLedger, of: Template, number: int) -> None:
    """Copy the requests in the gateway's ledger for one copy of the orders."""
    gateway.add_copies(of.captures, f".{number}")
