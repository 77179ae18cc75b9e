"""I5: on-hand and reserved stock agrees with movements and open orders. Writes nothing.

Memory grows with the stock rows, not with the orders.
"""

from collections import Counter

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope
from internal.inventory import store
from internal.inventory.messages import MovementKind, StockKey, StockLevel

WINDOW_MOVEMENTS = 50_000
"""Movements that are summed by one query."""

_SALES_MOVED = findings.Rule(
    "I5",
    "a finalized order's lines have left the stock, and no other order's have",
    """
    SELECT merchant_id, order_id, state, wanted, sold
    FROM (
      SELECT o.merchant_id, o.order_id, o.state,
        (SELECT COALESCE(SUM(l.quantity), 0) FROM order_lines l
          WHERE l.order_key = o.order_key) AS wanted,
        (SELECT COALESCE(-SUM(m.quantity), 0) FROM stock_movements m
          WHERE m.order_key = o.order_key) AS sold
      FROM orders o WHERE o.order_key > :after
    ) AS q
    WHERE sold <> CASE WHEN state = :order_finalized THEN wanted ELSE 0 END
    """,
)
_SALES_HAVE_ORDERS = findings.Rule(
    "I5",
    "a sale's movement belongs to an order",
    """
    SELECT m.merchant_id, m.store_id, m.sku, m.order_key
    FROM stock_movements m LEFT JOIN orders o ON o.order_key = m.order_key
    WHERE m.kind = :movement_sale AND o.order_key IS NULL
    """,
)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about stock."""
    parameters = {**findings.PARAMETERS, "movement_sale": str(MovementKind.SALE)}
    found = findings.evaluate(connection, (_SALES_MOVED, _SALES_HAVE_ORDERS), scope, parameters)
    return found + _levels(connection)


def _levels(connection: sa.Connection) -> list[findings.Finding]:
    """Compare every stock row with the sums of its movements and of the open orders' lines."""
    moved, reserved = _moved(connection), _reserved(connection)
    broken = findings.Collector("I5")
    for row in connection.execute(sa.select(store.STOCK)):
        key, level = StockKey(*row[:3]), StockLevel(*row[3:])
        _compare(broken, key, level, StockLevel(moved.pop(key, 0), reserved.pop(key, 0)))
    for key in sorted(moved.keys() | reserved.keys()):
        _compare(broken, key, StockLevel(0, 0), StockLevel(moved[key], reserved[key]))
    return broken.findings()


def _compare(
    broken: findings.Collector, key: StockKey, is_: StockLevel, should: StockLevel
) -> None:
    if is_ != should or min(is_.on_hand, is_.reserved) < 0:
        example = findings.show(
            merchant_id=key.merchant_id,
            store_id=key.store_id,
            sku=key.sku,
            on_hand=is_.on_hand,
            moved=should.on_hand,
            reserved=is_.reserved,
            promised=should.reserved,
        )
        broken.add(_AGREES, example)


def _moved(connection: sa.Connection) -> Counter[StockKey]:
    sums: Counter[StockKey] = Counter()
    keys = store.STOCK_MOVEMENTS.c.movement_key
    for window in findings.windows(connection, keys, WINDOW_MOVEMENTS):
        for row in connection.execute(_MOVED, window):
            sums[StockKey(*row[:3])] += int(row[3])
    return sums


def _reserved(connection: sa.Connection) -> Counter[StockKey]:
    rows = connection.execute(_RESERVED, findings.PARAMETERS)
    return Counter({StockKey(*row[:3]): int(row[3]) for row in rows})


_AGREES = (
    "stock on hand is the sum of its movements, reserved stock the lines of open orders, and"
    " neither is negative"
)
_MOVED = sa.text(
    """
    SELECT merchant_id, store_id, sku, SUM(quantity) FROM stock_movements
    WHERE movement_key > :after AND movement_key <= :upto GROUP BY merchant_id, store_id, sku
    """
)
_RESERVED = sa.text(
    """
    SELECT o.merchant_id, o.store_id, l.sku, SUM(l.quantity)
    FROM orders o JOIN order_lines l ON l.order_key = o.order_key
    WHERE o.state IN (:order_accepted, :order_paid) GROUP BY o.merchant_id, o.store_id, l.sku
    """
)
