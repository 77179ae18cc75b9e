"""Deadlines: which orders have waited too long for their next stage."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel import ids, money, states
from internal.orders import store


class Waiting(NamedTuple):
    """Orders of one state that wait for the same thing, by the states of their charges."""

    state: states.OrderState
    charges: frozenset[states.ChargeState]


class Due(NamedTuple):
    """An order whose deadline has passed."""

    order_key: int
    ref: ids.OrderRef


def are_due(connection: sa.Connection, waiting: Waiting, now_us: int) -> bool:
    """Tell whether `take` would find any. Locks nothing."""
    key = store.ORDERS.c.order_key
    return (
        connection.execute(sa.select(key).where(_is_due(waiting, now_us)).limit(1)).first()
        is not None
    )


def take(
    connection: sa.Connection, waiting: Waiting, now_us: int, later_us: int, orders_max: int
) -> list[Due]:
    """Give due orders that nobody has locked a later deadline.

    Returns:
        These orders, the longest overdue first.
    """
    o = store.ORDERS.c
    query = (
        sa.select(o.order_key, o.merchant_id, o.order_id)
        .where(_is_due(waiting, now_us))
        .order_by(o.due_at_us)
        .limit(orders_max)
        .with_for_update(skip_locked=True)
    )
    due = [Due(row[0], ids.OrderRef(row[1], row[2])) for row in connection.execute(query)]
    postpone(connection, [it.order_key for it in due], later_us)
    return due


def _is_due(waiting: Waiting, now_us: int) -> sa.ColumnElement[bool]:
    """The index orders_due has all of these columns, so only the rows that are due are read."""
    o, charges = store.ORDERS.c, sorted(waiting.charges)
    return sa.and_(o.state == waiting.state, o.charge_state.in_(charges), o.due_at_us <= now_us)


def names_of(connection: sa.Connection, order_keys: Sequence[int]) -> dict[int, ids.OrderRef]:
    """Return the names of these orders, by order_key."""
    o = store.ORDERS.c
    found: dict[int, ids.OrderRef] = {}
    for some in _chunks(order_keys):
        query = sa.select(o.order_key, o.merchant_id, o.order_id).where(o.order_key.in_(some))
        found |= {row[0]: ids.OrderRef(row[1], row[2]) for row in connection.execute(query)}
    return found


def oldest_unfinished_us(connection: sa.Connection) -> int | None:
    """Return when the oldest order with a deadline was placed."""
    oldest = sa.func.min(store.ORDERS.c.placed_at_us)
    query = sa.select(oldest).where(store.ORDERS.c.due_at_us >= 0)
    return connection.execute(query).scalar()


def clear(
    connection: sa.Connection, order_key: int, ref: ids.OrderRef, where: sa.ColumnElement[bool]
) -> None:
    """Clear the deadline of the order with this key, if it is the order that `ref` names.

    `where` is a condition on the order: one that has moved on keeps its deadline.
    """
    if not money.INT64_MIN <= order_key <= money.INT64_MAX:
        return  # written by hand: no database has such a key
    o, (merchant_id, order_id) = store.ORDERS.c, ref
    order = sa.and_(
        o.order_key == order_key, o.merchant_id == merchant_id, o.order_id == order_id, where
    )
    connection.execute(store.ORDERS.update().where(order).values(due_at_us=None))


def postpone(connection: sa.Connection, order_keys: Sequence[int], due_at_us: int) -> None:
    """Set a new deadline for orders that have one."""
    shape = bulk.shape_of(store.ORDERS, "order_key", "due_at_us")
    rows = [(key, due_at_us) for key in order_keys]
    guard, changes = "t.due_at_us IS NOT NULL", bulk.assign("due_at_us")
    bulk.update(connection, store.ORDERS, shape, ("order_key",), changes, rows, guard=guard)


def missing(connection: sa.Connection, order_keys: Sequence[int]) -> set[int]:
    """Return those of the orders that are open and have no deadline."""
    key, found = store.ORDERS.c.order_key, set()
    for some in _chunks(order_keys):
        found |= set(connection.execute(sa.select(key).where(key.in_(some), IS_MISSING)).scalars())
    return found


def give_back(connection: sa.Connection, orders: Sequence[ids.OrderRef], due_at_us: int) -> int:
    """Give these orders a deadline, where they are open and have none; return how many had none."""
    keys = [order.order_key for order in store.find(connection, orders).values()]
    changed = 0
    for some in _chunks(keys):
        statement = store.ORDERS.update().where(store.ORDERS.c.order_key.in_(some), IS_MISSING)
        changed += connection.execute(statement.values(due_at_us=due_at_us)).rowcount
    return changed


def _chunks(order_keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(order_keys), KEYS_AT_ONCE):
        yield order_keys[start : start + KEYS_AT_ONCE]


KEYS_AT_ONCE = 500
"""Keys in one statement: databases limit its parameters."""
_ENDS = [str(state) for state in sorted(states.ORDER_TERMINAL)]
IS_MISSING = store.ORDERS.c.due_at_us.is_(None) & store.ORDERS.c.state.not_in(_ENDS)
"""SQL: an open order that nothing drives on."""
