"""I5: on-hand and reserved stock agrees with movements and open orders. Writes nothing.

Memory grows with the stock rows, not with the orders.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, NOT_SEALED, OF_ORDER, Scope
from internal.inventory import store
from internal.inventory.messages import Reason, SourceKind, StockKey, StockLevel
from internal.orders import store as orders_store

WINDOW_SOURCES = 25_000
"""Sources of one kind and business day whose movements are summed by one query."""

_SALES_MOVED = findings.Rule(
    "I5",
    "a finalized order's lines have left the stock, and no other order's have",
    """
    SELECT merchant_id, order_id, state, wanted_milli, sold_milli
    FROM (
      SELECT o.merchant_id, o.order_id, o.state,
        (SELECT COALESCE(SUM(l.quantity_milli), 0) FROM order_lines l
          WHERE l.order_key = o.order_key AND l.location_id <> '') AS wanted_milli,
        (SELECT COALESCE(-SUM(m.quantity_milli), 0) FROM stock_movements m
          WHERE m.business_day = o.business_day AND m.source_kind = :source_order
            AND m.source_key = o.order_key) AS sold_milli
      FROM orders o WHERE o.order_key > :after AND o.order_key <= :upto
    ) AS q
    WHERE sold_milli <> CASE WHEN state = :order_finalized THEN wanted_milli ELSE 0 END
    """,
    findings.by_order(orders_store.ORDERS),
)
_SALES_HAVE_ORDERS = findings.Rule(
    "I5",
    "a sale's movement belongs to an order of its day",
    """
    SELECT m.merchant_id, m.location_id, m.sku, m.source_kind, m.source_key
    FROM stock_movements m
    LEFT JOIN orders o ON o.order_key = m.source_key AND o.business_day = m.business_day
      AND m.source_kind = :source_order
    WHERE m.business_day > :after AND m.business_day <= :upto
      AND (m.reason = :reason_sale OR m.source_kind = :source_order) AND o.order_key IS NULL
    """,
    findings.by_day(store.STOCK_MOVEMENTS),
)
BELOW_RESERVED = findings.Rule(
    "I5",
    "stock below what is reserved has an open exception",
    """
    SELECT s.merchant_id, s.location_id, s.sku, s.lot, s.on_hand_milli, s.reserved_milli
    FROM stock s
    WHERE (s.on_hand_milli < s.reserved_milli OR s.on_hand_milli < 0) AND NOT EXISTS (
      SELECT 1 FROM stock_exceptions e
      WHERE e.merchant_id = s.merchant_id AND e.location_id = s.location_id AND e.sku = s.sku
        AND e.lot = s.lot AND e.closed_at_us IS NULL
    )
    """,
)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about stock."""
    parameters = {
        **findings.PARAMETERS,
        "reason_sale": str(Reason.SALE),
        "source_order": str(SourceKind.ORDER),
    }
    rules = (_SALES_MOVED, _SALES_HAVE_ORDERS, BELOW_RESERVED)
    return findings.evaluate(connection, rules, scope, parameters) + _levels(connection, scope)


def _levels(connection: sa.Connection, scope: Scope) -> list[findings.Finding]:
    """Compare every stock row with the sums of its movements and of the open orders' lines."""
    moved, reserved = _moved(connection, scope), _reserved(connection, scope)
    broken = findings.Collector("I5")
    t = store.STOCK.c
    by_key = (t.merchant_id, t.location_id, t.sku, t.lot)
    levels = sa.select(*by_key, t.on_hand_milli, t.reserved_milli, t.sealed_milli)
    for row in connection.execute(levels):
        key, level = StockKey(*row[:4]), StockLevel(*row[4:6])
        sealed = 0 if scope.is_everything else row.sealed_milli
        should = StockLevel(sealed + moved.pop(key, 0), reserved.pop(key, 0))
        _compare(broken, key, level, should)
    for key in sorted(moved.keys() | reserved.keys()):
        _compare(broken, key, StockLevel(0, 0), StockLevel(moved[key], reserved[key]))
    return broken.findings()


def _compare(
    broken: findings.Collector, key: StockKey, is_: StockLevel, should: StockLevel
) -> None:
    if is_ != should or is_.reserved_milli < 0:
        example = findings.show(
            merchant_id=key.merchant_id,
            location_id=key.location_id,
            sku=key.sku,
            lot=key.lot,
            on_hand_milli=is_.on_hand_milli,
            moved_milli=should.on_hand_milli,
            reserved_milli=is_.reserved_milli,
            promised_milli=should.reserved_milli,
        )
        broken.add(_AGREES, example)


