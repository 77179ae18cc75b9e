"""Deadlines: which orders have waited too long for their next stage."""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel import ids, money
from internal.orders import store


def find_due(connection: sa.Connection, now_us: int, orders_max: int) -> list[tuple[int, str]]:
    """Return (order_key, state) of orders whose deadline has passed, the longest overdue first."""
    orders = store.ORDERS.c
    due = (
        sa.select(orders.order_key, orders.due_at_us)  # all in the index: nothing else is read
        .where(orders.due_at_us <= now_us)
        .order_by(orders.due_at_us)
        .limit(orders_max)
        .subquery()
    )
    query = (
        sa.select(orders.order_key, orders.state)
        .join(due, due.c.order_key == orders.order_key)
        .order_by(due.c.due_at_us)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def oldest_unfinished_us(connection: sa.Connection) -> int | None:
    """Return when the oldest order with a deadline was placed."""
    oldest = sa.func.min(store.ORDERS.c.placed_at_us)
    query = sa.select(oldest).where(store.ORDERS.c.due_at_us.is_not(None))
    return connection.execute(query).scalar()


def clear(connection: sa.Connection, order_key: int, ref: ids.OrderRef) -> None:
    """Clear the deadline of the order with this key, if it is the order that `ref` names."""
    if not money.INT64_MIN <= order_key <= money.INT64_MAX:
        return  # written by hand: no database has such a key
    o, (merchant_id, order_id) = store.ORDERS.c, ref
    order = sa.and_(o.order_key == order_key, o.merchant_id == merchant_id, o.order_id == order_id)
    connection.execute(store.ORDERS.update().where(order).values(due_at_us=None))


def postpone(connection: sa.Connection, order_keys: Sequence[int], due_at_us: int) -> None:
    """Set a new deadline for orders whose last fact was sent again."""
    shape = bulk.shape_of(store.ORDERS, "order_key", "due_at_us")
    rows = [(key, due_at_us) for key in order_keys]
    guard, changes = "t.due_at_us IS NOT NULL", bulk.assign("due_at_us")
    bulk.update(connection, store.ORDERS, shape, ("order_key",), changes, rows, guard=guard)
