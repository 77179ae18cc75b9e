"""Payment processing: every tender is captured, or all are voided and the stock is released."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import topics
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages, store
from internal.payments.gateways.port import Answer, Charge
from internal.payments.messages import Captured, Tender, TenderKind
from internal.pipeline import handler
from internal.privacy import store as privacy_store
from internal.views import order as order_view
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

SECOND_US = US_PER_SECOND


class Counter:
    """Staged orders with a gateway whose faults can be chosen."""

    def __init__(self, connection: sa.Connection) -> None:
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def accept(self, *tenders: Tender) -> messages.OrderAccepted:
        (fact,) = self.line.step(shop.placed("o", tenders=tenders))
        assert isinstance(fact, messages.OrderAccepted)
        return fact

    def view(self) -> order_view.OrderView:
        return self.line.view("o")


@pytest.fixture
def counter(any_database: sa.Connection) -> Iterator[Counter]:
    shop.open_for_business(any_database)
    counter = Counter(any_database)
    yield counter
    captured = counter.gateway.captured
    assert not invariants.check(any_database, captured_at_gateway=captured)


def test_cash_is_paid_without_a_call(counter: Counter) -> None:
    (paid,) = counter.line.step(counter.accept(shop.cash()))
    assert isinstance(paid, messages.OrderPaid)
    assert paid.captured == (Captured(TenderKind.CASH, 1_000),)
    assert not counter.gateway.calls


def test_two_tenders_are_captured(counter: Counter) -> None:
    (paid,) = counter.line.step(counter.accept(shop.cash(300), shop.card()))
    assert isinstance(paid, messages.OrderPaid)
    by_card = Captured(TenderKind.CARD, 700, "ref-m-1/o/1")
    assert paid.captured == (Captured(TenderKind.CASH, 300), by_card)
    assert counter.gateway.captured == {"m-1/o/1": 700}
    assert (counter.view().state, counter.view().charge_state) == ("PAID", "FULL")


def test_each_card_is_charged_with_its_own_token(counter: Counter) -> None:
    asked: list[tuple[int, str]] = []
    charge = counter.gateway.charge

    async def noting(request: Charge) -> Answer:
        asked.append((request.amount_minor, request.card_token))
        return await charge(request)

    counter.gateway.charge = noting  # type: ignore[method-assign]
    counter.line.step(counter.accept(shop.card(400, "tok_a"), shop.cash(100), shop.card()))
    assert sorted(asked) == [(400, "tok_a"), (500, shop.OK)]


def test_an_order_without_its_token_is_refused_and_nothing_is_called(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    keys = [accepted.order_key]
    privacy_store.erase(counter.line.connection, privacy_store.Subject.ORDER, keys)
    (rejected,) = counter.line.step(accepted)
    assert isinstance(rejected, messages.OrderRejected)
    assert rejected.explanation == "the card was declined: no_token"
    assert not counter.gateway.calls


def test_tokens_are_read_only_for_orders_with_a_card_to_charge(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    find = privacy_store.find

    def noting(
        connection: sa.Connection, kind: privacy_store.Subject, keys: Sequence[int]
    ) -> dict[int, dict[str, str]]:
        asked.append(list(keys))
        return find(connection, kind, keys)

    monkeypatch.setattr(privacy_store, "find", noting)
    (cash,) = counter.line.step(shop.placed("cash"))
    counter.line.step(cash)
    assert asked == []
    placed = [shop.placed(f"card-{n}", tenders=(shop.card(),)) for n in range(3)]
    cards = counter.line.step(*placed, shop.placed("more cash"))
    counter.line.step(*cards)
    keys = [it.order_key for it in cards if isinstance(it, messages.OrderAccepted)]
    assert asked == [sorted(keys)[:3]]


def test_a_declined_card_voids_the_other_and_releases_the_stock(counter: Counter) -> None:
    refused = shop.card(400, "tok_declined:no_funds")
    (rejected,) = counter.line.step(counter.accept(shop.card(600), refused))
    assert isinstance(rejected, messages.OrderRejected)
    assert (rejected.stage, rejected.reason) == ("payment_processing", "PAYMENT_DECLINED")
    assert rejected.explanation == "the card was declined: no_funds"
    assert not counter.gateway.captured
    assert counter.gateway.voided == {"m-1/o/1"}
    assert counter.line.level("tea").reserved_milli == 0
    charges = (counter.view().charge_state, counter.view().stock_state)
    assert charges == ("VOIDED", "RELEASED")


def test_a_declined_card_alone_leaves_nothing_to_void(counter: Counter) -> None:
    counter.line.step(counter.accept(shop.card(token="tok_declined:no_funds")))
    assert counter.view().charge_state == "DECLINED"
    assert counter.gateway.calls == {"charge": 1}


def test_cash_beside_a_declined_card_is_never_taken(counter: Counter) -> None:
    refused = shop.card(token="tok_declined:no_funds")
    (rejected,) = counter.line.step(counter.accept(shop.cash(400), refused))
    assert isinstance(rejected, messages.OrderRejected)
    view = counter.view()
    assert view.charge_state == "DECLINED"
    assert [(it.state, it.captured_minor) for it in view.tenders] == [("NONE", 0), ("DECLINED", 0)]


def test_another_amount_waits_for_an_operator_and_is_never_full(counter: Counter) -> None:
    """The gateway takes 3.50 of 7.00, and the card's other half is not charged again."""
    accepted = counter.accept(shop.card(300), shop.card())
    counter.gateway.faults.extend([Fault.NONE, Fault.PARTIAL])
    assert not counter.line.step(accepted)
    view = counter.view()
    assert (view.state, view.charge_state, view.due_at_us) == ("ACCEPTED", "UNKNOWN", None)
    assert [(a.state, a.asked_minor, a.answered_minor) for a in view.attempts] == [
        ("SUCCEEDED", 300, 300),
        ("DIFFERENT", 700, 350),
    ]
    assert [(it.state, it.captured_minor) for it in view.tenders] == [("FULL", 300), ("UNKNOWN", 0)]
    counter.line.clock.advance_us(3_600 * SECOND_US)
    assert not counter.line.step(accepted)
    assert counter.gateway.calls == {"charge": 2}


