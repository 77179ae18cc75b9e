"""Orders that requests wait for, looked for in the transaction that inserts them.

Must not read an order that was recorded before.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel import ids
from internal.kernel.states import OrderState, StockState
from internal.orders import messages, refusals, tables
from internal.requests.messages import RequestState, SubjectKind

_ENDED = ("state", "stock_state", "due_at_us")
_BY_PLACE = bulk.shape_of(tables.ORDERS, "merchant_id", "order_id", place=tables.ORDERS.c.version)


class Added(NamedTuple):
    """Orders that were just inserted."""

    keys: dict[ids.OrderRef, int]
    """The key that the database gave to each, in the order of their insertion."""
    awaited: tuple[ids.OrderRef, ...]
    """Those that requests wait for: see requests.store.find_open."""


def find_added(connection: sa.Connection, names: Sequence[ids.OrderRef]) -> Added:
    """Return the keys of orders that this transaction has inserted, and which are awaited.

    A request that finds no order is committed before it looks again; this looks after the order is
    inserted. So one of the two sees the other, whatever the order of the commits.
    """
    query = (
        "SELECT w.place, t.order_key, r.request_id FROM {w} CROSS JOIN orders t"  # noqa: S608 - our own names
        " ON t.merchant_id = {w.merchant_id} AND t.order_id = {w.order_id}"
        " LEFT JOIN requests r ON r.merchant_id = t.merchant_id AND r.subject = t.order_id"
        f" AND r.subject_kind = '{SubjectKind.ORDER}' AND r.state <> '{RequestState.DONE}'"
    )
    rows = [(*name, place) for place, name in enumerate(names)]
    found = sorted(bulk.select(connection, _BY_PLACE, query, rows))
    keys = {names[row.place]: row.order_key for row in found}
    awaited = dict.fromkeys(names[row.place] for row in found if row.request_id)
    return Added(keys, tuple(awaited))


def cancel(connection: sa.Connection, order_keys: Sequence[int]) -> None:
    """Make orders that this transaction has inserted CANCELLED, whatever was decided of them."""
    shape = bulk.shape_of(tables.ORDERS, "order_key", *_ENDED)
    ended = [(key, OrderState.CANCELLED, StockState.NONE, None) for key in order_keys]
    bulk.update(connection, tables.ORDERS, shape, ("order_key",), bulk.assign(*_ENDED), ended)
    why = [(key, messages.CANCELLED_BY_MERCHANT, "") for key in order_keys]
    table = refusals.ORDER_REFUSALS
    bulk.replace(connection, table, ("order_key",), tuple(table.c.keys()), why)
