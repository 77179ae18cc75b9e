"""I3 in the database: captures and order totals agree.

The ledger is compared in `checks.ledger`, the gateway's own in `checks.gateway`. Writes nothing.
"""

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope

_HELD = """
    (SELECT COALESCE(SUM(c.amount_minor), 0) FROM payment_attempts c
      WHERE c.order_key = o.order_key AND c.kind = :kind_charge AND c.state = :attempt_succeeded
        AND NOT EXISTS (SELECT 1 FROM payment_attempts v
          WHERE v.order_key = c.order_key AND v.kind = :kind_void
            AND v.state = :attempt_succeeded AND v.voids_key = c.attempt_key))
"""
"""SQL: the money held for an order `o`, which is its charges that succeeded and were not voided."""

_FINALIZED_AGREES = findings.Rule(
    "I3",
    "a finalized order's captures are its total",
    f"""
    SELECT merchant_id, order_id, total, held
    FROM (
      SELECT o.merchant_id, o.order_id, o.total_minor AS total, {_HELD} AS held
      FROM orders o WHERE o.order_key > :after AND o.state = :order_finalized
    ) AS q
    WHERE held <> total
    """,  # noqa: S608 - a fragment of our own
)
_PAID_AGREES = findings.Rule(
    "I3",
    "a paid order's captures are its total",
    f"""
    SELECT merchant_id, order_id, total, held
    FROM (
      SELECT o.merchant_id, o.order_id, o.total_minor AS total, {_HELD} AS held
      FROM orders o
      WHERE o.order_key > :after AND o.state = :order_paid
        AND o.charge_state NOT IN (:charge_pending, :charge_unknown)
    ) AS q
    WHERE held <> total
    """,  # noqa: S608
)
_PAID_RETURNS = findings.Rule(
    "I3",
    "a paid order whose charge is open has a void: its money is being returned",
    """
    SELECT o.merchant_id, o.order_id, o.charge_state FROM orders o
    WHERE o.order_key > :after AND o.state = :order_paid
      AND o.charge_state IN (:charge_pending, :charge_unknown)
      AND NOT EXISTS (SELECT 1 FROM payment_attempts v
        WHERE v.order_key = o.order_key AND v.kind = :kind_void)
    """,
)
_NOTHING_HELD = findings.Rule(
    "I3",
    "a rejected or cancelled order holds no money",
    f"""
    SELECT merchant_id, order_id, state, held
    FROM (
      SELECT o.merchant_id, o.order_id, o.state, {_HELD} AS held
      FROM orders o WHERE o.order_key > :after
        AND o.state IN (:order_rejected, :order_cancelled, :order_expired)
    ) AS q
    WHERE held <> 0
    """,  # noqa: S608
)
_NOTHING_OPEN = findings.Rule(
    "I3",
    "no order ends while the gateway's verdict on an attempt is missing",
    """
    SELECT o.merchant_id, o.order_id, o.state, a.attempt_no, a.state AS attempt
    FROM payment_attempts a JOIN orders o ON o.order_key = a.order_key
    WHERE a.order_key > :after AND a.state IN (:attempt_pending, :attempt_unknown)
      AND (o.state IN (:order_finalized, :order_rejected, :order_cancelled, :order_expired)
        OR (o.state = :order_paid AND o.charge_state NOT IN (:charge_pending, :charge_unknown)))
    """,
)
_ONE_CAPTURE = findings.Rule(
    "I3",
    "a tender is captured once at most",
    """
    SELECT c.order_key, c.tender_no, c.attempt_no FROM payment_attempts c
    WHERE c.order_key > :after AND c.kind = :kind_charge AND c.state = :attempt_succeeded
      AND EXISTS (SELECT 1 FROM payment_attempts earlier
        WHERE earlier.order_key = c.order_key AND earlier.attempt_no < c.attempt_no
          AND earlier.kind = :kind_charge AND earlier.state = :attempt_succeeded
          AND earlier.tender_no = c.tender_no)
    """,
)
_ATTEMPTS_HAVE_ORDERS = findings.Rule(
    "I3",
    "an attempt belongs to an order, in its currency",
    """
    SELECT a.order_key, a.attempt_no, a.currency, o.currency AS currency_of_order
    FROM payment_attempts a LEFT JOIN orders o ON o.order_key = a.order_key
    WHERE a.order_key > :after AND (o.order_key IS NULL OR o.currency <> a.currency)
    """,
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
