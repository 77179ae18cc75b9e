"""The payment of an open order: whatever its tenders do, and in whatever order, it adds up."""

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from internal.catalogue.messages import Store
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import ChargeState
from internal.orders import tender_rules
from internal.payments import outcomes, rules
from internal.payments.messages import (
    Attempt,
    AttemptState,
    Ending,
    MoneyMovement,
    Operation,
    Tender,
    TenderKind,
)
from internal.pricing.messages import Refusal
from tests.support import profiles, shop

STORE = Store("m-1", "main", "The shop", "CHF", cash_rounding_step_minor=5)
TENDERS = st.builds(
    Tender,
    st.sampled_from(TenderKind),
    amount_minor=st.none() | st.integers(1, 3_000),
    tip_minor=st.sampled_from([0, 0, 150]),
)
ANSWERS = st.sampled_from(
    [
        AttemptState.SUCCEEDED,
        AttemptState.SUCCEEDED,
        AttemptState.DECLINED,
        AttemptState.UNKNOWN,
        AttemptState.FAILED,
    ]
)
END = rules.Paid | rules.Undone


class OpenPayment(RuleBasedStateMachine):
    """An open order whose customer pays bit by bit, or not at all."""

    @initialize(total_minor=st.integers(1, 3_000))
    def accept(self, total_minor: int) -> None:
        self.payment = rules.Payment(7, "m-1/o-1", "CHF", (), total_minor, is_open=True)
        self.attempts: list[Attempt] = []
        self.movements: list[MoneyMovement] = []
        self.now_us = shop.NOW_US
        self.end: rules.Paid | rules.Undone | None = None

    @precondition(lambda self: self.end is None and self.payment.ending is None)
    @rule(tender=TENDERS)
    def add(self, tender: Tender) -> None:
        """Add what the rules let through, as the stage does."""
        left_minor = rules.left_minor(self.payment, self.attempts)
        found = tender_rules.add(tender, left_minor, "CHF", STORE)
        if isinstance(found, Refusal):
            return
        assert 0 < (found.amount_minor or 0) <= left_minor
        assert found.kind is TenderKind.CASH or not found.change_minor
        assert not found.rounding_minor or found.amount_minor == left_minor
        tenders = (*self.payment.tenders, found)
        self.payment = msgspec.structs.replace(self.payment, tenders=tenders)
        self.plan()

    @precondition(lambda self: self.end is None)
    @rule()
    def plan(self) -> None:
        step = rules.next_step(self.payment, self.attempts, self.now_us)
        if isinstance(step, rules.Call):
            self.attempts += step.attempts
        found = outcomes.of(self.payment, self.attempts, step, self.movements)
        self.movements += found.moved
        if isinstance(step, END):
            self.end, self.state = step, found.state

    @precondition(lambda self: any(self.unanswered()))
    @rule(data=st.data(), answer=ANSWERS)
    def answer(self, data: st.DataObject, answer: AttemptState) -> None:
        """Let the gateway answer, or be silent; it declines no void."""
        waiting = [n for n, it in enumerate(self.attempts) if is_unanswered(it)]
        place = data.draw(st.sampled_from(waiting))
        before = self.attempts[place]
        if before.operation is Operation.VOID and answer is AttemptState.DECLINED:
            answer = AttemptState.SUCCEEDED
        if before.state is AttemptState.UNKNOWN and answer is AttemptState.FAILED:
            answer = AttemptState.UNKNOWN
        self.set(place, answer, before.tries + (answer in ASKED_AGAIN))

    def set(self, place: int, state: AttemptState, tries: int) -> None:
        changes = {"state": state, "tries": tries, "updated_at_us": self.now_us}
        self.attempts[place] = msgspec.structs.replace(self.attempts[place], **changes)

    def unanswered(self) -> list[Attempt]:
        return [it for it in getattr(self, "attempts", ()) if is_unanswered(it)]

    @precondition(lambda self: self.end is None)
    @rule(ending=st.sampled_from(Ending))
    def end_it(self, ending: Ending) -> None:
        self.payment = msgspec.structs.replace(self.payment, ending=ending)
        self.plan()

    @rule(seconds=st.sampled_from([5, 60, 4_000]))
    def wait(self, seconds: int) -> None:
        self.now_us += seconds * US_PER_SECOND

    @invariant()
    def never_more_than_what_is_due(self) -> None:
        failed = rules.failed_tenders(self.attempts)
        live = [it for n, it in enumerate(self.payment.tenders, 1) if n not in failed]
        assert sum(it.amount_minor or 0 for it in live) <= self.payment.total_minor
        moved = sum(it.amount_minor for it in self.movements)
        assert 0 <= moved <= sum(it.due_minor for it in live)

    @invariant()
    def paid_is_exactly_the_total(self) -> None:
        if isinstance(self.end, rules.Paid):
            goods = sum(
                it.amount_minor - it.tip_minor - it.rounding_minor for it in self.end.captured
            )
            assert goods == self.payment.total_minor
            moved = sum(it.amount_minor for it in self.movements)
            assert moved == sum(it.amount_minor for it in self.end.captured)
            assert self.state in {ChargeState.FULL, ChargeState.NONE}

    @invariant()
    def undone_holds_nothing(self) -> None:
        if isinstance(self.end, rules.Undone):
            assert self.end.ending is self.payment.ending
            assert not sum(it.amount_minor for it in self.movements)
            assert self.state in {ChargeState.NONE, *outcomes.ENDED}

    @invariant()
    def nothing_is_uncertain_at_the_end(self) -> None:
        if self.end:
            failed = rules.failed_tenders(self.attempts)
            assert not [it for it in self.unanswered() if it.tender_no not in failed]

    def teardown(self) -> None:
        """A gateway that answers brings every payment to rest."""
        if not hasattr(self, "payment"):
            return
        for _ in range(10):
            if self.end:
                return
            self.plan()
            for place, it in enumerate(self.attempts):
                if is_unanswered(it):
                    self.set(place, AttemptState.SUCCEEDED, it.tries)
            self.now_us += 4_000 * US_PER_SECOND
        step = rules.next_step(self.payment, self.attempts, self.now_us)
        assert step == rules.Open()
        assert rules.left_minor(self.payment, self.attempts)


ASKED_AGAIN = {AttemptState.UNKNOWN, AttemptState.FAILED}


def is_unanswered(attempt: Attempt) -> bool:
    """Tell whether the gateway may still answer."""
    is_retried = attempt.state is AttemptState.FAILED and attempt.tries <= len(rules.RETRY_AFTER_S)
    return is_retried or attempt.state in {AttemptState.PENDING, AttemptState.UNKNOWN}


TestOpenPayments = OpenPayment.TestCase
TestOpenPayments.settings = profiles.tries(100, steps=30)


def test_a_declined_card_followed_by_cash_is_paid_with_exactly_the_total() -> None:
    machine = OpenPayment()
    machine.accept(1_203)
    machine.add(Tender(TenderKind.CARD))
    machine.set(0, AttemptState.DECLINED, 0)
    machine.plan()
    assert machine.end is None
    assert rules.next_step(machine.payment, machine.attempts, machine.now_us) == rules.Open()
    machine.add(Tender(TenderKind.CASH, amount_minor=2_000))
    assert isinstance(machine.end, rules.Paid)
    (cash,) = machine.end.captured
    assert (cash.amount_minor, cash.rounding_minor) == (1_205, 2)
    assert [it.amount_minor for it in machine.movements] == [1_998, 2, -795]
