"""Orders that were cancelled before they came: their rows, in the transaction that inserts them."""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.states import OrderState, StockState
from internal.orders import messages, refusals, tables

_ENDED = ("state", "stock_state", "due_at_us")


def cancel(connection: sa.Connection, order_keys: Sequence[int]) -> None:
    """Make orders that this transaction has inserted CANCELLED, whatever was decided of them."""
    shape = bulk.shape_of(tables.ORDERS, "order_key", *_ENDED)
    ended = [(key, OrderState.CANCELLED, StockState.NONE, None) for key in order_keys]
    bulk.update(connection, tables.ORDERS, shape, ("order_key",), bulk.assign(*_ENDED), ended)
    why = [(key, messages.CANCELLED_BY_MERCHANT, "") for key in order_keys]
    table = refusals.ORDER_REFUSALS
    bulk.replace(connection, table, ("order_key",), tuple(table.c.keys()), why)
