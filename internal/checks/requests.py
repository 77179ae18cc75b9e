"""I12: requests: what was answered is true of the order, and none waits for an order that is there.

Answers are kept for a while only, so an order need not have its requests. Writes nothing.
"""

import sqlalchemy as sa

from internal.checks import findings
from internal.orders import messages
from internal.payments.messages import Ending
from internal.requests.messages import RequestState, SubjectKind

RULES = (
    findings.Rule(
        "I12",
        "an order whose cancellation was answered is CANCELLED",
        """
        SELECT r.merchant_id, r.subject AS order_id, r.request_id, o.state
        FROM requests r LEFT JOIN orders o
          ON o.merchant_id = r.merchant_id AND o.order_id = r.subject
        WHERE r.method = :cancel AND r.subject_kind = :order AND r.state = :done
          AND r.status = '' AND (o.state IS NULL OR o.state <> :order_cancelled)
        """,
    ),
    findings.Rule(
        "I12",
        "no request waits for an order that is recorded, unless it is being cancelled",
        """
        SELECT r.merchant_id, r.subject AS order_id, r.method, r.request_id
        FROM requests r JOIN orders o ON o.merchant_id = r.merchant_id AND o.order_id = r.subject
        WHERE r.subject_kind = :order AND r.state = :waiting
          AND NOT EXISTS (SELECT 1 FROM appointments h WHERE h.kind = :hold
            AND h.subject = CAST(o.order_key AS CHAR) AND h.reason = :cancelling)
        """,
    ),
)
_PARAMETERS = {
    "cancel": messages.CancelRequested.method,
    "order": str(SubjectKind.ORDER),
    "done": str(RequestState.DONE),
    "waiting": str(RequestState.WAITING),
    "cancelling": str(Ending.CANCELLED),
}


def check(connection: sa.Connection) -> list[findings.Finding]:
    """Return the broken rules about requests."""
    return findings.evaluate(connection, RULES, parameters={**findings.PARAMETERS, **_PARAMETERS})
