"""An operator's verdict on an attempt whose result the gateway does not tell.

This is the only exception to the rule that only the gateway ends an UNKNOWN attempt. The caller
must log who gave the verdict and why.
"""

from enum import StrEnum

import msgspec
import sqlalchemy as sa

from internal.kernel import errors
from internal.payments import rules
from internal.payments.messages import Attempt, AttemptKind, AttemptState
from internal.payments.store import PAYMENT_ATTEMPTS

BY_OPERATOR = "decided_by_operator"
"""The decline code of a charge that was declined by an operator's verdict."""


class Verdict(StrEnum):
    """The result of a request to the gateway, according to an operator."""

    SUCCEEDED = "succeeded"
    """A charge was captured, or a void returned the money or found none to return."""
    DECLINED = "declined"
    """The gateway certainly declined the charge: it is not voided, and the order is refused."""
    FAILED = "failed"
    """Given up: a charge is voided by its key and the order is refused; a void is sent again."""


_T = PAYMENT_ATTEMPTS.c
IS_ASKED_ABOUT = (AttemptState.PENDING, AttemptState.UNKNOWN)
"""The states in which only the gateway, or an operator, can tell the result."""


def undecided_where(pending_before_us: int) -> sa.ColumnElement[bool]:
    """Return the condition of `is_undecided` in SQL."""
    is_stale = (_T.state == AttemptState.PENDING) & (_T.updated_at_us < pending_before_us)
    is_refused_void = (_T.kind == AttemptKind.VOID) & (_T.state == AttemptState.DECLINED)
    return (_T.state == AttemptState.UNKNOWN) | is_refused_void | is_stale


def is_undecided(attempt: Attempt, pending_before_us: int = 0) -> bool:
    """Tell whether the result is unknown, or the gateway has refused a void.

    A PENDING attempt is undecided if it was recorded before `pending_before_us`: the gateway's
    timeout has passed, so the process that called it has lost the answer.
    """
    if attempt.state is AttemptState.PENDING:
        return attempt.updated_at_us < pending_before_us
    is_refused_void = attempt.kind is AttemptKind.VOID and attempt.state is AttemptState.DECLINED
    return attempt.state is AttemptState.UNKNOWN or is_refused_void


def decided(attempt: Attempt, verdict: Verdict, reference: str) -> Attempt:
    """Return the attempt with an operator's verdict.

    Raises:
        InvalidInput: the verdict would leave it undecided.
    """
    reference = reference or attempt.gateway_reference
    is_void = attempt.kind is AttemptKind.VOID
    match verdict:
        case Verdict.SUCCEEDED:
            state, code, checks = AttemptState.SUCCEEDED, "", attempt.checks
        case Verdict.DECLINED if is_void:
            what = "a refused void leaves the money here: say succeeded once it is given back, or"
            raise errors.InvalidInput([("--as", f"{what} failed to have it sent again")])
        case Verdict.DECLINED:
            state, code, checks = AttemptState.DECLINED, BY_OPERATOR, attempt.checks
        case Verdict.FAILED:
            checks = 1 if is_void else len(rules.RETRY_AFTER_S) + 1
            state, code = AttemptState.FAILED, ""
    return msgspec.structs.replace(
        attempt, state=state, gateway_reference=reference, decline_code=code, checks=checks
    )


def override(connection: sa.Connection, before: Attempt, after: Attempt, at_us: int) -> None:
    """Replace the attempt `before` by `after`.

    Raises:
        Conflict: the attempt has changed since; repeat the whole transaction.
    """
    this = (_T.order_key == before.order_key, _T.attempt_no == before.attempt_no)
    changed = connection.execute(
        PAYMENT_ATTEMPTS.update()
        .where(*this, _T.state == before.state)
        .values(
            state=after.state,
            gateway_reference=after.gateway_reference,
            decline_code=after.decline_code,
            checks=after.checks,
            updated_at_us=at_us,
        )
    )
    if changed.rowcount != 1:
        raise errors.Conflict("the attempt changed during this transaction")


def restart_checks(connection: sa.Connection, order_key: int) -> None:
    """Restart the schedule on which the gateway is asked about an order's UNKNOWN attempts.

    They are due at once, because the first delay after the last answer has passed.
    """
    unknown = (_T.order_key == order_key, _T.state == AttemptState.UNKNOWN)
    connection.execute(PAYMENT_ATTEMPTS.update().where(*unknown).values(checks=1))
