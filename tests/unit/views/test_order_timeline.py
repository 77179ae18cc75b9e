"""The timeline for support staff: all sources in one order, and the right thing to wait for."""

import json
from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import audit_log
from internal.flow import topics
from internal.infra import db
from internal.kernel.facts import Fact
from internal.views import order_timeline
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault


@pytest.fixture
def gateway() -> gateways.FaultyGateway:
    return gateways.FaultyGateway()


@pytest.fixture
def stages(gateway: gateways.FaultyGateway) -> Iterator[staged_orders.StagedOrders]:
    """The stages of a shop that is open."""
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        yield staged_orders.StagedOrders(connection, gateway)


def timeline(
    stages: staged_orders.StagedOrders, order_id: str = "o-1"
) -> order_timeline.OrderTimeline:
    found = order_timeline.get(stages.connection, shop.MERCHANT, order_id)
    assert found is not None
    return found


def add_dead_letter(connection: sa.Connection, **fields: int | str) -> None:
    table = db.METADATA.tables["dead_letters"]
    values = {
        "letter_key": 17,
        "stage": "order_processing",
        "topic": "orders.placed",
        "code": "KEYERROR",
        "explanation": "'sku'",
        "subject_kind": "order",
        "merchant_id": shop.MERCHANT,
        "subject": "o-1",
        "payload": "{}",
        "at_us": shop.NOW_US + 5,
        "closed_by": "",
    }
    connection.execute(table.insert().values(values | fields))


def test_requests_are_told_with_their_answers(stages: staged_orders.StagedOrders) -> None:
    stages.step(shop.cancel("o-1", "r-1"))
    before = timeline(stages)
    assert before.waits_for == "the order itself: none has come under this id"
    assert [(it.who, it.what) for it in before.steps] == [("CancelOrder", "request r-1, waiting")]
    stages.carry(shop.placed("o-1"))
    stages.step(shop.cancel("o-1", "r-2"))
    told = [(it.what, it.why) for it in timeline(stages).steps if it.who == "CancelOrder"]
    assert told == [
        ("request r-1, answered", ""),
        ("request r-2, answered", "ORDER_NOT_CANCELLABLE"),
    ]


def test_the_reason_of_a_cancellation_is_told_and_who_sent_it(
    stages: staged_orders.StagedOrders,
) -> None:
    """Before the order has come, and after."""
    asked = msgspec.structs.replace(shop.cancel("o-1", "r-1"), key_id="0123456789ab")
    for _ in range(2):
        stages.record(topics.PLACED, stages.work(asked, note="she is ill"))
    sent = "request r-1 of API_KEY 0123456789ab"
    assert [(it.what, it.why) for it in timeline(stages).steps] == [
        (f"{sent}, waiting", "she is ill")
    ]
    stages.step(shop.placed("o-1"))
    told = [(it.what, it.why) for it in timeline(stages).steps]
    assert (f"{sent}, answered", "she is ill") in told
    assert ("OrderCancelled, CANCELLED version 2", "she is ill") in told


