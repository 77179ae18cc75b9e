"""I3 in the database: tenders, their attempts, their movements and their orders agree.

Writes nothing.
"""

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope
from internal.ledger import rules as ledger_rules
from internal.orders import store as orders_store
from internal.payments import order_tenders, outcomes, tenders, transactions
from internal.payments import store as payments_store
from internal.payments.messages import OnDecline

_AT_GATEWAY = ", ".join(
    f"'{kind}'" for kind in sorted(tenders.kinds_settled_by(tenders.SettledBy.GATEWAY))
)
_RECEIVING = ", ".join(f"'{kind}'" for kind in sorted(ledger_rules.RECEIVING))
_ENDED = ", ".join(f"'{state}'" for state in sorted(outcomes.ENDED))
_MOVED = (
    "(SELECT COALESCE(SUM(m.amount_minor), 0) FROM payment_transactions m"
    " WHERE m.order_key = t.order_key AND m.tender_no = t.tender_no{more})"
)
"""SQL: what moved for a tender `t`."""
_CAPTURED = """
    (SELECT COALESCE(SUM(a.answered_minor), 0) FROM payment_attempts a
      WHERE a.order_key = t.order_key AND a.tender_no = t.tender_no
        AND a.operation = :request_sale AND a.state = :attempt_succeeded
        AND NOT EXISTS (SELECT 1 FROM payment_attempts v
          WHERE v.order_key = a.order_key AND v.parent_no = a.attempt_no
            AND v.state = :attempt_succeeded))
"""
"""SQL: what the gateway said that it took for a tender `t`, and did not give back."""


def _moved_for(operation: str) -> str:
    return _MOVED.format(more=f" AND m.operation = :moved_{operation}")


