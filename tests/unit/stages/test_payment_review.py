"""Payments that need a person: after any decision at any time, the database agrees."""

from collections.abc import Iterator
from itertools import repeat

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import audit_log
from internal.checks import invariants
from internal.flow import topics
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.orders import deadlines
from internal.payments import rules
from internal.payments.manual_resolution import BY_OPERATOR, Verdict
from internal.payments.messages import Attempt, Tender
from internal.pipeline import handler
from internal.stages import payment_processing, payment_review
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

NAME = ids.OrderRef(shop.MERCHANT, "o")


class Review:
    """An order whose gateway keeps silent until an operator has to decide."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def open(self, fault: Fault, *tenders: Tender) -> None:
        """Place an order, and ask a gateway with this fault until nobody asks any more."""
        (self.accepted,) = self.line.step(shop.placed("o", tenders=tenders or (shop.card(),)))
        self.gateway.faults.extend(repeat(fault, 20))
        for _ in range(len(rules.ASK_AFTER_S) + 1):
            assert not self.drive_on()
            self.line.clock.advance_us(3_600 * US_PER_SECOND)
        self.gateway.faults.clear()
        assert self.line.view("o").due_at_us is None

    def drive_on(self) -> list[Fact]:
        """Do what the janitor does."""
        return self.line.carry(self.accepted)

    def decide(
        self, verdict: Verdict, attempt_no: int | None = None, reference: str = ""
    ) -> Attempt:
        with staged_orders.transaction(self.connection):
            return payment_review.decide(
                self.connection, self.resolution(), attempt_no, verdict, reference
            )

    def ask(self) -> list[Attempt]:
        with staged_orders.transaction(self.connection):
            return payment_review.ask(self.connection, self.resolution())

    def resolution(self) -> payment_review.Resolution:
        return payment_review.Resolution(NAME, "alex", "saw it there", self.line.clock.now_us())

    def end(self) -> str:
        view = self.line.view("o")
        return f"{view.state} {view.reason}".strip()

    def log(self) -> list[tuple[str, int, str]]:
        actions = audit_log.of_order(self.connection, *NAME)
        assert {(it.actor, it.reason) for it in actions} <= {("alex", "saw it there")}
        return [(it.action, it.subject, it.detail) for it in actions]

    def findings(self) -> list[invariants.Finding]:
        captured = self.gateway.captured
        return list(invariants.check(self.connection, captured_at_gateway=captured))


@pytest.fixture
def review() -> Iterator[Review]:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        review = Review(connection)
        yield review
        assert not review.findings()


def test_captured_after_all(review: Review) -> None:
    review.open(Fault.LOST_ANSWER)
    assert review.decide(Verdict.SUCCEEDED, reference="ref-m-1/o/1").gateway_reference
    assert review.line.view("o").due_at_us == review.line.clock.now_us()
    review.drive_on()
    assert review.end() == "FINALIZED"
    assert review.log() == [
        ("PAYMENT_SUCCEEDED", 1, "SALE 1000 EUR, UNKNOWN to SUCCEEDED ref-m-1/o/1")
    ]


def test_declined_for_certain(review: Review) -> None:
    review.open(Fault.LOST_REQUEST)
    assert review.decide(Verdict.DECLINED).decline_code == BY_OPERATOR
    review.drive_on()
    assert review.end() == "REJECTED PAYMENT_DECLINED"
    assert not review.gateway.calls["void"]


def different(review: Review) -> None:
    """Place an order of which the gateway takes only half."""
    (review.accepted,) = review.line.step(shop.placed("o", tenders=(shop.card(),)))
    review.gateway.faults.append(Fault.PARTIAL)
    assert not review.drive_on()
    (it,) = payment_review.undecided(review.connection)
    assert (it.state, it.asked_minor, it.answered_minor) == ("DIFFERENT", 1_000, 500)
    assert (it.currency, it.answered_currency, it.next_check_us) == ("EUR", "EUR", None)


def test_another_amount_is_voided_if_it_is_given_up(review: Review) -> None:
    different(review)
    with pytest.raises(errors.InvalidInput, match="took another amount"):
        review.decide(Verdict.DECLINED)
    with pytest.raises(errors.InvalidInput, match="it has answered"):
        review.ask()
    review.decide(Verdict.FAILED)
    review.drive_on()
    assert review.end() == "REJECTED GIVEN_UP_BY_OPERATOR"
    assert not review.gateway.captured


def test_another_amount_is_paid_once_the_gateway_has_taken_the_rest(review: Review) -> None:
    different(review)
    review.gateway.amounts["m-1/o/1"] = 1_000  # by hand, at the gateway
    review.decide(Verdict.SUCCEEDED)
    review.drive_on()
    assert review.end() == "FINALIZED"
    assert [it.captured_minor for it in review.line.view("o").tenders] == [1_000]


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
def test_given_up_is_voided_by_its_key(review: Review, fault: Fault) -> None:
    """Whoever was wrong about it: the money, if there is any, comes back."""
    review.open(fault)
    review.decide(Verdict.FAILED)
    review.drive_on()
    assert review.end() == "REJECTED GATEWAY_UNAVAILABLE"
    assert review.gateway.calls["void"] == 1
    assert not review.gateway.captured


def test_a_void_without_an_answer_is_decided_too(review: Review) -> None:
    review.open(Fault.LOST_ANSWER)
    review.decide(Verdict.FAILED)
    review.gateway.faults.extend([Fault.LOST_ANSWER, *repeat(Fault.LOST_REQUEST, 10)])
    for _ in range(len(rules.ASK_AFTER_S) + 1):
        review.drive_on()
        review.line.clock.advance_us(3_600 * US_PER_SECOND)
    (void,) = payment_review.undecided(review.connection)
    assert (void.operation, void.attempt_no, void.next_check_us) == ("VOID", 2, None)
    with pytest.raises(errors.InvalidInput, match="given back"):
        review.decide(Verdict.DECLINED)
    review.decide(Verdict.SUCCEEDED)
    review.drive_on()
    assert review.end() == "REJECTED GATEWAY_UNAVAILABLE"


def test_a_void_is_sent_again(review: Review) -> None:
    review.open(Fault.LOST_ANSWER)
    review.decide(Verdict.FAILED)
    review.gateway.faults.append(Fault.LOST_REQUEST)
    review.drive_on()
    review.decide(Verdict.FAILED, attempt_no=2)
    review.line.clock.advance_us(2 * US_PER_SECOND)
    review.drive_on()
    assert review.end() == "REJECTED GATEWAY_UNAVAILABLE"


def test_the_gateway_is_asked_again(review: Review) -> None:
    review.open(Fault.LOST_ANSWER)
    assert not review.drive_on()
    assert review.end() == "ACCEPTED"
    before = review.gateway.calls["lookup"]
    (asked,) = review.ask()
    review.drive_on()
    assert review.gateway.calls["lookup"] == before + 1
    assert review.end() == "FINALIZED"
    assert review.log() == [("PAYMENT_ASKED", 1, f"SALE, asked {asked.tries} times before")]


def test_a_payment_that_stays_unknown_returns_to_the_operators(review: Review) -> None:
    review.open(Fault.LOST_REQUEST)
    review.ask()
    review.gateway.faults.extend(repeat(Fault.LOST_REQUEST, 10))
    for _ in rules.ASK_AFTER_S:
        review.drive_on()
        review.line.clock.advance_us(3_600 * US_PER_SECOND)
    (it,) = payment_review.undecided(review.connection)
    assert it.next_check_us is None


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.SUCCEEDED])
def test_a_word_while_the_stage_is_asking(review: Review, verdict: Verdict) -> None:
    """The gateway's answer outweighs a FAILED, and changes no other state."""
    review.open(Fault.LOST_ANSWER)
    review.ask()
    (asking,) = review.line.record(topics.ACCEPTED, review.line.work(review.accepted))
    assert isinstance(asking, handler.Waiting)
    with pytest.raises(errors.InvalidInput, match="still being asked"):
        review.decide(Verdict.DECLINED)
    review.decide(verdict)
    late = review.line._perform(topics.ACCEPTED, asking)
    (then,) = review.line.record(topics.ACCEPTED, review.line.work(review.accepted, late))
    assert isinstance(then, handler.Settled)
    review.line.carry(*then.facts)
    assert review.end() == "FINALIZED"