def test_an_unknown_order_has_no_timeline(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1", merchant_id=shop.OTHER_MERCHANT))
    assert order_timeline.get(stages.connection, shop.MERCHANT, "o-1") is None


def test_a_finalized_order_waits_for_nothing(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1", tenders=(shop.card(),)))
    found = timeline(stages)
    assert (found.state, found.charge_state, found.stock_state) == (
        "FINALIZED",
        "FULL",
        "COMMITTED",
    )
    assert (found.total_minor, found.currency, found.trace_id) == (1_000, "EUR", "trace-o-1")
    assert (found.waits_for, found.next_look_us, found.crashes) == ("", None, {})
    assert [(step.who, step.what) for step in found.steps if step.who != "gateway"] == [
        ("intake", "OrderPlaced, PLACED version 1"),
        ("order_processing", "OrderAccepted, ACCEPTED version 2"),
        ("payment_processing", "OrderPaid, PAID version 4"),
        ("finalization", "OrderFinalized, FINALIZED version 5"),
    ]
    (asked,) = (step for step in found.steps if step.who == "gateway")
    assert asked.what == "attempt 1: SALE of tender 1 SUCCEEDED"
    assert "ref-m-1/o-1/1" in asked.why


def test_card_tokens_are_not_shown(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1", tenders=(shop.card(token="tok_secret"),)))
    assert b"tok_secret" not in msgspec.json.encode(timeline(stages))


@pytest.mark.parametrize(
    ("steps", "waits_for"), [(1, topics.PAYMENT.name), (2, topics.FINALIZATION.name)]
)
def test_an_open_order_waits_for_its_next_stage(
    stages: staged_orders.StagedOrders, steps: int, waits_for: str
) -> None:
    facts: list[Fact] = [shop.placed("o-1", tenders=(shop.card(),))]
    for _ in range(steps):
        facts = stages.step(*facts)
    found = timeline(stages)
    assert found.waits_for == waits_for
    assert found.next_look_us is not None


def test_an_unknown_payment_waits_for_the_gateway_and_then_for_an_operator(
    stages: staged_orders.StagedOrders, gateway: gateways.FaultyGateway
) -> None:
    gateway.faults.extend([Fault.LOST_ANSWER, Fault.AWAY])
    stages.carry(shop.placed("o-1", tenders=(shop.card(),)))
    found = timeline(stages)
    assert found.charge_state == "UNKNOWN"
    assert "gateway" in found.waits_for
    assert found.next_look_us is not None
    stages.connection.exec_driver_sql("UPDATE orders SET due_at_us = NULL")
    assert "`souk payments decide`" in timeline(stages).waits_for


def test_a_declined_payment_tells_why(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1", tenders=(shop.card(token="tok_declined:lost_card"),)))
    whys = [step.why for step in timeline(stages).steps if step.who == "gateway"]
    assert len(whys) == 1
    assert whys[0].startswith("lost_card")


def test_an_order_that_is_not_recorded_may_have_a_dead_letter(
    stages: staged_orders.StagedOrders,
) -> None:
    add_dead_letter(stages.connection)
    found = timeline(stages)
    assert (found.state, found.version, found.store_id, found.currency) == ("PLACED", 0, "", "")
    assert "`souk dlq show 17`" in found.waits_for
    assert found.steps == (
        order_timeline.Step(
            shop.NOW_US + 5, "order_processing", "dead letter 17, open", "KEYERROR: 'sku'"
        ),
    )


def test_a_replayed_letter_waits_for_the_first_stage(stages: staged_orders.StagedOrders) -> None:
    add_dead_letter(stages.connection, closed_at_us=shop.NOW_US + 9, closed_by="replayed")
    found = timeline(stages)
    assert topics.ORDER.name in found.waits_for
    assert [step.what for step in found.steps] == ["dead letter 17, replayed"]


def test_steps_of_all_sources_are_sorted_by_time(stages: staged_orders.StagedOrders) -> None:
    stages.clock.advance_us(1_000)
    stages.carry(shop.placed("o-1", tenders=(shop.card(),)))
    add_dead_letter(stages.connection, at_us=shop.NOW_US + 500, closed_at_us=1, closed_by="dropped")
    action = audit_log.Action(
        at_us=shop.NOW_US + 700,
        actor="alex",
        action="LETTER_DROPPED",
        merchant_id=shop.MERCHANT,
        order_id="o-1",
        subject=17,
        detail="order_processing KEYERROR",
        reason="noise",
    )
    audit_log.log(stages.connection, [action])
    steps = timeline(stages).steps
    assert [step.at_us for step in steps] == sorted(step.at_us for step in steps)
    assert [step.who for step in steps[:3]] == ["intake", "order_processing", "operator alex"]
    assert steps[1].what == "dead letter 17, dropped"
    assert (steps[2].what, steps[2].why) == (
        "LETTER_DROPPED 17: order_processing KEYERROR",
        "noise",
    )


def test_crashes_are_counted_by_stage_and_keep_their_name_in_json(
    stages: staged_orders.StagedOrders,
) -> None:
    stages.step(shop.placed("o-1"))
    table = db.METADATA.tables["stage_attempts"]
    counts = {
        "subject_kind": "order",
        "merchant_id": shop.MERCHANT,
        "first_at_us": 1,
        "last_at_us": 2,
    }
    for order_id, stage, attempts in (("o-1", "finalization", 3), ("o-2", "finalization", 5)):
        row = counts | {"subject": order_id, "stage": stage, "attempts": attempts}
        stages.connection.execute(table.insert().values(row))
    found = timeline(stages)
    assert found.crashes == {"finalization": 3}
    assert json.loads(msgspec.json.encode(found))["lives_lost"] == {"finalization": 3}
