"""Payments that only a person can move: whatever is said, and whenever, the books agree."""

from collections.abc import Iterator
from itertools import repeat

import pytest
import sqlalchemy as sa

from internal.auth import audit_log
from internal.checks import invariants
from internal.flow import topics
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.payments import rules
from internal.payments.manual_resolution import BY_OPERATOR, Verdict
from internal.payments.messages import Attempt, Tender
from internal.pipeline import handler
from internal.stages import payment_review
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

NAME = ids.OrderRef(shop.MERCHANT, "o")


class Desk:
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
                self.connection, self.word(), attempt_no, verdict, reference
            )

    def ask(self) -> list[Attempt]:
        with staged_orders.transaction(self.connection):
            return payment_review.ask(self.connection, self.word())

    def word(self) -> payment_review.Resolution:
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
def desk() -> Iterator[Desk]:
    with staged_orders.books() as connection:
        shop.open_for_business(connection)
        desk = Desk(connection)
        yield desk
        assert not desk.findings()


def test_captured_after_all(desk: Desk) -> None:
    desk.open(Fault.LOST_ANSWER)
    assert desk.decide(Verdict.SUCCEEDED, reference="ref-m-1/o/1").gateway_reference
    assert desk.line.view("o").due_at_us == desk.line.clock.now_us()
    desk.drive_on()
    assert desk.end() == "FINALIZED"
    assert desk.log() == [
        ("PAYMENT_SUCCEEDED", 1, "CHARGE 1000 EUR, UNKNOWN to SUCCEEDED ref-m-1/o/1")
    ]


def test_declined_for_certain(desk: Desk) -> None:
    desk.open(Fault.LOST_REQUEST)
    assert desk.decide(Verdict.DECLINED).decline_code == BY_OPERATOR
    desk.drive_on()
    assert desk.end() == "REJECTED PAYMENT_DECLINED"
    assert not desk.gateway.calls["void"]


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
def test_given_up_is_voided_by_its_key(desk: Desk, fault: Fault) -> None:
    """Whoever was wrong about it: the money, if there is any, comes back."""
    desk.open(fault)
    desk.decide(Verdict.FAILED)
    desk.drive_on()
    assert desk.end() == "REJECTED GATEWAY_UNAVAILABLE"
    assert desk.gateway.calls["void"] == 1
    assert not desk.gateway.captured


def test_a_void_without_an_answer_is_decided_too(desk: Desk) -> None:
    desk.open(Fault.LOST_ANSWER)
    desk.decide(Verdict.FAILED)
    desk.gateway.faults.extend([Fault.LOST_ANSWER, *repeat(Fault.LOST_REQUEST, 10)])
    for _ in range(len(rules.ASK_AFTER_S) + 1):
        desk.drive_on()
        desk.line.clock.advance_us(3_600 * US_PER_SECOND)
    (void,) = payment_review.undecided(desk.connection)
    assert (void.kind, void.attempt_no, void.next_check_us) == ("VOID", 2, None)
    with pytest.raises(errors.InvalidInput, match="given back"):
        desk.decide(Verdict.DECLINED)
    desk.decide(Verdict.SUCCEEDED)
    desk.drive_on()
    assert desk.end() == "REJECTED GATEWAY_UNAVAILABLE"


def test_a_void_is_sent_again(desk: Desk) -> None:
    desk.open(Fault.LOST_ANSWER)
    desk.decide(Verdict.FAILED)
    desk.gateway.faults.append(Fault.LOST_REQUEST)
    desk.drive_on()
    desk.decide(Verdict.FAILED, attempt_no=2)
    desk.line.clock.advance_us(2 * US_PER_SECOND)
    desk.drive_on()
    assert desk.end() == "REJECTED GATEWAY_UNAVAILABLE"


