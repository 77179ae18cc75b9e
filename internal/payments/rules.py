"""What to do next for a payment, from its tenders and the attempts so far. Pure.

Each tender has one charge under one idempotency key, sent again under that key until the gateway
has answered: money can never be taken twice, whoever sends it and how often. An UNKNOWN attempt is
asked about and never called failed. If a tender is declined, or its gateway stays away, everything
is voided by key before the order is refused.
Source: the state machines of Hyperswitch (PR #2380) and Kill Bill (#1015), and what went wrong in
them.
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
"""When an UNKNOWN attempt is asked about again; then it goes to the operators."""
RETRY_AFTER_S = (2, 10, 60)
"""When a request that did not reach the gateway is sent again; then the order is refused (a void
goes on).
"""


class Call(msgspec.Struct, frozen=True):
    """Send these new attempts to the gateway (recorded first; those of cash are done already)."""

    attempts: tuple[Attempt, ...]


class Ask(msgspec.Struct, frozen=True):
    """Ask the gateway what became of these, or send them again under their keys."""

    attempts: tuple[Attempt, ...]


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before `until_us`; None: an operator must decide."""

    until_us: int | None


class Paid(msgspec.Struct, frozen=True):
    """All tenders are captured."""

    captured: tuple[Captured, ...]


class Declined(msgspec.Struct, frozen=True):
    """A tender failed and nothing is held any more.

    `code` is the gateway's; empty when it stayed away.
    """

    code: str


Step = Call | Ask | Wait | Paid | Declined


class Payment(msgspec.Struct, frozen=True):
    """All that decides the next step.

    `name` is unique among all orders and leads every idempotency key.
    """

    order_key: int
    name: str
    currency: str
    tenders: tuple[Tender, ...]
    """Each with its amount."""


def next_step(payment: Payment, attempts: Sequence[Attempt], now_us: int, last_at_us: int) -> Step:
    """Decide what comes next.

    Args:
        payment: what is to be paid.
        attempts: all attempts so far, by number. A PENDING one was interrupted: nobody is calling
        for it.
        now_us: the present.
        last_at_us: when the latest of the attempts changed.
    """
    charges = {a.tender_no: a for a in attempts if a.kind is AttemptKind.CHARGE}
    is_doomed = any(_dooms(charge) for charge in charges.values())
    unsure = [a for a in attempts if _is_unsure(a, is_doomed=is_doomed)]
    if unsure:
        return _resolve(unsure, now_us, last_at_us)
    if is_doomed:
        return _undo(payment, attempts, charges)
    missing = [number for number in range(len(payment.tenders)) if number not in charges]
    if missing:
        return Call(
            tuple(_charge(payment, _no(attempts, n), tender) for n, tender in enumerate(missing))
        )
    return Paid(tuple(_captured(charges[number]) for number in range(len(payment.tenders))))


def _dooms(charge: Attempt) -> bool:
    """Tell whether the order cannot be paid any more because of this charge."""
    given_up = charge.state is AttemptState.FAILED and charge.checks > len(RETRY_AFTER_S)
    return given_up or charge.state is AttemptState.DECLINED


def _is_unsure(attempt: Attempt, *, is_doomed: bool) -> bool:
    """Tell whether the gateway has to be asked; not for a failed charge that will be voided."""
    if attempt.state is AttemptState.FAILED:
        return not is_doomed or attempt.kind is AttemptKind.VOID
    return attempt.state in {AttemptState.PENDING, AttemptState.UNKNOWN}


def _resolve(unsure: Sequence[Attempt], now_us: int, last_at_us: int) -> Step:
    delays_s = [_delay_s(attempt) for attempt in unsure]
    known_s = [delay_s for delay_s in delays_s if delay_s is not None]
    if len(known_s) < len(delays_s):
        return Wait(None)
    due_us = last_at_us + max(known_s) * US_PER_SECOND
    return Wait(due_us) if due_us > now_us else Ask(tuple(unsure))


def _delay_s(attempt: Attempt) -> int | None:
    """Return how long to leave it alone after its latest check; None: it is the operators'."""
    if attempt.state is AttemptState.PENDING:
        return 0
    if attempt.state is AttemptState.FAILED:
        return RETRY_AFTER_S[min(attempt.checks, len(RETRY_AFTER_S)) - 1]
    return ASK_AFTER_S[attempt.checks - 1] if attempt.checks <= len(ASK_AFTER_S) else None


def _no(attempts: Sequence[Attempt], place: int) -> int:
    """Return the number of the `place`-th new attempt."""
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
        card_token=tender.card_token,
    )


def _first_state(kind: TenderKind) -> AttemptState:
    """Return the state of a new attempt: the till settles its own at once."""
    is_settled = tenders.of_kind(kind).settled_by is tenders.SettledBy.TILL
    return AttemptState.SUCCEEDED if is_settled else AttemptState.PENDING


def _undo(payment: Payment, attempts: Sequence[Attempt], charges: dict[int, Attempt]) -> Step:
    """Void every charge that holds or might hold money; refuse when nothing is left to void.

    A gateway that will not void leaves money with us for nothing: an operator must decide.
    """
    voids = [a for a in attempts if a.kind is AttemptKind.VOID]
    if any(a.state is AttemptState.DECLINED for a in voids):
        return Wait(None)
    voided = {a.tender_no for a in voids}
    held = [
        charge
        for number, charge in charges.items()
        if charge.state is not AttemptState.DECLINED and number not in voided
    ]
    if held:
        return Call(tuple(_void(payment, _no(attempts, n), c) for n, c in enumerate(held)))
    codes = (c.decline_code for c in charges.values() if c.state is AttemptState.DECLINED)
    return Declined(next(codes, ""))


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
    )


def _captured(charge: Attempt) -> Captured:
    return Captured(charge.tender_kind, charge.amount_minor, charge.gateway_reference)


def needs_operator(step: Step) -> bool:
    """Tell whether only a person can move this payment on."""
    return isinstance(step, Wait) and step.until_us is None


def needs_call(attempt: Attempt) -> bool:
    """Tell whether the gateway has to be called for a new attempt (cash needs none)."""
    return attempt.state is AttemptState.PENDING


def surest(results: Iterable[Attempt]) -> list[Attempt]:
    """Keep one result an attempt, when several asked at once: the gateway's word, or the doubt.

    What one of them did not reach, another may have.
    """
    kept: dict[tuple[int, int], Attempt] = {}
    for result in results:
        key = result.order_key, result.attempt_no
        if key not in kept or _SURENESS[result.state] > _SURENESS[kept[key].state]:
            kept[key] = result
    return list(kept.values())


_SURENESS = {
    AttemptState.PENDING: 0,
    AttemptState.FAILED: 1,
    AttemptState.UNKNOWN: 2,
    AttemptState.DECLINED: 3,
    AttemptState.SUCCEEDED: 3,
}
