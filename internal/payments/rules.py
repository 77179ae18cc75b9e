"""Decides the next step of a payment from its tenders and the attempts so far. Pure.

Each tender that a gateway settles has one sale under one idempotency key, sent again under that
key until the gateway has answered: money cannot be taken twice, however often and by whichever
process it is sent. The gateway is asked about an UNKNOWN attempt, which never becomes FAILED. If a
tender is declined, or the gateway stays unreachable, everything is voided by key before the order
is refused. Each attempt keeps its own appointments: none waits for another. Cash is taken last,
once all sales have succeeded, and needs no attempt.

An open order is paid tender by tender: one that fails ends alone, and cash is taken when it is
added. It is paid once the live tenders bring its total; until then it waits for its customer. When
it ends without a sale, everything that it holds is voided first.
Source: the state machines of Hyperswitch (PR #2380) and Kill Bill (#1015), and their failures.
"""

from collections.abc import Iterable, Sequence

import msgspec

from internal.kernel.clock import US_PER_SECOND
from internal.payments import tenders
from internal.payments.messages import (
    Attempt,
    AttemptState,
    Captured,
    Ending,
    Operation,
    Tender,
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
    """Record these new attempts, then send them to the gateway."""

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


class Open(msgspec.Struct, frozen=True):
    """Nothing is under way, and the tenders do not bring the total: the customer pays later."""


class Undone(msgspec.Struct, frozen=True):
    """An open order has ended without a sale, and no money is held any more."""

    ending: Ending


Step = Call | Ask | Wait | Paid | Declined | Open | Undone


class Payment(msgspec.Struct, frozen=True):
    """The payment of one order, as far as it decides the next step.

    `name` is unique among all orders and starts every idempotency key.
    """

    order_key: int
    name: str
    currency: str
    tenders: tuple[Tender, ...]
    """Each with its amount."""
    total_minor: int = 0
    """Of an open order: what its tenders are to bring without tips and rounding."""
    is_open: bool = False
    """A tender that fails ends alone."""
    ending: Ending | None = None
    """Of an open order: why it is to end."""


def next_step(payment: Payment, attempts: Sequence[Attempt], now_us: int) -> Step:
    """Decide the next step.

    Args:
        payment: the tenders to be paid.
        attempts: all attempts so far, by number. A PENDING one was interrupted before its result
            was recorded.
        now_us: the current time.
    """
    if payment.is_open and payment.ending is None:
        return _next_of_open(payment, attempts, now_us)
    sales = _sales(attempts)
    is_unpayable = payment.ending is not None or any(map(_is_final_failure, attempts))
    held = _held(attempts, sales) if is_unpayable else []
    if held:
        return Call(tuple(_void(payment, _attempt_no(attempts, n), s) for n, s in enumerate(held)))
    uncertain = [a for a in attempts if _is_uncertain(a, is_unpayable=is_unpayable)]
    if uncertain:
        return _resolve(uncertain, now_us)
    if is_unpayable:
        return _refuse(payment, attempts, sales)
    if new := _missing_sales(payment, attempts, sales):
        return Call(new)
    numbered = enumerate(payment.tenders, start=1)
    return Paid(tuple(_captured(tender, sales.get(number)) for number, tender in numbered))


def _sales(attempts: Sequence[Attempt]) -> dict[int, Attempt]:
    return {a.tender_no: a for a in attempts if a.operation is Operation.SALE}


def _missing_sales(
    payment: Payment, attempts: Sequence[Attempt], sales: dict[int, Attempt]
) -> tuple[Attempt, ...]:
    missing = [number for number in _at_gateway(payment) if number not in sales]
    return tuple(
        _sale(payment, _attempt_no(attempts, n), tender_no) for n, tender_no in enumerate(missing)
    )


def _next_of_open(payment: Payment, attempts: Sequence[Attempt], now_us: int) -> Step:
    """Decide the next step of an order that stays open when a tender fails."""
    sales = _sales(attempts)
    if new := _missing_sales(payment, attempts, sales):
        return Call(new)
    failed = {n: sale for n, sale in sales.items() if _is_final_failure(sale)}
    if held := _held(attempts, failed):
        return Call(tuple(_void(payment, _attempt_no(attempts, n), s) for n, s in enumerate(held)))
    if any(_is_refused_void(it) for it in attempts):
        return Wait(None)
    settled = {sale.attempt_no for sale in failed.values()}
    uncertain = [
        it
        for it in attempts
        if it.attempt_no not in settled and _is_uncertain(it, is_unpayable=False)
    ]
    if uncertain:
        return _resolve(uncertain, now_us)
    if left_minor(payment, attempts):
        return Open()
    live = [n for n in range(1, len(payment.tenders) + 1) if n not in failed]
    return Paid(tuple(_captured(payment.tenders[n - 1], sales.get(n)) for n in live))


def left_minor(payment: Payment, attempts: Sequence[Attempt]) -> int:
    """Return what the live tenders of an open order leave of its total, whatever they hold yet."""
    failed = failed_tenders(attempts)
    live = (it.amount_minor or 0 for n, it in enumerate(payment.tenders, 1) if n not in failed)
    return payment.total_minor - sum(live)


def failed_tenders(attempts: Sequence[Attempt]) -> frozenset[int]:
    """Return the numbers of the tenders that bring nothing any more: declined, or not reached."""
    return frozenset(n for n, sale in _sales(attempts).items() if _is_final_failure(sale))


def is_certain(attempts: Sequence[Attempt]) -> bool:
    """Tell whether no result is missing that may still bring an open order money."""
    failed = failed_tenders(attempts)
    return not any(
        _is_uncertain(it, is_unpayable=False) for it in attempts if it.tender_no not in failed
    )


def _is_refused_void(attempt: Attempt) -> bool:
    return attempt.operation is Operation.VOID and attempt.state is AttemptState.DECLINED


def _at_gateway(payment: Payment) -> list[int]:
    """Return the numbers of the tenders that the gateway settles."""
    return [
        number
        for number, tender in enumerate(payment.tenders, start=1)
        if tenders.of_kind(tender.kind).settled_by is tenders.SettledBy.GATEWAY
    ]


def _is_final_failure(attempt: Attempt) -> bool:
    """Tell whether this attempt makes it impossible to pay the order, as every void does."""
    given_up = attempt.state is AttemptState.FAILED and attempt.tries > len(RETRY_AFTER_S)
    is_void = attempt.operation is Operation.VOID
    return is_void or given_up or attempt.state is AttemptState.DECLINED


def _is_uncertain(attempt: Attempt, *, is_unpayable: bool) -> bool:
    """Tell whether its result is missing; of a sale that will be voided it may stay so."""
    if attempt.state in {AttemptState.FAILED, AttemptState.DIFFERENT}:
        return not is_unpayable or attempt.operation is Operation.VOID
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
        delay_s = RETRY_AFTER_S[min(attempt.tries, len(RETRY_AFTER_S)) - 1]
    elif attempt.state is AttemptState.UNKNOWN and attempt.tries <= len(ASK_AFTER_S):
        delay_s = ASK_AFTER_S[attempt.tries - 1]
    else:
        return None
    return attempt.updated_at_us + delay_s * US_PER_SECOND


def _attempt_no(attempts: Sequence[Attempt], place: int) -> int:
    """Return the number of the new attempt at `place`, counted from 0."""
    return len(attempts) + 1 + place


def _sale(payment: Payment, attempt_no: int, tender_no: int) -> Attempt:
    tender = payment.tenders[tender_no - 1]
    return Attempt(
        order_key=payment.order_key,
        attempt_no=attempt_no,
        operation=Operation.SALE,
        tender_no=tender_no,
        asked_minor=tender.due_minor,
        currency=payment.currency,
        key=f"{payment.name}/{attempt_no}",
        state=AttemptState.PENDING,
    )


_MAY_HOLD = frozenset({AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.DIFFERENT})


def _held(attempts: Sequence[Attempt], sales: dict[int, Attempt]) -> list[Attempt]:
    """Return the sales that hold or may hold money and have no void yet.

    One that waits for the gateway's verdict is not among them: it is asked about first.
    """
    voided = {a.tender_no for a in attempts if a.operation is Operation.VOID}
    return [
        sale for number, sale in sales.items() if sale.state in _MAY_HOLD and number not in voided
    ]


def _refuse(payment: Payment, attempts: Sequence[Attempt], sales: dict[int, Attempt]) -> Step:
    """End the order without a sale, since nothing is left to void.

    A gateway that refuses a void leaves us with money that we owe: an operator must decide.
    """
    if any(_is_refused_void(it) for it in attempts):
        return Wait(None)
    if payment.ending is not None:
        return Undone(payment.ending)
    for sale in sales.values():
        if sale.state is AttemptState.DECLINED:
            return Declined(sale.decline_code)
    return Declined("" if any(map(_is_unreachable, sales.values())) else GIVEN_UP)


def _is_unreachable(sale: Attempt) -> bool:
    return _is_final_failure(sale) and sale.decline_code != GIVEN_UP


def give_up(
    payment: Payment, attempts: Sequence[Attempt]
) -> tuple[tuple[Attempt, ...], tuple[Attempt, ...]]:
    """Return the attempts of a payment that an operator ends, and the voids that it needs then.

    A sale whose result is missing is given up and voided by its key, as any that may hold money.
    """
    after = tuple(_given_up(attempt) if _is_open_sale(attempt) else attempt for attempt in attempts)
    sales = {a.tender_no: a for a in after if a.operation is Operation.SALE}
    held = enumerate(_held(after, sales))
    return after, tuple(_void(payment, _attempt_no(after, n), sale) for n, sale in held)


def _is_open_sale(attempt: Attempt) -> bool:
    is_open = attempt.state in {AttemptState.PENDING, AttemptState.UNKNOWN}
    return is_open and attempt.operation is Operation.SALE


def _given_up(sale: Attempt) -> Attempt:
    return msgspec.structs.replace(
        sale,
        state=AttemptState.FAILED,
        decline_code=GIVEN_UP,
        tries=len(RETRY_AFTER_S) + 1,
    )


def _void(payment: Payment, attempt_no: int, sale: Attempt) -> Attempt:
    return Attempt(
        order_key=payment.order_key,
        attempt_no=attempt_no,
        operation=Operation.VOID,
        tender_no=sale.tender_no,
        asked_minor=sale.asked_minor,
        currency=sale.currency,
        key=f"{payment.name}/{attempt_no}",
        state=AttemptState.PENDING,
        parent_no=sale.attempt_no,
        parent_key=sale.key,
    )


def _captured(tender: Tender, sale: Attempt | None) -> Captured:
    return Captured(
        tender_kind=tender.kind,
        amount_minor=tender.due_minor,
        gateway_reference=sale.gateway_reference if sale else "",
        tip_minor=tender.tip_minor,
        rounding_minor=tender.rounding_minor,
    )


def needs_operator(step: Step) -> bool:
    """Tell whether only an operator can decide the next step."""
    return isinstance(step, Wait) and step.until_us is None


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
    AttemptState.DIFFERENT: 3,
    AttemptState.SUCCEEDED: 3,
}
