"""What became of an order's tenders: their amounts, their states, and the money that moved. Pure.

It follows from the attempts, from the next step, and from what had moved before. A movement that is
missing is made up for, whoever decided on its attempt.
"""

from collections.abc import Iterator, Sequence

import msgspec

from internal.kernel.states import ChargeState
from internal.payments import charges, rules, tenders
from internal.payments.charges import TenderAmounts
from internal.payments.messages import (
    Attempt,
    AttemptState,
    MoneyMovement,
    MoneyOperation,
    Operation,
    Tender,
)


class TenderOutcome(msgspec.Struct, frozen=True):
    """A tender with what became of it."""

    tender_no: int
    tender: Tender
    amounts: TenderAmounts
    state: ChargeState

    @property
    def is_live(self) -> bool:
        """Whether it brings money, or may still do so."""
        return self.state not in ENDED


ENDED = frozenset({ChargeState.DECLINED, ChargeState.VOIDED})
"""The states of a tender that brings nothing."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a payment so far."""

    tenders: tuple[TenderOutcome, ...]
    moved: tuple[MoneyMovement, ...]
    """The movements that are new."""
    sums: TenderAmounts
    """Of all tenders."""
    state: ChargeState

    @property
    def live(self) -> tuple[Tender, ...]:
        """The tenders that bring money, or may still do so."""
        return tuple(it.tender for it in self.tenders if it.is_live)


class PaymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the payment of one order, as it is to be recorded."""

    order_key: int
    merchant_id: str
    store_id: str
    currency: str
    business_day: int
    outcome: Outcome
    tenders_before: int
    """How many tenders are recorded already."""
    moved_before: int
    """How many movements are recorded already: the numbers go on from there."""

    def account_key(self, tender_no: int) -> int:
        """Return the key of the account that receives the money of one of its tenders."""
        kind = self.outcome.tenders[tender_no - 1].tender.kind
        return tenders.account_key(kind, self.merchant_id, self.store_id, self.currency)


class _Course(msgspec.Struct, frozen=True):
    """The course of one tender's payment."""

    tender_no: int
    tender: Tender
    sale: Attempt | None
    void: Attempt | None
    is_taken: bool
    """Its money was taken, by the gateway or at the till."""
    is_returned: bool


def of(
    payment: rules.Payment,
    attempts: Sequence[Attempt],
    step: rules.Step,
    before: Sequence[MoneyMovement],
) -> Outcome:
    """Return what became of a payment.

    Args:
        payment: the payment.
        attempts: all of its attempts.
        step: its next step.
        before: the movements that are recorded already.
    """
    courses = [
        _course(number, payment, attempts, step, before)
        for number in range(1, len(payment.tenders) + 1)
    ]
    found = tuple(map(_outcome, courses))
    amounts = [it.amounts for it in found]
    is_one = len(found) == 1 and not payment.is_open
    moved = [it for course in courses for it in _movements(course)]
    if before:
        known = {it.identity for it in before}
        moved = [it for it in moved if it.identity not in known]
    return Outcome(
        tenders=found,
        moved=tuple(moved),
        sums=charges.sums_of(amounts),
        state=found[0].state if is_one else charges.charge_of(_due_minor(payment, found), amounts),
    )


def _due_minor(payment: rules.Payment, found: Sequence[TenderOutcome]) -> int:
    """Return what the tenders have to bring: of an open order its total, and what is on top."""
    if not payment.is_open:
        return sum(it.tender.due_minor for it in found)
    live = [it.tender for it in found if it.is_live]
    return payment.total_minor + sum(it.tip_minor + it.rounding_minor for it in live)


def _course(
    number: int,
    payment: rules.Payment,
    attempts: Sequence[Attempt],
    step: rules.Step,
    before: Sequence[MoneyMovement],
) -> _Course:
    tender = payment.tenders[number - 1]
    own = {it.operation: it for it in attempts if it.tender_no == number}
    sale, void = own.get(Operation.SALE), own.get(Operation.VOID)
    if tenders.of_kind(tender.kind).settled_by is tenders.SettledBy.TILL:
        is_paid = isinstance(step, rules.Paid) or (payment.is_open and payment.ending is None)
        is_taken = is_paid or any(it.tender_no == number for it in before)
        is_returned = is_taken and isinstance(step, rules.Declined | rules.Undone)
    else:
        is_taken, is_returned = _has_succeeded(sale), _has_succeeded(void)
    return _Course(number, tender, sale, void, is_taken, is_returned)


def _has_succeeded(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.state is AttemptState.SUCCEEDED


def _outcome(it: _Course) -> TenderOutcome:
    amounts = _amounts(it)
    state = charges.charge_of(it.tender.due_minor, [amounts])
    return TenderOutcome(it.tender_no, it.tender, amounts, state)


def _amounts(it: _Course) -> TenderAmounts:
    due = it.tender.due_minor
    held = due if it.is_taken and it.sale else 0
    if it.is_returned:
        return TenderAmounts(authorized_minor=held, voided_minor=due)
    if it.is_taken and it.void is None:
        return TenderAmounts(authorized_minor=held, captured_minor=due)
    last = it.void or it.sale
    if last is None:
        return TenderAmounts()
    captured = due if it.is_taken else 0
    if last.state in {AttemptState.UNKNOWN, AttemptState.DIFFERENT}:
        return TenderAmounts(authorized_minor=held, captured_minor=captured, unknown_minor=due)
    if last.state is AttemptState.DECLINED and it.void is None:
        return TenderAmounts(declined_minor=due)
    return TenderAmounts(authorized_minor=held, captured_minor=captured, pending_minor=due)


def _movements(it: _Course) -> Iterator[MoneyMovement]:
    if not it.is_taken:
        return
    tender, sale, void = it.tender, it.sale, it.void
    attempt_no, reference = (sale.attempt_no, sale.gateway_reference) if sale else (0, "")
    for operation, minor in (
        (MoneyOperation.SALE, (tender.amount_minor or 0) + tender.change_minor),
        (MoneyOperation.TIP, tender.tip_minor),
        (MoneyOperation.ROUNDING, tender.rounding_minor),
        (MoneyOperation.CHANGE, -tender.change_minor),
    ):
        if minor:
            yield MoneyMovement(it.tender_no, attempt_no, operation, minor, reference)
    if it.is_returned and tender.due_minor:
        attempt_no, reference = (void.attempt_no, void.gateway_reference) if void else (0, "")
        back = -tender.due_minor
        yield MoneyMovement(it.tender_no, attempt_no, MoneyOperation.VOID, back, reference)
