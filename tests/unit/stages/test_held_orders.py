"""Orders of dead letters: whatever an operator chooses, nothing is left behind, held or doubled."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import repeat

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import janitor, topics
from internal.infra import bus
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.orders import codec, messages, store
from internal.payments.gateways.port import Answer, GatewayStatus
from internal.payments.messages import Tender
from internal.pipeline import dead_letters, handler
from internal.stages import held_orders
from internal.stages.held_orders import Choice
from tests.support import gateways, ports, shop, staged_orders
from tests.support.gateways import Fault

REF = ids.OrderRef(shop.MERCHANT, "o")
GIVEN_UP = "REJECTED GIVEN_UP_BY_OPERATOR"


class Held:
    """An order whose stage has put it aside."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)
        self.placed: list[messages.OrderPlaced] = []
        """Orders that are in their letters only."""

    def accept(self, *tenders: Tender) -> messages.OrderAccepted:
        (fact,) = self.line.step(shop.placed("o", tenders=tenders or (shop.card(),)))
        assert isinstance(fact, messages.OrderAccepted)
        return fact

    def pay(self, *tenders: Tender) -> messages.OrderPaid:
        (fact,) = self.line.step(self.accept(*tenders))
        assert isinstance(fact, messages.OrderPaid)
        return fact

    def put_aside(self, fact: Fact) -> int:
        """Do what the runner does with a fact that its stage cannot process; return the letter."""
        topic = topics.TOPIC_OF[type(fact)]
        place = dead_letters.Place(self.line.handlers[topic].spec.name, topic)
        letter = dead_letters.of_fact(place, fact, shop.half_of(fact), KeyError("sku"), 1)
        with staged_orders.transaction(self.connection):
            key = dead_letters.store(self.connection, letter)
            self.line.handlers[topic].abandon(self.connection, fact)
        return key

    def drop(self, choice: Choice | None, *refs: ids.OrderRef) -> held_orders.Result:
        now_us = self.line.clock.now_us()
        with staged_orders.transaction(self.connection):
            decision = held_orders.Decision(choice, "alex", "cannot be mended", now_us)
            result = held_orders.decide(decision, self.connection, refs or (REF,), self.placed)
            keys = [it.letter_key for it in dead_letters.list_open(self.connection)]
            dead_letters.close(self.connection, keys, "dropped", now_us)
        assert not self.findings()
        return result

    def drive_on(self, seconds: int = 0) -> list[Fact]:
        """Do what the janitor does, and carry the facts as far as they come."""
        self.line.clock.advance_us(seconds * US_PER_SECOND)
        sent = ports.MemoryBroker()
        broker: bus.Bus = sent  # type: ignore[assignment] # it is asked for no more
        database = ports.MemoryDatabase(self.connection)
        options = janitor.Options(1.0, 10, 30.0)
        asyncio.run(janitor.Janitor(database, broker, self.line.clock, options).look())
        found = (fact for it in sent.sent for fact in topics.ENVELOPE.facts_in(it.payload))
        return self.line.carry(*(fact for fact in found if not isinstance(fact, errors.Poison)))

    def end(self) -> str:
        view = self.line.view("o")
        return f"{view.state} {view.reason}".strip()

    def findings(self) -> list[invariants.Finding]:
        return invariants.check(self.connection, captured_at_gateway=self.gateway.captured)


@pytest.fixture
def held(any_database: sa.Connection) -> Iterator[Held]:
    shop.open_for_business(any_database)
    held = Held(any_database)
    yield held
    assert not held.findings()


def test_an_order_needs_a_choice(held: Held) -> None:
    held.put_aside(held.pay())
    with pytest.raises(errors.OrdersHeldUp, match=r"--then: .*m-1/o PAID: say drive-on") as caught:
        held.drop(None)
    assert caught.value.code == "ORDERS_HELD_UP"
    assert [it.subject for it in dead_letters.list_open(held.connection)] == ["o"]
    held.drop(Choice.DRIVE_ON)


def test_an_error_names_some_orders_and_counts_the_others(held: Held) -> None:
    names = [f"o-{number}" for number in range(held_orders.NAMED_MAX + 2)]
    for fact in held.line.step(*map(shop.placed, names)):
        held.put_aside(fact)
    refs = [ids.OrderRef(shop.MERCHANT, name) for name in names]
    with pytest.raises(errors.OrdersHeldUp, match=r"o-4 ACCEPTED and 2 more"):
        held.drop(None, *refs)
    assert len(held.drop(Choice.REJECT, *refs).rejected) == len(names)


@pytest.mark.parametrize("steps", [1, 2])
def test_an_order_is_driven_on(held: Held, steps: int) -> None:
    held.put_aside(held.accept() if steps == 1 else held.pay())
    assert not held.drive_on(seconds=3_600)
    assert held.drop(Choice.DRIVE_ON).driven_on == (REF,)
    held.drive_on()
    assert held.end() == "FINALIZED"
    assert held.gateway.captured == {"m-1/o/1": 1_000}