def test_the_gateways_word_is_final(review: Review) -> None:
    review.open(Fault.LOST_ANSWER)
    review.ask()
    review.drive_on()
    before = review.end(), review.log()
    for verdict in Verdict:
        with pytest.raises(errors.InvalidInput, match="FINALIZED: its payment is over"):
            review.decide(verdict)
    with pytest.raises(errors.InvalidInput, match="over"):
        review.ask()
    assert (review.end(), review.log()) == before


def test_one_of_several_has_to_be_named(review: Review) -> None:
    review.gateway.faults.append(Fault.LOST_ANSWER)
    review.open(Fault.LOST_ANSWER, shop.card(400), shop.card())
    assert [it.attempt_no for it in payment_review.undecided(review.connection, shop.MERCHANT)] == [
        1,
        2,
    ]
    with pytest.raises(errors.InvalidInput, match="undecided of this order: 1, 2"):
        review.decide(Verdict.SUCCEEDED)
    with pytest.raises(errors.InvalidInput, match="--attempt"):
        review.decide(Verdict.SUCCEEDED, attempt_no=7)
    review.decide(Verdict.SUCCEEDED, attempt_no=2)
    review.drive_on()
    assert review.end() == "ACCEPTED"
    review.decide(Verdict.FAILED)
    review.drive_on()
    assert review.end() == "REJECTED GATEWAY_UNAVAILABLE"
    assert review.gateway.calls["void"] == 2


