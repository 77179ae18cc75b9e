"""An operator's verdict on an attempt whose result the gateway does not tell.

This is the only exception to the rule that only the gateway ends an UNKNOWN attempt. The caller
must log who gave the verdict and why.
"""

from enum import StrEnum

import msgspec
import sqlalchemy as sa

from internal.kernel import errors
from internal.payments import rules
from internal.payments.messages import Attempt, AttemptState, Operation
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
    is_refused_void = (_T.operation == Operation.VOID) & (_T.state == AttemptState.DECLINED)
    is_open = _T.state.in_((AttemptState.UNKNOWN, AttemptState.DIFFERENT))
    return is_open | is_refused_void | is_stale


def is_undecided(attempt: Attempt, pending_before_us: int = 0) -> bool:
    """Tell whether the result is unknown or differs, or the gateway has refused a void.

    A PENDING attempt is undecided if it was recorded before `pending_before_us`: the gateway's
    timeout has passed, so the process that called it has lost the answer.
    """
    if attempt.state is AttemptState.PENDING:
        return attempt.updated_at_us < pending_before_us
    is_declined = attempt.state is AttemptState.DECLINED
    is_refused_void = attempt.operation is Operation.VOID and is_declined
    return attempt.state in {AttemptState.UNKNOWN, AttemptState.DIFFERENT} or is_refused_void


def decided(attempt: Attempt, verdict: Verdict, reference: str) -> Attempt:
    """Return the attempt with an operator's verdict.

    Raises:
        InvalidInput: the verdict would leave it undecided.
    """
    is_void = attempt.operation is Operation.VOID
    is_different = attempt.state is AttemptState.DIFFERENT
    code, tries = "", attempt.tries
    answered = attempt.answered_minor, attempt.answered_currency
    match verdict:
        case Verdict.SUCCEEDED:
            state, answered = AttemptState.SUCCEEDED, (attempt.asked_minor, attempt.currency)
        case Verdict.DECLINED if is_void:
            what = "a refused void leaves the money here: say succeeded once it is given back, or"
            raise errors.InvalidInput([("--as", f"{what} failed to have it sent again")])
        case Verdict.DECLINED if is_different:
            what = "the gateway took another amount: say succeeded once it has taken all of it, or"
            raise errors.InvalidInput([("--as", f"{what} failed to have it voided")])
        case Verdict.DECLINED:
            state, code = AttemptState.DECLINED, BY_OPERATOR
        case Verdict.FAILED:
            tries = 1 if is_void else len(rules.RETRY_AFTER_S) + 1
            state, code = AttemptState.FAILED, rules.GIVEN_UP if is_different else ""
    return msgspec.structs.replace(
        attempt,
        state=state,
        answered_minor=answered[0],
        answered_currency=answered[1],
        gateway_reference=reference or attempt.gateway_reference,
        decline_code=code,
        tries=tries,
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
            answered_minor=after.answered_minor,
            answered_currency=after.answered_currency,
            decline_code=after.decline_code,
            tries=after.tries,
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
    connection.execute(PAYMENT_ATTEMPTS.update().where(*unknown).values(tries=1))
