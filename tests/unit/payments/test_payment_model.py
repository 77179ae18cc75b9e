"""Every course of events in a payment: lost answers, crashes, two workers, late arrivals.

The real rules, calls and SQL run against a gateway that keeps the port's contract and no more.
"""

import asyncio
from collections import Counter

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import messages
from internal.orders import store as orders_store
from internal.payments import gateway_calls, manual_resolution, rules, tenders, transactions
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, AttemptState, Operation, Tender, TenderKind
from internal.stages import payment_plans, payment_processing
from tests.support import gateways, profiles, staged_orders
from tests.support.gateways import Fault

TENDERS = st.lists(
    st.builds(
        Tender,
        st.sampled_from(TenderKind),
        st.sampled_from(["tok_ok", "tok_ok", "tok_declined:no_funds"]),
        st.integers(1, 10**6),
        tip_minor=st.sampled_from([0, 0, 150]),
    ),
    min_size=1,
    max_size=3,
)
FAULTS = st.lists(st.sampled_from(Fault), max_size=2)
RECORDED = orders_store.OrderSnapshot(
    order_key=1,
    merchant_id="m-1",
    order_id="o-1",
    body_hash="",
    state=OrderState.ACCEPTED,
    charge_state=ChargeState.NONE,
    stock_state=StockState.RESERVED,
    version=2,
)


class Job(msgspec.Struct, frozen=True):
    """One attempt on its way to the gateway."""

    attempt: Attempt
    is_question: bool


def accepted(wanted: list[Tender]) -> messages.OrderAccepted:
    return messages.OrderAccepted(
        order_key=1,
        merchant_id="m-1",
        order_id="o-1",
        store_id="main",
        version=2,
        at_us=0,
        placed_at_us=0,
        currency="EUR",
        lines=(),
        taxes=(),
        tenders=tuple(wanted),
        gross_minor=0,
        discount_minor=0,
        net_minor=0,
        tax_minor=0,
        total_minor=sum(tender.amount_minor or 0 for tender in wanted),
    )


