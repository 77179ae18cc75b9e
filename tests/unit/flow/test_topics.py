"""The flow as a table: every fact has a topic, every topic that a stage reads a subscription."""

import pytest

from internal.flow import janitor, topics
from internal.kernel import errors
from internal.pipeline import dead_letters
from tests.support import facts


def test_every_fact_has_its_topic() -> None:
    assert set(topics.TOPIC_OF) == set(facts.KINDS)


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
    commands = {topics.PLACED, topics.ORDER_COMMANDS}
    assert set(topics.OUTCOMES) == set(topics.TOPIC_OF.values()) - commands
    assert set(topics.DECIDED) | set(topics.ENDED) < set(topics.OUTCOMES)


def test_stages_are_found_by_name() -> None:
    for stage in topics.STAGES:
        assert topics.stage_named(stage.name) is stage
    with pytest.raises(errors.InvalidInput, match="order_processing"):
        topics.stage_named("nowhere")


def test_the_janitor_knows_the_way_on_from_every_open_state() -> None:
    for _, _, taker in janitor.LAST_FACT.values():
        assert taker in topics.STAGES
