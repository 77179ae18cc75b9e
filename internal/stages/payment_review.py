"""Payments that need a person: an operator decides one, or has the gateway asked again.

Each is one transaction that also makes the order due: the janitor sends its last fact again, and
the payment stage plans again. A crash in between loses nothing. The stage locks the order's row
while it writes, and so does this: the first of two decisions counts.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND
from internal.ledger import business_days
from internal.orders import store
from internal.payments import manual_resolution
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, AttemptState, Operation
from internal.stages import payment_processing

LISTED_MAX = 1_000


class Undecided(msgspec.Struct, frozen=True):
    """A request to the gateway whose outcome is unknown or differs, or a void that it refused.

    A PENDING one was recorded before its call, and its answer was lost on the way back.
    """

    order_key: int
    merchant_id: str
    order_id: str
    attempt_no: int
    operation: Operation
    tender_no: int
    asked_minor: int
    currency: str
    answered_minor: int
    answered_currency: str
    """What the gateway said that it moved, if it said so."""
    attempt_key: str
    state: AttemptState
    tries: int
    """How often the gateway was asked."""
    asked_at_us: int
    next_check_us: int | None
    """None: it is not asked any more, and an operator must decide."""


class Resolution(msgspec.Struct, frozen=True):
    """An operator's decision on an order, with its time and reason."""

    ref: ids.OrderRef
    actor: str
    reason: str
    at_us: int
    pending_before_us: int = 0
    """PENDING attempts that are older count as undecided, see `pending_before_us`."""


def pending_before_us(now_us: int, timeout_s: float) -> int:
    """Return when a call must have begun whose answer, with this timeout, is overdue now."""
    return now_us - round(timeout_s * US_PER_SECOND)


_O, _A = store.ORDERS.c, payments_store.PAYMENT_ATTEMPTS.c
_UNDECIDED = sa.select(
    _O.order_key,
    _O.merchant_id,
    _O.order_id,
    _A.attempt_no,
    _A.operation,
    _A.tender_no,
    _A.asked_minor,
    _A.currency,
    _A.answered_minor,
    _A.answered_currency,
    _A.attempt_key,
    _A.state,
    _A.tries,
    _A.updated_at_us.label("asked_at_us"),
    _O.due_at_us.label("next_check_us"),
).where(_O.order_key == _A.order_key, payment_processing.HAS_OPEN_PAYMENT)


def undecided(
    connection: sa.Connection, merchant_id: str = "", pending_before_us: int = 0
) -> list[Undecided]:
    """Return what is undecided, of one merchant if given; what waits for an operator comes first.

    It reads the attempts since the last seal: before it every order has ended. For PENDING ones see
    `pending_before_us`.
    """
    after = business_days.last_seal(connection).after_order_key
    query = _UNDECIDED.where(manual_resolution.undecided_where(pending_before_us))
    query = query.where(_A.order_key > after)
    if merchant_id:
        # By an expression: SQLite would begin with all orders of the merchant.
        query = query.where(sa.func.coalesce(_O.merchant_id, "") == merchant_id)
    order = (_O.due_at_us.is_not(None), _A.updated_at_us, _A.order_key, _A.attempt_no)
    rows = connection.execute(query.order_by(*order).limit(LISTED_MAX))
    return [
        Undecided(
            **row._asdict()
            | {"operation": Operation(row.operation), "state": AttemptState(row.state)}
        )
        for row in rows
    ]


def decide(
    connection: sa.Connection,
    resolution: Resolution,
    attempt_no: int | None,
    verdict: manual_resolution.Verdict,
    reference: str,
) -> Attempt:
    """Record what became of an attempt, and make the order due.

    Args:
        connection: in a transaction.
        resolution: who decides, and why.
        attempt_no: which attempt of the order; None for the only one that is undecided.
        verdict: what became of it.
        reference: the gateway's name for it, if it is known.

    Returns:
        The attempt as it is now.

    Raises:
        InvalidInput: no such order, nothing undecided about it, or not this verdict.
        Conflict: repeat the whole transaction.
    """
    order, attempts = _lock(connection, resolution)
    before = _choose(attempts, attempt_no)
    after = manual_resolution.decided(before, verdict, reference)
    if after.state is AttemptState.DECLINED:
        _require_silence(connection, order)
    manual_resolution.override(connection, before, after, resolution.at_us)
    asked = f"{before.operation} {before.asked_minor} {before.currency}"
    detail = f"{asked}, {before.state} to {after.state} {after.gateway_reference}".rstrip()
    audit_log.log(connection, [_action(resolution, f"PAYMENT_{after.state}", after, detail)])
    _make_due(connection, order, resolution.at_us)
    return after


