"""The flow as a table: every fact has a topic, every topic that a stage reads a subscription."""

import itertools

import msgspec
import pytest

from internal.catalogue.messages import ProductsChanged
from internal.flow import janitor, topics
from internal.inventory.messages import Reason, StockChanged
from internal.kernel import errors
from internal.kernel.facts import encode
from internal.kernel.states import ChargeState, OrderState
from internal.pipeline import dead_letters, outbox
from tests.support import facts

EVENTS = {
    StockChanged: StockChanged(
        merchant_id="m-1",
        location_id="main",
        sku="Crème/1",
        lot="spring",
        document_id="DN-1",
        reason=Reason.WRITE_OFF,
        quantity_milli=-1_500,
        on_hand_milli=-500,
        reserved_milli=2_000,
        happened_at_us=1,
        at_us=2,
    ),
    ProductsChanged: ProductsChanged(
        merchant_id="m-1", catalogue_version=7, skus=("tea", "cup"), at_us=1
    ),
}


def test_every_fact_has_its_topic() -> None:
    assert set(topics.TOPIC_OF) == {*facts.KINDS, *EVENTS}
    assert {topics.TOPIC_OF[kind] for kind in EVENTS} == {outbox.EVENTS}


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
def test_an_event_is_read_as_it_was_written(event: StockChanged | ProductsChanged) -> None:
    assert topics.ENVELOPE.facts_in(encode(event)) == [event]
    assert (event.occurred_at_us, event.started_at_us, event.refusal_code) == (1, 1, "")


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
def test_an_event_with_a_wrong_id_is_not_read(event: StockChanged | ProductsChanged) -> None:
    wrong = msgspec.structs.replace(event, merchant_id="no id")
    with pytest.raises(errors.Poison, match="merchant_id"):
        topics.ENVELOPE.open(encode(wrong))


def test_a_stage_takes_exactly_what_goes_to_its_topics() -> None:
    for stage in topics.STAGES:
        sent = {kind for kind, topic in topics.TOPIC_OF.items() if topic in stage.topics}
        assert set(stage.takes) == sent


def test_everything_that_is_read_is_kept_from_the_start() -> None:
    kept = topics.subscriptions()
    for stage in topics.STAGES:
        for topic in stage.topics:
            assert kept[topic] == [stage.subscription]
            assert kept[dead_letters.topic_for(topic)] == [topics.DEAD_LETTER_SUBSCRIPTION]
    assert not set(kept) & {topics.FINALIZED, topics.REJECTED}


def test_a_client_hears_of_every_outcome() -> None:
    commands = {topics.PLACED, topics.ORDER_COMMANDS, topics.PAYMENT_COMMANDS}
    assert set(topics.OUTCOMES) == {topics.TOPIC_OF[kind] for kind in facts.KINDS} - commands
    assert set(topics.DECIDED) | set(topics.ENDED) < set(topics.OUTCOMES)


def test_stages_are_found_by_name() -> None:
    for stage in topics.STAGES:
        assert topics.stage_named(stage.name) is stage
    with pytest.raises(errors.InvalidInput, match="order_processing"):
        topics.stage_named("nowhere")


def test_the_janitor_knows_one_way_on_from_every_recorded_open_state() -> None:
    is_open = {OrderState.ACCEPTED, OrderState.PAID}
    for state, charge in itertools.product(OrderState, ChargeState):
        ways = [w for w in janitor.WAYS if w.waiting.state == state and charge in w.waiting.charges]
        assert len(ways) == (state in is_open)