def test_accepted_and_nothing_requested_is_rejected_at_once(held: Held) -> None:
    held.put_aside(held.accept())
    result = held.drop(Choice.REJECT)
    assert result.rejected == (REF,)
    (fact,) = result.facts
    assert isinstance(fact, messages.OrderRejected)
    assert held.end() == GIVEN_UP
    view = held.line.view("o")
    assert (view.charge_state, view.stock_state, view.due_at_us) == ("NONE", "RELEASED", None)
    assert held.line.level("tea").reserved_milli == 0
    assert not held.gateway.calls


@pytest.mark.parametrize("is_paid", [False, True], ids=["accepted", "paid"])
def test_cash_is_handed_back_at_once(held: Held, *, is_paid: bool) -> None:
    fact = held.pay(shop.cash()) if is_paid else held.accept(shop.cash())
    held.put_aside(fact)
    assert held.drop(Choice.REJECT).rejected == (REF,)
    assert held.end() == GIVEN_UP
    assert held.line.view("o").charge_state == ("VOIDED" if is_paid else "NONE")
    assert held.line.carry(fact) == list(held.line.carry(fact))


@pytest.mark.parametrize(
    "tenders",
    [(shop.card(),), (shop.card(400), shop.card()), (shop.cash(300), shop.card())],
    ids=["card", "cards", "split"],
)
def test_paid_is_voided_and_rejected(held: Held, tenders: Sequence[Tender]) -> None:
    paid = held.pay(*tenders)
    held.put_aside(paid)
    assert held.drop(Choice.REJECT).returning == (REF,)
    assert (held.end(), held.line.view("o").charge_state) == ("PAID", "PENDING")
    assert not held.line.carry(paid), "a late message must not finalize it"
    (rejected,) = held.drive_on()
    assert isinstance(rejected, messages.OrderRejected)
    assert (held.end(), held.line.view("o").charge_state) == (GIVEN_UP, "VOIDED")
    assert not held.gateway.captured
    assert held.line.level("tea").reserved_milli == 0
    versions = [(it.version, it.state) for it in held.line.view("o").timeline]
    # Its charge was PENDING at the versions 3 and 5.
    assert versions == [(1, "PLACED"), (2, "ACCEPTED"), (4, "PAID"), (6, "REJECTED")]


def test_a_rejection_is_repeated_until_everybody_has_heard_of_it(held: Held) -> None:
    paid = held.pay()
    held.put_aside(paid)
    held.drop(Choice.REJECT)
    (rejected,) = held.drive_on()
    accepted = held.line.view("o").timeline[1].fact
    assert held.line.step(accepted) == [rejected]
    assert not held.line.step(paid)


def test_a_free_order_is_rejected(held: Held) -> None:
    facts = held.line.step(*held.line.step(shop.placed("o", ("gift", 1))))
    held.put_aside(*facts)
    assert held.drop(Choice.REJECT).rejected == (REF,)
    assert (held.end(), held.line.view("o").charge_state) == (GIVEN_UP, "NONE")


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.BROKEN])
def test_an_unknown_charge_is_voided_by_its_key(held: Held, fault: Fault) -> None:
    accepted = held.accept(shop.card(400), shop.card())
    held.gateway.faults.append(fault)
    held.line.step(accepted)
    held.put_aside(accepted)
    assert held.drop(Choice.REJECT).returning == (REF,)
    held.drive_on()
    assert held.end() == GIVEN_UP
    assert not held.gateway.captured
    assert held.gateway.voided == {"m-1/o/1", "m-1/o/2"}


def test_a_call_that_was_interrupted_is_voided_by_its_key(held: Held) -> None:
    """Its answer may come after the decision, and then its money goes back, too."""
    accepted = held.accept()
    (calling,) = held.line.record(topics.ACCEPTED, held.line.work(accepted))
    assert isinstance(calling, handler.Waiting)
    held.put_aside(accepted)
    held.drop(Choice.REJECT)
    answer = held.line._perform(topics.ACCEPTED, calling)
    assert held.gateway.captured
    (then,) = held.line.record(topics.ACCEPTED, held.line.work(accepted, answer))
    assert isinstance(then, handler.Waiting), "it must not be paid"
    held.drive_on(30)
    assert held.end() == GIVEN_UP
    assert not held.gateway.captured


def test_a_declined_card_stays_the_reason(held: Held) -> None:
    accepted = held.accept(shop.card(400, "tok_declined:no_funds"), shop.card())
    held.gateway.faults.extend([Fault.NONE, Fault.LOST_ANSWER])
    held.line.step(accepted)
    held.put_aside(accepted)
    held.drop(Choice.REJECT)
    held.drive_on()
    assert held.end() == "REJECTED PAYMENT_DECLINED"