def _moved(connection: sa.Connection, scope: Scope) -> Counter[StockKey]:
    """Return what moved, but for sales that are sealed."""
    late = [] if scope.is_everything else [(_LATE, scope.parameters | _ORDER_KIND)]
    windows = ((_MOVED, window) for window in _windows(connection, scope))
    return _summed(connection, itertools.chain(windows, late))


def sold_between(connection: sa.Connection, values: Mapping[str, Any]) -> Counter[StockKey]:
    """Return what the orders sold that a seal adds: see seals.plan."""
    key = orders_store.ORDERS.c.order_key
    between = (key > values["after"]) & (key <= values["upto"])
    parts = (
        {**values, **_ORDER_KIND, **part, "upto": min(part["upto"], values["upto"])}
        for part in findings.windows(connection, key, findings.PART_ORDERS, between)
    )
    return _summed(connection, ((_SEALED, part) for part in parts))


def _summed(
    connection: sa.Connection, queries: Iterable[tuple[sa.TextClause, Mapping[str, Any]]]
) -> Counter[StockKey]:
    sums: Counter[StockKey] = Counter()
    for query, parameters in queries:
        for row in connection.execute(query, parameters):
            sums[StockKey(*row[:4])] += int(row[4])
    return sums


def _windows(connection: sa.Connection, scope: Scope) -> Iterator[dict[str, Any]]:
    """Yield ranges of the movements' primary key: those of one day and kind, a part at a time."""
    for day in _days(connection):
        for kind in SourceKind:
            if kind is SourceKind.ORDER and day <= scope.sealed_day:
                continue
            of_kind = {"day": day, "kind": str(kind)}
            first, last = connection.execute(_BOUNDS, of_kind).one()
            for after in range(first - 1, last, WINDOW_SOURCES) if first is not None else ():
                yield of_kind | {"after": after, "upto": after + WINDOW_SOURCES}


def _days(connection: sa.Connection) -> Iterator[int]:
    """Yield the business days with movements, by a look into the key for each of them."""
    day: int | None = -1
    while (day := connection.execute(_NEXT_DAY, {"day": day}).scalar()) is not None:
        yield day


def _reserved(connection: sa.Connection, scope: Scope) -> Counter[StockKey]:
    rows = connection.execute(_RESERVED, {**findings.PARAMETERS, **scope.parameters})
    return Counter({StockKey(*row[:3]): int(row[3]) for row in rows})


_AGREES = (
    "stock on hand is the sum of its movements, reserved stock the lines of open orders, and what"
    " is reserved is not negative"
)
_ORDER_KIND = {"source_order": str(SourceKind.ORDER)}
_NEXT_DAY = sa.text("SELECT MIN(business_day) FROM stock_movements WHERE business_day > :day")
_BOUNDS = sa.text(
    "SELECT MIN(source_key), MAX(source_key) FROM stock_movements"
    " WHERE business_day = :day AND source_kind = :kind"
)
_OF_ORDERS = """
    SELECT m.merchant_id, m.location_id, m.sku, m.lot, SUM(m.quantity_milli)
    FROM orders o CROSS JOIN stock_movements m ON m.business_day = o.business_day
      AND m.source_kind = :source_order AND m.{of_order}
    WHERE o.order_key > :after AND {condition}
    GROUP BY m.merchant_id, m.location_id, m.sku, m.lot
"""


def _of_orders(condition: str) -> sa.TextClause:
    return sa.text(_OF_ORDERS.format(of_order=OF_ORDER, condition=condition))


_LATE = _of_orders(f"o.business_day <= :sealed_day AND {NOT_SEALED}")
_SEALED = _of_orders(f"o.order_key <= :upto AND o.business_day <= :business_day AND {NOT_SEALED}")
_MOVED = sa.text(
    """
    SELECT merchant_id, location_id, sku, lot, SUM(quantity_milli) FROM stock_movements
    WHERE business_day = :day AND source_kind = :kind
      AND source_key > :after AND source_key <= :upto
    GROUP BY merchant_id, location_id, sku, lot
    """
)
_RESERVED = sa.text(
    """
    SELECT o.merchant_id, l.location_id, l.sku, SUM(l.quantity_milli)
    FROM orders o JOIN order_lines l ON l.order_key = o.order_key AND l.location_id <> ''
    WHERE o.order_key > :after AND o.state IN (:order_accepted, :order_paid)
    GROUP BY o.merchant_id, l.location_id, l.sku
    """
)