def ask(connection: sa.Connection, resolution: Resolution) -> list[Attempt]:
    """Have the gateway asked now; return what it will be asked about.

    Raises:
        InvalidInput: no such order, or no result is missing.
    """
    order, attempts = _lock(connection, resolution)
    unknown = [it for it in attempts if it.state in manual_resolution.IS_ASKED_ABOUT]
    if not unknown:
        why = "it has answered" if attempts else "nothing is UNKNOWN"
        text = f"there is nothing to ask about the order {order.order_id}: {why}"
        raise errors.InvalidInput([("", text)])
    manual_resolution.restart_checks(connection, order.order_key)
    asked = [(it, f"{it.operation}, asked {it.tries} times before") for it in unknown]
    audit_log.log(connection, [_action(resolution, "PAYMENT_ASKED", *each) for each in asked])
    _make_due(connection, order, resolution.at_us)
    return unknown


def _lock(
    connection: sa.Connection, resolution: Resolution
) -> tuple[store.OrderSnapshot, list[Attempt]]:
    """Lock the order, and return what is undecided about it."""
    ref = resolution.ref
    found = store.find(connection, [ref]).get(ref)
    if found is None:
        raise errors.InvalidInput(
            [("", f"there is no order {ref.order_id!r} of {ref.merchant_id}")]
        )
    order = store.lock(connection, [found.order_key])[found.order_key]
    if not payment_processing.has_open_payment(order):
        text = f"the order {order.order_id} is {order.state}: its payment is over"
        raise errors.InvalidInput([("", text)])
    nothing = payments_store.History()
    history = payments_store.histories(connection, [order.order_key]).get(order.order_key, nothing)
    overdue_us = resolution.pending_before_us
    return order, [it for it in history.attempts if manual_resolution.is_undecided(it, overdue_us)]


def _choose(attempts: Sequence[Attempt], attempt_no: int | None) -> Attempt:
    if not attempts:
        raise errors.InvalidInput([("", "nothing about this order's payment is UNKNOWN")])
    if attempt_no is None and len(attempts) == 1:
        return attempts[0]
    for attempt in attempts:
        if attempt.attempt_no == attempt_no:
            return attempt
    numbers = ", ".join(str(attempt.attempt_no) for attempt in attempts)
    raise errors.InvalidInput([("--attempt", f"undecided of this order: {numbers}")])


def _require_silence(connection: sa.Connection, order: store.OrderSnapshot) -> None:
    """Raise InvalidInput while it is still asked: asking may send a charge that never arrived."""
    query = sa.select(_O.due_at_us).where(_O.order_key == order.order_key)
    if connection.execute(query).scalar() is not None:
        what = (
            "the gateway is still being asked and may capture it: failed is safe, it voids by key"
        )
        raise errors.InvalidInput([("--as", what)])


def _action(resolution: Resolution, action: str, attempt: Attempt, detail: str) -> audit_log.Action:
    return audit_log.Action(
        at_us=resolution.at_us,
        actor=resolution.actor,
        action=action,
        merchant_id=resolution.ref.merchant_id,
        order_id=resolution.ref.order_id,
        subject=attempt.attempt_no,
        detail=detail,
        reason=resolution.reason,
    )


def _make_due(connection: sa.Connection, order: store.OrderSnapshot, at_us: int) -> None:
    this = _O.order_key == order.order_key
    connection.execute(store.ORDERS.update().where(this).values(due_at_us=at_us))
