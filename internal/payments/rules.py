"""Decides the next step of a payment from its tenders and the attempts so far. Pure.

Each tender has one charge under one idempotency key, sent again under that key until the gateway
has answered: money cannot be taken twice, however often and by whichever process it is sent. The
gateway is asked about an UNKNOWN attempt, which never becomes FAILED. If a tender is declined, or
the gateway stays unreachable, everything is voided by key before the order is refused. Each attempt
keeps its own appointments: none waits for another.
Source: the state machines of Hyperswitch (PR #2380) and Kill Bill (#1015), and their failures.
"""

from collections.abc import Iterable, Sequence

import msgspec

from internal.kernel.clock import US_PER_SECOND
from internal.payments import tenders
from internal.payments.messages import (
    Attempt,
    AttemptKind,
    AttemptState,
    Captured,
    Tender,
    TenderKind,
)

ASK_AFTER_S = (5, 30, 120, 600, 3600)
"""Delays before the gateway is asked about an UNKNOWN attempt; after them an operator decides."""
RETRY_AFTER_S = (2, 10, 60)
"""Delays before a request that did not reach the gateway is sent again. After them the order is
refused; a void is repeated at the last delay.
"""


GIVEN_UP = "given_up_by_operator"
"""The decline code of a payment that no gateway has ended."""


class Call(msgspec.Struct, frozen=True):
    """Record these new attempts, then send those that are still PENDING to the gateway."""

    attempts: tuple[Attempt, ...]


class Ask(msgspec.Struct, frozen=True):
    """Ask the gateway about these attempts, or send them again under their keys."""

    attempts: tuple[Attempt, ...]


class Wait(msgspec.Struct, frozen=True):
    """Do nothing before `until_us`; None: an operator must decide."""

    until_us: int | None


class Paid(msgspec.Struct, frozen=True):
    """All tenders are captured."""

    captured: tuple[Captured, ...]


class Declined(msgspec.Struct, frozen=True):
    """A tender failed, and no money is held any more.

    `code` is the gateway's decline code; empty when the gateway stayed unreachable; GIVEN_UP when
    an operator ended the payment.
    """

    code: str


Step = Call | Ask | Wait | Paid | Declined


class Payment(msgspec.Struct, frozen=True):
    """The payment of one order, as far as it decides the next step.

    `name` is unique among all orders and starts every idempotency key.
    """

    order_key: int
    name: str
    currency: str
    tenders: tuple[Tender, ...]
    """Each with its amount."""


def next_step(payment: Payment, attempts: Sequence[Attempt], now_us: int) -> Step:
    """Decide the next step.

    Args:
        payment: the tenders to be paid.
        attempts: all attempts so far, by number. A PENDING one was interrupted before its result
            was recorded.
        now_us: the current time.
    """
    charges = {a.tender_no: a for a in attempts if a.kind is AttemptKind.CHARGE}
    is_unpayable = any(map(_is_final_failure, attempts))
    held = _held(attempts, charges) if is_unpayable else []
    if held:
        return Call(tuple(_void(payment, _attempt_no(attempts, n), c) for n, c in enumerate(held)))
    uncertain = [a for a in attempts if _is_uncertain(a, is_unpayable=is_unpayable)]
    if uncertain:
        return _resolve(uncertain, now_us)
    if is_unpayable:
        return _refuse(attempts, charges)
    missing = [number for number in range(len(payment.tenders)) if number not in charges]
    if missing:
        return Call(
            tuple(
                _charge(payment, _attempt_no(attempts, n), tender)
                for n, tender in enumerate(missing)
            )
        )
    return Paid(tuple(_captured(charges[number]) for number in range(len(payment.tenders))))


def _is_final_failure(attempt: Attempt) -> bool:
    """Tell whether this attempt makes it impossible to pay the order, as every void does."""
    given_up = attempt.state is AttemptState.FAILED and attempt.checks > len(RETRY_AFTER_S)
    is_void = attempt.kind is AttemptKind.VOID
    return is_void or given_up or attempt.state is AttemptState.DECLINED


def _is_uncertain(attempt: Attempt, *, is_unpayable: bool) -> bool:
    """Tell whether to ask the gateway about it; not about a failed charge that will be voided."""
    if attempt.state is AttemptState.FAILED:
        return not is_unpayable or attempt.kind is AttemptKind.VOID
    return attempt.state in {AttemptState.PENDING, AttemptState.UNKNOWN}


def _resolve(uncertain: Sequence[Attempt], now_us: int) -> Step:
    """Ask about those whose time has come; else wait for the first appointment, if there is one."""
    due = [(due_us, attempt) for attempt in uncertain if (due_us := _due_us(attempt)) is not None]
    now = tuple(attempt for due_us, attempt in due if due_us <= now_us)
    if now:
        return Ask(now)
    return Wait(min((due_us for due_us, _ in due), default=None))


def _due_us(attempt: Attempt) -> int | None:
    """Return when to ask about an attempt; None: an operator must decide."""
    if attempt.state is AttemptState.PENDING:
        return attempt.updated_at_us
    if attempt.state is AttemptState.FAILED:
        delay_s = RETRY_AFTER_S[min(attempt.checks, len(RETRY_AFTER_S)) - 1]
    elif attempt.checks <= len(ASK_AFTER_S):
        delay_s = ASK_AFTER_S[attempt.checks - 1]
    else:
        return None
    return attempt.updated_at_us + delay_s * US_PER_SECOND