@pytest.mark.parametrize("choice", Choice)
def test_voids_that_are_under_way_go_on(held: Held, choice: Choice) -> None:
    """Given up, put aside again, and decided again: each charge has one void."""
    held.put_aside(held.pay(shop.card(400), shop.card()))
    held.drop(Choice.REJECT)
    accepted = held.line.view("o").timeline[1].fact
    held.gateway.faults.append(Fault.LOST_REQUEST)
    assert not held.line.step(accepted)
    assert held.line.view("o").charge_state == "UNKNOWN"
    held.put_aside(accepted)
    held.drop(choice)
    held.drive_on(seconds=5)
    assert held.end() == GIVEN_UP
    made = [it.operation for it in held.line.view("o").attempts]
    assert made == ["SALE"] * 2 + ["VOID"] * 2


def test_a_refused_void_waits_for_an_operator(held: Held) -> None:
    held.put_aside(held.pay())
    held.drop(Choice.REJECT)
    held.gateway.answers["m-1/o/2"] = Answer(GatewayStatus.DECLINED, "", "late")
    assert not held.drive_on()
    view = held.line.view("o")
    assert (view.state, view.due_at_us) == ("PAID", None)
    assert not held.findings()


@pytest.mark.parametrize("choice", [None, *Choice])
def test_an_order_that_goes_on_is_left_alone(held: Held, choice: Choice | None) -> None:
    """A letter that only names it, or a late fact about it, changes nothing."""
    paid = held.pay()
    before = held.line.view("o")
    assert held.drop(choice) == held_orders.Result()
    assert held.line.view("o") == before
    accepted = before.timeline[1].fact
    held.put_aside(accepted)
    assert held.line.view("o") == before, "its payment is done: it keeps its deadline"
    assert held.drop(choice) == held_orders.Result()
    held.line.carry(paid)
    assert held.end() == "FINALIZED"
    held.put_aside(paid)
    assert held.drop(choice) == held_orders.Result()
    assert held.end() == "FINALIZED"


def test_an_order_that_is_not_recorded_is_recorded_as_rejected(held: Held) -> None:
    """Its merchant was answered OK: it exists, and comes to its end."""
    placed = shop.placed("o")
    held.put_aside(placed)
    held.placed = [placed]
    result = held.drop(Choice.REJECT)
    assert (result.rejected, result.not_recorded) == ((REF,), ())
    assert held.end() == GIVEN_UP
    assert held.line.view("o").version == store.SECOND_VERSION
    assert held.line.step(placed) == list(result.facts), "a late message gets the same answer"
    assert held.line.level("tea").reserved_milli == 0
    assert held.drop(Choice.REJECT) == held_orders.Result()


@pytest.mark.parametrize("choice", [None, *Choice])
def test_an_order_that_is_not_recorded_is_named(held: Held, choice: Choice | None) -> None:
    held.put_aside(shop.placed("o"))
    assert held.drop(choice) == held_orders.Result(not_recorded=(REF,))
    held.line.carry(shop.placed("o"))
    assert held.end() == "FINALIZED", "the same order can be placed again"


def test_several_letters_of_an_order_are_one_decision(held: Held) -> None:
    paid = held.pay()
    for fact in (held.line.view("o").timeline[1].fact, paid):
        held.put_aside(fact)
    assert held.drop(Choice.REJECT, REF, REF).returning == (REF,)
    assert held.drop(None) == held_orders.Result()
    held.drive_on()
    assert held.end() == GIVEN_UP


def test_some_orders_hold_money_and_some_none(held: Held) -> None:
    held.put_aside(held.pay())
    (other,) = held.line.step(shop.placed("p"))
    held.put_aside(other)
    refs = [ids.OrderRef(shop.MERCHANT, name) for name in ("p", "o", "q")]
    result = held.drop(Choice.REJECT, *refs)
    assert (result.rejected, result.returning) == ((refs[0],), (REF,))
    assert result.not_recorded == (refs[2],)
    held.drive_on()
    assert held.end() == GIVEN_UP


def test_a_log_that_cannot_be_read_rejects_nothing(held: Held) -> None:
    accepted = held.accept()
    held.put_aside(accepted)
    row = store.ORDER_LOG.c.version == store.SECOND_VERSION
    damage = store.ORDER_LOG.update().where(row)
    held.connection.execute(damage.values(fact=codec.encode(shop.cancel("o")).decode()))
    with pytest.raises(errors.Poison, match="no OrderAccepted"):
        held.drop(Choice.REJECT)
    held.connection.execute(damage.values(fact=codec.encode(accepted).decode()))
    held.drop(Choice.REJECT)


def test_a_gateway_that_is_silent_delays_the_rejection(held: Held) -> None:
    held.put_aside(held.pay())
    held.drop(Choice.REJECT)
    held.gateway.faults.extend(repeat(Fault.LOST_REQUEST, 2))
    for seconds in (0, 5):
        assert not held.drive_on(seconds)
        assert not held.findings()
    held.drive_on(30)
    assert held.end() == GIVEN_UP