_HOLDS_ITS_MOVEMENTS = findings.Rule(
    "I3",
    "a tender holds the sum of its movements",
    f"""
    SELECT order_key, tender_no, held, moved
    FROM (
      SELECT t.order_key, t.tender_no, t.captured_minor - t.refunded_minor AS held,
        {_MOVED.format(more="")} AS moved
      FROM order_tenders t WHERE t.order_key > :after AND t.order_key <= :upto
    ) AS q
    WHERE held <> moved
    """,  # noqa: S608 - fragments of our own
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_PARTS_MOVED = findings.Rule(
    "I3",
    "the movements of a tender that was paid show its tip, its rounding and its change",
    f"""
    SELECT order_key, tender_no, tip_minor, rounding_minor, change_minor, tip, rounding, handed_back
    FROM (
      SELECT t.order_key, t.tender_no, t.tip_minor, t.rounding_minor, t.change_minor,
        {_moved_for("tip")} AS tip, {_moved_for("rounding")} AS rounding,
        {_moved_for("change")} AS handed_back
      FROM order_tenders t
      WHERE t.order_key > :after AND t.order_key <= :upto AND t.captured_minor <> 0
    ) AS q
    WHERE tip <> tip_minor OR rounding <> rounding_minor OR handed_back <> -change_minor
    """,  # noqa: S608
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_HOLDS_WHAT_THE_GATEWAY_TOOK = findings.Rule(
    "I3",
    "a tender at the gateway that waits for no answer holds what its attempts captured",
    f"""
    SELECT order_key, tender_no, captured_minor, captured_by_attempts
    FROM (
      SELECT t.order_key, t.tender_no, t.captured_minor, {_CAPTURED} AS captured_by_attempts
      FROM order_tenders t
      WHERE t.order_key > :after AND t.order_key <= :upto
        AND t.kind IN ({_AT_GATEWAY}) AND t.pending_minor = 0
    ) AS q
    WHERE captured_minor <> captured_by_attempts
    """,  # noqa: S608
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_GIVEN_AGREES = findings.Rule(
    "I3",
    "what a tender was given, less its change, is its amount, tip and rounding",
    """
    SELECT order_key, tender_no, given_minor, change_minor, amount_minor, tip_minor, rounding_minor
    FROM order_tenders
    WHERE order_key > :after AND order_key <= :upto
      AND (change_minor < 0 OR (change_minor > 0 AND given_minor = 0) OR (given_minor <> 0
        AND given_minor - change_minor <> amount_minor + tip_minor + rounding_minor))
    """,
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_COUNTS = f"(x.on_decline <> '{OnDecline.KEEP_OPEN}' OR s.state NOT IN ({_ENDED}))"
"""SQL: whether the tip and rounding of a tender `s` of an order `x` count: of an open order only if
it brings money, or may still do so.
"""
_ORDER_SUMS = findings.Rule(
    "I3",
    "an order's row has the sums of its tenders",
    f"""
    SELECT o.merchant_id, o.order_id, o.tip_minor, o.cash_rounding_minor, o.authorized_minor,
      o.captured_minor, o.refunded_minor, t.tip, t.rounding, t.authorized, t.captured, t.refunded
    FROM orders o LEFT JOIN (
      SELECT s.order_key, SUM(CASE WHEN {_COUNTS} THEN s.tip_minor ELSE 0 END) AS tip,
        SUM(CASE WHEN {_COUNTS} THEN s.rounding_minor ELSE 0 END) AS rounding,
        SUM(s.authorized_minor) AS authorized, SUM(s.captured_minor) AS captured,
        SUM(s.refunded_minor) AS refunded
      FROM order_tenders s JOIN orders x ON x.order_key = s.order_key
      WHERE s.order_key > :after AND s.order_key <= :upto GROUP BY s.order_key
    ) AS t ON t.order_key = o.order_key
    WHERE o.order_key > :after AND o.order_key <= :upto AND (o.tip_minor <> COALESCE(t.tip, 0)
       OR o.cash_rounding_minor <> COALESCE(t.rounding, 0)
       OR o.authorized_minor <> COALESCE(t.authorized, 0)
       OR o.captured_minor <> COALESCE(t.captured, 0)
       OR o.refunded_minor <> COALESCE(t.refunded, 0))
    """,  # noqa: S608
    findings.by_order(orders_store.ORDERS),
)
_PAID_IN_FULL = findings.Rule(
    "I3",
    "a tender that is paid in full holds its amount, its tip and its rounding",
    """
    SELECT order_key, tender_no, state, captured_minor, amount_minor, tip_minor, rounding_minor
    FROM order_tenders
    WHERE order_key > :after AND order_key <= :upto AND state = :charge_full
      AND captured_minor <> amount_minor + tip_minor + rounding_minor
    """,
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_TENDERS_HAVE_ORDERS = findings.Rule(
    "I3",
    "a tender belongs to an order",
    """
    SELECT t.order_key, t.tender_no
    FROM order_tenders t LEFT JOIN orders o ON o.order_key = t.order_key
    WHERE t.order_key > :after AND t.order_key <= :upto AND o.order_key IS NULL
    """,
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_MOVEMENTS_HAVE_TENDERS = findings.Rule(
    "I3",
    "a movement of money belongs to a tender, in its order's currency and on its account",
    """
    SELECT m.order_key, m.transaction_no, m.tender_no, m.currency, m.account_key
    FROM payment_transactions m
      LEFT JOIN order_tenders t ON t.order_key = m.order_key AND t.tender_no = m.tender_no
      LEFT JOIN orders o ON o.order_key = m.order_key
    WHERE m.order_key > :after AND m.order_key <= :upto
      AND (t.order_key IS NULL OR o.order_key IS NULL OR o.currency <> m.currency
        OR m.account_key IS NULL OR m.account_key <> t.account_key)
    """,
    findings.by_order(transactions.PAYMENT_TRANSACTIONS),
)
_ACCOUNTS_FIT = findings.Rule(
    "I3",
    "the money of a finalized order is on accounts of its merchant and currency that receive money",
    f"""
    SELECT t.order_key, t.tender_no, t.account_key, a.kind, a.merchant_id, a.unit
    FROM order_tenders t JOIN orders o ON o.order_key = t.order_key
      LEFT JOIN accounts a ON a.account_key = t.account_key
    WHERE t.order_key > :after AND t.order_key <= :upto
      AND o.state = :order_finalized AND t.captured_minor <> 0
      AND (a.account_key IS NULL OR a.merchant_id <> o.merchant_id OR a.unit <> o.currency
        OR a.kind NOT IN ({_RECEIVING}))
    """,  # noqa: S608
    findings.by_order(order_tenders.ORDER_TENDERS),
)
_ATTEMPTS_HAVE_TENDERS = findings.Rule(
    "I3",
    "an attempt belongs to a tender that the gateway settles",
    f"""
    SELECT a.order_key, a.attempt_no, a.tender_no
    FROM payment_attempts a JOIN orders o ON o.order_key = a.order_key
      LEFT JOIN order_tenders t ON t.order_key = a.order_key AND t.tender_no = a.tender_no
    WHERE a.order_key > :after AND a.order_key <= :upto
      AND (t.order_key IS NULL OR t.kind NOT IN ({_AT_GATEWAY}))
    """,  # noqa: S608
    findings.by_order(payments_store.PAYMENT_ATTEMPTS),
)
RULES = (
    _HOLDS_ITS_MOVEMENTS,
    _PARTS_MOVED,
    _HOLDS_WHAT_THE_GATEWAY_TOOK,
    _GIVEN_AGREES,
    _ORDER_SUMS,
    _PAID_IN_FULL,
    _TENDERS_HAVE_ORDERS,
    _MOVEMENTS_HAVE_TENDERS,
    _ACCOUNTS_FIT,
    _ATTEMPTS_HAVE_TENDERS,
)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about tenders."""
    return findings.evaluate(connection, RULES, scope)