class TestOverdue:
    """A process died while it called the gateway, and nothing sends the order again."""

    @pytest.fixture(autouse=True)
    def interrupted(self, review: Review) -> None:
        (review.accepted,) = review.line.step(shop.placed("o", tenders=(shop.card(),)))
        review.line.record(topics.ACCEPTED, review.line.work(review.accepted))
        deadlines.clear(review.connection, 1, NAME, payment_processing.HAS_OPEN_PAYMENT)
        review.line.clock.advance_us(6 * US_PER_SECOND)

    @staticmethod
    def resolution(review: Review, timeout_s: float) -> payment_review.Resolution:
        overdue_us = payment_review.pending_before_us(review.line.clock.now_us(), timeout_s)
        return msgspec.structs.replace(review.resolution(), pending_before_us=overdue_us)

    def test_it_is_listed_once_the_timeout_has_passed(self, review: Review) -> None:
        listed = []
        for timeout_s in (5.0, 7.0):
            overdue_us = self.resolution(review, timeout_s).pending_before_us
            listed.append(payment_review.undecided(review.connection, "", overdue_us))
        (it,), none = listed
        assert (it.attempt_no, it.state, it.next_check_us) == (1, "PENDING", None)
        assert not none
        review.drive_on()

    def test_the_gateway_is_asked_like_about_an_unknown_one(self, review: Review) -> None:
        with pytest.raises(errors.InvalidInput, match="nothing to ask"):
            payment_review.ask(review.connection, self.resolution(review, 7.0))
        (asked,) = payment_review.ask(review.connection, self.resolution(review, 5.0))
        assert asked.state == "PENDING"
        assert review.line.view("o").due_at_us == review.line.clock.now_us()
        review.drive_on()
        assert review.end() == "FINALIZED"
        assert review.gateway.calls == {"lookup": 1, "charge": 1}

    @pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.DECLINED])
    def test_it_can_be_decided(self, review: Review, verdict: Verdict) -> None:
        with pytest.raises(errors.InvalidInput, match="UNKNOWN"):
            payment_review.decide(
                review.connection, self.resolution(review, 7.0), None, verdict, ""
            )
        payment_review.decide(review.connection, self.resolution(review, 5.0), None, verdict, "")
        review.drive_on()
        assert review.end().startswith("REJECTED")


def test_what_is_not_there_is_not_decided(review: Review) -> None:
    with pytest.raises(errors.InvalidInput, match="there is no order 'o'"):
        review.decide(Verdict.SUCCEEDED)
    (review.accepted,) = review.line.step(shop.placed("o", tenders=(shop.card(),)))
    with pytest.raises(errors.InvalidInput, match="UNKNOWN"):
        review.decide(Verdict.SUCCEEDED)
    with pytest.raises(errors.InvalidInput, match="nothing to ask"):
        review.ask()
    assert not review.log()