def _attempt_no(attempts: Sequence[Attempt], place: int) -> int:
    """Return the number of the new attempt at `place`, counted from 0."""
    return len(attempts) + 1 + place


def _charge(payment: Payment, attempt_no: int, tender_no: int) -> Attempt:
    tender = payment.tenders[tender_no]
    return Attempt(
        order_key=payment.order_key,
        attempt_no=attempt_no,
        kind=AttemptKind.CHARGE,
        tender_no=tender_no,
        tender_kind=tender.kind,
        amount_minor=tender.amount_minor or 0,
        currency=payment.currency,
        key=f"{payment.name}/{attempt_no}",
        state=_first_state(tender.kind),
    )


def _first_state(kind: TenderKind) -> AttemptState:
    """Return the state of a new attempt: the till settles its own at once."""
    is_settled = tenders.of_kind(kind).settled_by is tenders.SettledBy.TILL
    return AttemptState.SUCCEEDED if is_settled else AttemptState.PENDING


def _held(attempts: Sequence[Attempt], charges: dict[int, Attempt]) -> list[Attempt]:
    """Return the charges that hold or may hold money and have no void yet.

    One that waits for the gateway's verdict is not among them: it is asked about first.
    """
    voided = {a.tender_no for a in attempts if a.kind is AttemptKind.VOID}
    return [
        charge
        for number, charge in charges.items()
        if charge.state in {AttemptState.SUCCEEDED, AttemptState.FAILED} and number not in voided
    ]


def _refuse(attempts: Sequence[Attempt], charges: dict[int, Attempt]) -> Step:
    """Refuse the order, since nothing is left to void.

    A gateway that refuses a void leaves us with money that we owe: an operator must decide.
    """
    voids = [a for a in attempts if a.kind is AttemptKind.VOID]
    if any(a.state is AttemptState.DECLINED for a in voids):
        return Wait(None)
    for charge in charges.values():
        if charge.state is AttemptState.DECLINED:
            return Declined(charge.decline_code)
    return Declined("" if any(map(_is_unreachable, charges.values())) else GIVEN_UP)


def _is_unreachable(charge: Attempt) -> bool:
    return _is_final_failure(charge) and charge.decline_code != GIVEN_UP


def give_up(
    payment: Payment, attempts: Sequence[Attempt]
) -> tuple[tuple[Attempt, ...], tuple[Attempt, ...]]:
    """Return the attempts of a payment that an operator ends, and the voids that it needs then.

    A charge whose result is missing is given up and voided by its key, as any that may hold money.
    """
    after = tuple(
        _given_up(attempt) if _is_open_charge(attempt) else attempt for attempt in attempts
    )
    charges = {a.tender_no: a for a in after if a.kind is AttemptKind.CHARGE}
    held = enumerate(_held(after, charges))
    return after, tuple(_void(payment, _attempt_no(after, n), charge) for n, charge in held)


def _is_open_charge(attempt: Attempt) -> bool:
    is_open = attempt.state in {AttemptState.PENDING, AttemptState.UNKNOWN}
    return is_open and attempt.kind is AttemptKind.CHARGE


def _given_up(charge: Attempt) -> Attempt:
    return msgspec.structs.replace(
        charge,
        state=AttemptState.FAILED,
        decline_code=GIVEN_UP,
        checks=len(RETRY_AFTER_S) + 1,
    )


def _void(payment: Payment, attempt_no: int, charge: Attempt) -> Attempt:
    return msgspec.structs.replace(
        charge,
        attempt_no=attempt_no,
        kind=AttemptKind.VOID,
        key=f"{payment.name}/{attempt_no}",
        voids_key=charge.key,
        state=_first_state(charge.tender_kind),
        gateway_reference="",
        decline_code="",
        checks=0,
        updated_at_us=0,
    )


def _captured(charge: Attempt) -> Captured:
    return Captured(charge.tender_kind, charge.amount_minor, charge.gateway_reference)


def needs_operator(step: Step) -> bool:
    """Tell whether only an operator can decide the next step."""
    return isinstance(step, Wait) and step.until_us is None


def needs_call(attempt: Attempt) -> bool:
    """Tell whether a new attempt has to be sent to the gateway."""
    return attempt.state is AttemptState.PENDING


def most_certain(results: Iterable[Attempt]) -> list[Attempt]:
    """Keep the most certain result of each attempt, when several processes asked at once.

    An answer counts more than UNKNOWN, and UNKNOWN more than FAILED: a request that did not arrive
    proves nothing about the others.
    """
    kept: dict[tuple[int, int], Attempt] = {}
    for result in results:
        key = result.order_key, result.attempt_no
        if key not in kept or _CERTAINTY[result.state] > _CERTAINTY[kept[key].state]:
            kept[key] = result
    return list(kept.values())


_CERTAINTY = {
    AttemptState.PENDING: 0,
    AttemptState.FAILED: 1,
    AttemptState.UNKNOWN: 2,
    AttemptState.DECLINED: 3,
    AttemptState.SUCCEEDED: 3,
}