def test_the_gateway_is_asked_anew(desk: Desk) -> None:
    desk.open(Fault.LOST_ANSWER)
    assert not desk.drive_on()
    assert desk.end() == "ACCEPTED"
    before = desk.gateway.calls["lookup"]
    (asked,) = desk.ask()
    desk.drive_on()
    assert desk.gateway.calls["lookup"] == before + 1
    assert desk.end() == "FINALIZED"
    assert desk.log() == [("PAYMENT_ASKED", 1, f"CHARGE, asked {asked.checks} times before")]


def test_asked_anew_and_still_silent_it_comes_back_to_the_operators(desk: Desk) -> None:
    desk.open(Fault.LOST_REQUEST)
    desk.ask()
    desk.gateway.faults.extend(repeat(Fault.LOST_REQUEST, 10))
    for _ in rules.ASK_AFTER_S:
        desk.drive_on()
        desk.line.clock.advance_us(3_600 * US_PER_SECOND)
    (it,) = payment_review.undecided(desk.connection)
    assert it.next_check_us is None


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.SUCCEEDED])
def test_a_word_while_the_stage_is_asking(desk: Desk, verdict: Verdict) -> None:
    """The gateway's word counts more than that somebody gave up, and changes no other."""
    desk.open(Fault.LOST_ANSWER)
    desk.ask()
    (asking,) = desk.line.record(topics.ACCEPTED, desk.line.work(desk.accepted))
    assert isinstance(asking, handler.Waiting)
    with pytest.raises(errors.InvalidInput, match="still being asked"):
        desk.decide(Verdict.DECLINED)
    desk.decide(verdict)
    late = desk.line._perform(topics.ACCEPTED, asking)
    (then,) = desk.line.record(topics.ACCEPTED, desk.line.work(desk.accepted, late))
    assert isinstance(then, handler.Settled)
    desk.line.carry(*then.facts)
    assert desk.end() == "FINALIZED"


def test_the_gateways_word_is_final(desk: Desk) -> None:
    desk.open(Fault.LOST_ANSWER)
    desk.ask()
    desk.drive_on()
    before = desk.end(), desk.log()
    for verdict in Verdict:
        with pytest.raises(errors.InvalidInput, match="FINALIZED: its payment is over"):
            desk.decide(verdict)
    with pytest.raises(errors.InvalidInput, match="over"):
        desk.ask()
    assert (desk.end(), desk.log()) == before


def test_one_of_several_has_to_be_named(desk: Desk) -> None:
    desk.gateway.faults.append(Fault.LOST_ANSWER)
    desk.open(Fault.LOST_ANSWER, shop.card(400), shop.card())
    assert [it.attempt_no for it in payment_review.undecided(desk.connection, shop.MERCHANT)] == [
        1,
        2,
    ]
    with pytest.raises(errors.InvalidInput, match="undecided of this order: 1, 2"):
        desk.decide(Verdict.SUCCEEDED)
    with pytest.raises(errors.InvalidInput, match="--attempt"):
        desk.decide(Verdict.SUCCEEDED, attempt_no=7)
    desk.decide(Verdict.SUCCEEDED, attempt_no=2)
    desk.drive_on()
    assert desk.end() == "ACCEPTED"
    desk.decide(Verdict.FAILED)
    desk.drive_on()
    assert desk.end() == "REJECTED GATEWAY_UNAVAILABLE"
    assert desk.gateway.calls["void"] == 2


def test_what_is_not_there_is_not_decided(desk: Desk) -> None:
    with pytest.raises(errors.InvalidInput, match="there is no order 'o'"):
        desk.decide(Verdict.SUCCEEDED)
    (desk.accepted,) = desk.line.step(shop.placed("o", tenders=(shop.card(),)))
    with pytest.raises(errors.InvalidInput, match="UNKNOWN"):
        desk.decide(Verdict.SUCCEEDED)
    with pytest.raises(errors.InvalidInput, match="nothing to ask"):
        desk.ask()
    assert not desk.log()