class PaymentModel(RuleBasedStateMachine):
    """Several workers take the message of the same order, each at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = staged_orders.database()
        self.connection = self.database.__enter__()
        self.gateway = gateways.FaultyGateway()
        self.clock = ManualClock()
        self.jobs: list[Job] = []
        self.results: list[Attempt] = []
        self.late: list[Attempt] = []
        self.seen: dict[int, list[AttemptState]] = {}
        self.end: rules.Paid | rules.Declined | None = None
        self.is_given_up = False

    @initialize(wanted=TENDERS)
    def accept(self, wanted: list[Tender]) -> None:
        self.accepted = accepted(wanted)

    def history(self) -> payments_store.History:
        return payments_store.histories(self.connection, [1]).get(1, payment_plans.NO_HISTORY)

    def moved(self) -> int:
        return sum(movement.amount_minor for movement in self.history().movements)

    @precondition(lambda self: self.end is None)
    @rule()
    def take_the_message(self) -> None:
        """Plan and record in one transaction, as the payment stage does."""
        now_us = self.clock.now_us()
        plan = payment_plans.plan_one(self.accepted, RECORDED, self.history(), now_us)
        payments_store.add(self.connection, plan.new_attempts, now_us)
        record = payment_processing._record(plan, payment_processing._outcome(plan))
        transactions.append(self.connection, [record], now_us)
        self.check_states()
        if isinstance(plan.step, rules.Paid | rules.Declined):
            self.end = plan.step
        elif isinstance(plan.step, rules.Call | rules.Ask):
            is_question = isinstance(plan.step, rules.Ask)
            tokens = {1: {it.tender_ref: it.tender_ref for it in self.accepted.tenders}}
            attempts = payment_plans.with_tokens(plan, plan.step.attempts, tokens)
            self.jobs += [Job(attempt, is_question) for attempt in attempts]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), faults=FAULTS)
    def call_the_gateway(self, data: st.DataObject, faults: list[Fault]) -> None:
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        self.gateway.faults.extend(faults)
        how = gateway_calls.ask if job.is_question else gateway_calls.send
        self.results.append(self.runner.run(how(self.gateway, "m-1", job.attempt, 1.0)))
        self.gateway.faults.clear()

    @precondition(lambda self: self.results)
    @rule(data=st.data())
    def record_results(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(range(len(self.results))), unique=True))
        results = [self.results[place] for place in some]
        self.results = [r for place, r in enumerate(self.results) if place not in some]
        if self.end is None:  # later results are dropped, as in the payment stage
            payments_store.update(self.connection, results, self.clock.now_us())
        self.check_states()

    @precondition(lambda self: self.end is None and self.history().attempts)
    @rule()
    def give_up(self) -> None:
        """An operator gives the order up; what is on its way stays on its way."""
        now_us, before = self.clock.now_us(), self.history().attempts
        payment = rules.Payment(1, "m-1/o-1", "EUR", self.accepted.tenders)
        after, voids = rules.give_up(payment, before)
        for was, is_now in zip(before, after, strict=True):
            if was is not is_now:
                manual_resolution.override(self.connection, was, is_now, now_us)
                self.seen[was.attempt_no] = [is_now.state]
        payments_store.add(self.connection, voids, now_us)
        self.is_given_up = True

    @rule()
    def crash(self) -> None:
        """Lose everything that was not recorded; requests on their way may still arrive."""
        self.late += [job.attempt for job in self.jobs]
        self.jobs.clear()
        self.results.clear()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def arrive_late(self, data: st.DataObject) -> None:
        attempt = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        self.runner.run(gateway_calls.send(self.gateway, "m-1", attempt, 1.0))

    @rule(seconds=st.sampled_from([1, 5, 60, 600, 4_000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance_us(seconds * US_PER_SECOND)

    def check_states(self) -> None:
        """UNKNOWN is replaced by an answer of the gateway only, and an answer is never replaced."""
        for attempt in self.history().attempts:
            states = self.seen.setdefault(attempt.attempt_no, [attempt.state])
            if states[-1] is not attempt.state:
                assert states[-1] is not AttemptState.SUCCEEDED, states
                assert states[-1] is not AttemptState.DECLINED, states
                assert states[-1] is not AttemptState.DIFFERENT, states
                is_failed = attempt.state is AttemptState.FAILED
                assert not (states[-1] is AttemptState.UNKNOWN and is_failed), states
                states.append(attempt.state)

    @invariant()
    def a_tender_is_captured_once(self) -> None:
        attempts = {a.key: a for a in self.history().attempts}
        assert self.gateway.captured.keys() <= attempts.keys()
        captures = Counter(attempts[key].tender_no for key in self.gateway.captured)
        assert all(count == 1 for count in captures.values())
        charges = Counter(a.tender_no for a in attempts.values() if a.operation is Operation.SALE)
        assert all(count == 1 for count in charges.values())

    @invariant()
    def nothing_is_uncertain_at_the_end(self) -> None:
        if self.end is not None:
            uncertain = {AttemptState.PENDING, AttemptState.UNKNOWN}
            assert not any(a.state in uncertain for a in self.history().attempts)

    @invariant()
    def paid_is_captured(self) -> None:
        if isinstance(self.end, rules.Paid):
            at_gateway = [t for t in self.accepted.tenders if tenders.of_kind(t.kind).has_token]
            expected = sum(tender.due_minor for tender in at_gateway)
            assert sum(self.gateway.captured.values()) == expected
            due = sum(tender.due_minor for tender in self.accepted.tenders)
            assert sum(c.amount_minor for c in self.end.captured) == due == self.moved()
            assert not self.gateway.voided

    @invariant()
    def money_moves_once(self) -> None:
        identities = Counter(movement.identity for movement in self.history().movements)
        assert all(count == 1 for count in identities.values())

    @invariant()
    def given_up_is_never_paid(self) -> None:
        assert not (self.is_given_up and isinstance(self.end, rules.Paid))

    @invariant()
    def a_charge_is_voided_once(self) -> None:
        voids = Counter(
            a.parent_key for a in self.history().attempts if a.operation is Operation.VOID
        )
        assert all(count == 1 for count in voids.values())

    @invariant()
    def declined_is_voided(self) -> None:
        if isinstance(self.end, rules.Declined):
            assert not self.gateway.captured
            assert self.moved() == 0

    def teardown(self) -> None:
        """End every payment once the gateway answers again, unless an operator must decide."""
        try:
            self._finish()
        finally:
            self.database.__exit__(None, None, None)
            self.runner.close()

    def _finish(self) -> None:
        for _ in range(20):
            if self.end is not None or not hasattr(self, "accepted"):
                break
            self.take_the_message()
            while self.jobs:
                job = self.jobs.pop()
                how = gateway_calls.ask if job.is_question else gateway_calls.send
                self.results.append(self.runner.run(how(self.gateway, "m-1", job.attempt, 1.0)))
            payments_store.update(self.connection, self.results, self.clock.now_us())
            self.results.clear()
            self.check_states()
            self.clock.advance_us(4_000 * US_PER_SECOND)
        else:
            assert any(map(_needs_operator, self.history().attempts))
        while self.late:
            self.runner.run(gateway_calls.send(self.gateway, "m-1", self.late.pop(), 1.0))
        self.a_tender_is_captured_once()
        self.paid_is_captured()
        self.declined_is_voided()


def _needs_operator(attempt: Attempt) -> bool:
    is_unknown = attempt.state is AttemptState.UNKNOWN
    is_asked_in_vain = is_unknown and attempt.tries > len(rules.ASK_AFTER_S)
    return is_asked_in_vain or attempt.state is AttemptState.DIFFERENT


TestPayments = PaymentModel.TestCase
TestPayments.settings = profiles.tries(100, steps=40)