def test_a_lost_answer_is_asked_for_when_its_time_has_come(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    counter.gateway.faults.append(Fault.LOST_ANSWER)
    assert not counter.line.step(accepted)
    assert counter.view().charge_state == "UNKNOWN"
    assert counter.view().due_at_us == shop.NOW_US + 5 * SECOND_US
    assert not counter.line.step(accepted)
    counter.line.clock.advance_us(5 * SECOND_US)
    (paid,) = counter.line.step(accepted)
    assert isinstance(paid, messages.OrderPaid)
    assert counter.gateway.calls == {"charge": 1, "lookup": 1}


def test_an_error_of_the_adapter_is_unknown_and_costs_the_other_answer_nothing(
    counter: Counter,
) -> None:
    accepted = counter.accept(shop.card(400), shop.card())
    counter.gateway.faults.append(Fault.BROKEN)
    assert not counter.line.step(accepted)
    assert [a.state for a in counter.view().attempts] == ["UNKNOWN", "SUCCEEDED"]
    assert counter.view().due_at_us == shop.NOW_US + 5 * SECOND_US
    counter.line.clock.advance_us(5 * SECOND_US)
    (paid,) = counter.line.step(accepted)
    assert isinstance(paid, messages.OrderPaid)
    assert counter.gateway.calls == {"charge": 2, "lookup": 1}


def test_a_declined_card_beside_an_unknown_one_voids_the_third_at_once(counter: Counter) -> None:
    """The unknown one is asked about at its own times, and its answer refuses the order at once."""
    refused, lost = shop.card(300, "tok_declined:no_funds"), shop.card(200)
    accepted = counter.accept(lost, refused, shop.card())
    counter.gateway.faults.append(Fault.LOST_ANSWER)
    assert not counter.line.step(accepted)
    assert counter.gateway.voided == {"m-1/o/3"}
    for wait_s in (5, 30, 120):
        counter.gateway.faults.append(Fault.LOST_REQUEST)
        assert counter.view().due_at_us == counter.line.clock.now_us() + wait_s * SECOND_US
        counter.line.clock.advance_us(wait_s * SECOND_US)
        assert not counter.line.step(accepted)
    counter.line.clock.advance_us(600 * SECOND_US)
    (rejected,) = counter.line.step(accepted)
    assert isinstance(rejected, messages.OrderRejected)
    assert rejected.explanation == "the card was declined: no_funds"
    assert counter.gateway.voided == {"m-1/o/1", "m-1/o/3"}


def test_a_refused_connection_is_tried_again_beside_an_unknown_one(counter: Counter) -> None:
    accepted = counter.accept(shop.card(400), shop.card())
    counter.gateway.faults.extend([Fault.LOST_ANSWER, Fault.AWAY])
    assert not counter.line.step(accepted)
    assert counter.view().due_at_us == shop.NOW_US + 2 * SECOND_US
    counter.line.clock.advance_us(2 * SECOND_US)
    assert not counter.line.step(accepted)
    assert [a.state for a in counter.view().attempts] == ["UNKNOWN", "SUCCEEDED"]
    assert counter.view().due_at_us == shop.NOW_US + 5 * SECOND_US


def test_a_gateway_that_stays_away_charges_nothing(counter: Counter) -> None:
    accepted = counter.accept(shop.cash(300), shop.card())
    counter.gateway.faults.extend([Fault.AWAY] * 4)
    for _ in range(3):
        assert not counter.line.step(accepted)
        counter.line.clock.advance_us(60 * SECOND_US)
    (rejected,) = counter.line.step(accepted)
    assert isinstance(rejected, messages.OrderRejected)
    assert rejected.reason == "GATEWAY_UNAVAILABLE"
    assert counter.gateway.voided == {"m-1/o/1"}


def test_a_gateway_that_comes_back_in_time_is_paid(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    counter.gateway.faults.append(Fault.AWAY)
    assert not counter.line.step(accepted)
    assert counter.view().due_at_us == shop.NOW_US + 2 * SECOND_US
    counter.line.clock.advance_us(2 * SECOND_US)
    assert isinstance(counter.line.step(accepted)[0], messages.OrderPaid)


def test_a_crash_before_the_call_is_asked_about(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    (waiting,) = counter.line.record(topics.ACCEPTED, counter.line.work(accepted))
    assert isinstance(waiting, handler.Waiting)
    assert [a.state for a in counter.view().attempts] == ["PENDING"]
    assert isinstance(counter.line.step(accepted)[0], messages.OrderPaid)
    assert counter.gateway.calls == {"lookup": 1, "charge": 1}


def test_a_repetition_sends_the_same_fact_until_the_order_moves_on(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    first = counter.line.step(accepted)
    assert counter.line.step(accepted) == first
    counter.line.step(*first)
    assert counter.line.step(accepted) == []


def test_two_messages_in_one_batch_are_one_payment(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    assert len(counter.line.step(accepted, accepted)) == 1
    assert counter.gateway.calls == {"charge": 1}


def test_what_comes_back_too_late_is_not_written_down(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    work = counter.line.work(accepted)
    counter.line.record(topics.ACCEPTED, work)
    (pending,) = counter.view().attempts
    counter.line.step(accepted)
    counter.line.record(topics.ACCEPTED, counter.line.work(accepted, (pending,)))
    assert [a.state for a in counter.view().attempts] == ["SUCCEEDED"]


def test_the_log_is_believed_and_not_the_message(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    cheaper = msgspec.structs.replace(accepted, total_minor=1, tenders=(shop.card(1),), lines=())
    (paid,) = counter.line.step(cheaper)
    assert isinstance(paid, messages.OrderPaid)
    assert (paid.total_minor, paid.lines) == (1_000, (messages.StockLine("tea", 1_000),))
    assert counter.gateway.captured == {"m-1/o/1": 1_000}


@pytest.mark.parametrize("wrong", [{"order_key": 99}, {"order_id": "p"}, {"merchant_id": "m-2"}])
def test_an_order_of_another_database_is_poison(counter: Counter, wrong: dict[str, object]) -> None:
    accepted = counter.accept(shop.card())
    with pytest.raises(errors.Poison, match="not recorded under the key") as caught:
        counter.line.step(msgspec.structs.replace(accepted, **wrong))
    assert caught.value.code == "UNKNOWN_ORDER"


def test_a_missing_row_of_the_log_is_poison(counter: Counter) -> None:
    accepted = counter.accept(shop.card())
    connection, of_stage = counter.line.connection, store.ORDER_LOG.c.version == 2
    row = connection.execute(store.ORDER_LOG.select().where(of_stage)).one()
    connection.execute(store.ORDER_LOG.delete().where(of_stage))
    with pytest.raises(errors.Poison, match="no OrderAccepted"):
        counter.line.step(accepted)
    connection.execute(store.ORDER_LOG.insert().values(row._asdict()))
