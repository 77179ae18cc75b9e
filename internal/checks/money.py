"""I3 in the database: what tenders brought and order totals agree.

Tenders are compared with their attempts and movements in `checks.tenders`, the ledger in
`checks.ledger`, and the gateway's own in `checks.gateway`. Writes nothing.
"""

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope
from internal.orders import store as orders_store
from internal.payments import store as payments_store

_HELD = """
    (SELECT COALESCE(SUM(t.captured_minor - t.refunded_minor), 0) FROM order_tenders t
      WHERE t.order_key = o.order_key)
"""
"""SQL: the money held for an order `o`, which is what its tenders brought and did not give back."""
_DUE = "o.total_minor + o.tip_minor + o.cash_rounding_minor - o.outstanding_minor"
"""SQL: what the tenders of an order `o` have to bring."""

_FINALIZED_AGREES = findings.Rule(
    "I3",
    "a finalized order's captures are its total, with tip and rounding",
    f"""
    SELECT merchant_id, order_id, due, held
    FROM (
      SELECT o.merchant_id, o.order_id, {_DUE} AS due, {_HELD} AS held
      FROM orders o
      WHERE o.order_key > :after AND o.order_key <= :upto AND o.state = :order_finalized
    ) AS q
    WHERE held <> due
    """,  # noqa: S608 - a fragment of our own
    findings.by_order(orders_store.ORDERS),
)
_PAID_AGREES = findings.Rule(
    "I3",
    "a paid order's captures are its total, with tip and rounding",
    f"""
    SELECT merchant_id, order_id, due, held
    FROM (
      SELECT o.merchant_id, o.order_id, {_DUE} AS due, {_HELD} AS held
      FROM orders o
      WHERE o.order_key > :after AND o.order_key <= :upto AND o.state = :order_paid
        AND o.charge_state NOT IN (:charge_pending, :charge_unknown)
    ) AS q
    WHERE held <> due
    """,  # noqa: S608
    findings.by_order(orders_store.ORDERS),
)
_PAID_RETURNS = findings.Rule(
    "I3",
    "a paid order whose charge is open has a void: its money is being returned",
    """
    SELECT o.merchant_id, o.order_id, o.charge_state FROM orders o
    WHERE o.order_key > :after AND o.order_key <= :upto AND o.state = :order_paid
      AND o.charge_state IN (:charge_pending, :charge_unknown)
      AND NOT EXISTS (SELECT 1 FROM payment_attempts v
        WHERE v.order_key = o.order_key AND v.operation = :request_void)
    """,
    findings.by_order(orders_store.ORDERS),
)
_NOTHING_HELD = findings.Rule(
    "I3",
    "a rejected or cancelled order holds no money",
    f"""
    SELECT merchant_id, order_id, state, held
    FROM (
      SELECT o.merchant_id, o.order_id, o.state, {_HELD} AS held
      FROM orders o WHERE o.order_key > :after AND o.order_key <= :upto
        AND o.state IN (:order_rejected, :order_cancelled, :order_expired)
    ) AS q
    WHERE held <> 0
    """,  # noqa: S608
    findings.by_order(orders_store.ORDERS),
)
_NOTHING_OPEN = findings.Rule(
    "I3",
    "no order ends while the gateway's verdict on an attempt is missing",
    """
    SELECT o.merchant_id, o.order_id, o.state, a.attempt_no, a.state AS attempt
    FROM payment_attempts a JOIN orders o ON o.order_key = a.order_key
    WHERE a.order_key > :after AND a.order_key <= :upto
      AND (a.state IN (:attempt_pending, :attempt_unknown)
        OR (a.state = :attempt_different AND NOT EXISTS (SELECT 1 FROM payment_attempts v
          WHERE v.order_key = a.order_key AND v.parent_no = a.attempt_no
            AND v.state = :attempt_succeeded)))
      AND (o.state IN (:order_finalized, :order_rejected, :order_cancelled, :order_expired)
        OR (o.state = :order_paid AND o.charge_state NOT IN (:charge_pending, :charge_unknown)))
    """,
    findings.by_order(payments_store.PAYMENT_ATTEMPTS),
)
_ONE_CAPTURE = findings.Rule(
    "I3",
    "a tender is captured once at most",
    """
    SELECT c.order_key, c.tender_no, c.attempt_no FROM payment_attempts c
    WHERE c.order_key > :after AND c.order_key <= :upto
      AND c.operation = :request_sale AND c.state = :attempt_succeeded
      AND EXISTS (SELECT 1 FROM payment_attempts earlier
        WHERE earlier.order_key = c.order_key AND earlier.attempt_no < c.attempt_no
          AND earlier.operation = :request_sale AND earlier.state = :attempt_succeeded
          AND earlier.tender_no = c.tender_no)
    """,
    findings.by_order(payments_store.PAYMENT_ATTEMPTS),
)
_ATTEMPTS_HAVE_ORDERS = findings.Rule(
    "I3",
    "an attempt belongs to an order, in its currency",
    """
    SELECT a.order_key, a.attempt_no, a.currency, o.currency AS currency_of_order
    FROM payment_attempts a LEFT JOIN orders o ON o.order_key = a.order_key
    WHERE a.order_key > :after AND a.order_key <= :upto
      AND (o.order_key IS NULL OR o.currency <> a.currency)
    """,
    findings.by_order(payments_store.PAYMENT_ATTEMPTS),
)
RULES = (
    _FINALIZED_AGREES,
    _PAID_AGREES,
    _PAID_RETURNS,
    _NOTHING_HELD,
    _NOTHING_OPEN,
    _ONE_CAPTURE,
    _ATTEMPTS_HAVE_ORDERS,
)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about money."""
    return findings.evaluate(connection, RULES, scope)
