"""I7 for receipts: a store's numbers are given once, without a gap, to finalized orders only.

Writes nothing.
"""

from internal.checks import findings
from internal.checks.scope import NOT_SEALED
from internal.orders import store

_RECEIPTS = f"""
    (
      SELECT merchant_id, store_id, sealed_receipts * :is_sealed AS receipts,
        sealed_last_no * :is_sealed AS highest, last_no AS counted
      FROM receipt_counters
      UNION ALL
      SELECT COALESCE(o.merchant_id, ''), COALESCE(o.store_id, ''), COUNT(*), MAX(o.receipt_no), 0
      FROM orders o
      WHERE o.order_key > :after AND o.receipt_no IS NOT NULL AND {NOT_SEALED}
      GROUP BY COALESCE(o.merchant_id, ''), COALESCE(o.store_id, '')
    ) AS sides
"""  # noqa: S608 - a fragment of our own
"""SQL: of each store the number of receipts, the highest of them, and its counter.

Grouped by expressions: SQLite would walk through a whole index that begins with these columns.
"""
_RECEIPTS_RUN = findings.Rule(
    "I7",
    "a store's receipt numbers are 1, 2, 3 and so on, without a gap",
    f"""
    SELECT merchant_id, store_id, SUM(receipts) AS receipts, MAX(highest) AS highest
    FROM {_RECEIPTS} GROUP BY merchant_id, store_id HAVING SUM(receipts) <> MAX(highest)
    """,  # noqa: S608
)
_RECEIPTS_DIFFER = findings.Rule(
    "I7",
    "a store gives a receipt number once",
    """
    SELECT o.merchant_id, o.store_id, o.receipt_no, o.order_key FROM orders o
    WHERE o.order_key > :after AND o.order_key <= :upto
      AND o.receipt_no IS NOT NULL AND EXISTS (SELECT 1 FROM orders other
      WHERE other.merchant_id = o.merchant_id AND other.store_id = o.store_id
        AND other.receipt_series = o.receipt_series AND other.receipt_no = o.receipt_no
        AND other.order_key <> o.order_key)
    """,
    findings.by_order(store.ORDERS),
)
_COUNTERS_AGREE = findings.Rule(
    "I7",
    "a store's receipt counter stands at its last receipt",
    f"""
    SELECT merchant_id, store_id, SUM(counted) AS counted, MAX(highest) AS given
    FROM {_RECEIPTS} GROUP BY merchant_id, store_id HAVING SUM(counted) <> MAX(highest)
    """,  # noqa: S608
)
_RECEIPT_MEANS_FINALIZED = findings.Rule(
    "I7",
    "every finalized order has a receipt number, and no other order has one",
    """
    SELECT merchant_id, order_id, state, receipt_no FROM orders
    WHERE order_key > :after AND order_key <= :upto
      AND ((state = :order_finalized AND receipt_no IS NULL)
       OR (state <> :order_finalized AND receipt_no IS NOT NULL))
    """,
    findings.by_order(store.ORDERS),
)
RULES = (_RECEIPTS_RUN, _RECEIPTS_DIFFER, _COUNTERS_AGREE, _RECEIPT_MEANS_FINALIZED)
