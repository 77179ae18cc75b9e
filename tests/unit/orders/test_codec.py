"""Facts survive their way through JSON, and those that were written yesterday stay readable."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.flow import topics
from internal.kernel import errors
from internal.orders import codec, messages
from tests.support import facts

YESTERDAY = Path(__file__).parents[2] / "data" / "messages_v2"
"""Written once and never changed: what stands on a topic when a new Souk starts."""


def file_of(fact: messages.Fact) -> Path:
    name = type(fact).__name__
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return YESTERDAY / f"{snake}.json"


@given(facts.LOGGED)
def test_a_fact_comes_back_as_it_was(fact: messages.Fact) -> None:
    assert codec.decode(codec.encode(fact)) == fact


@given(facts.LOGGED)
def test_what_is_not_set_is_not_written(fact: messages.Fact) -> None:
    written = msgspec.json.decode(codec.encode(fact))
    assert written["type"] == type(fact).__name__
    assert "trace_id" not in written or written["trace_id"]


@pytest.mark.parametrize("fact", facts.EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_yesterdays_fact_is_readable(fact: messages.Fact) -> None:
    assert topics.ENVELOPE.facts_in(file_of(fact).read_bytes()) == [fact]


@pytest.mark.parametrize("fact", facts.EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_yesterdays_reader_finds_all_it_knows(fact: messages.Fact) -> None:
    """Fields are only ever added: what is written today holds all that was written then."""
    (then,) = msgspec.json.decode(file_of(fact).read_bytes())["facts"]
    now = msgspec.json.decode(codec.encode(fact))
    assert {name: now[name] for name in then} == then


def test_yesterdays_batch_and_bare_fact_are_readable() -> None:
    assert topics.ENVELOPE.facts_in((YESTERDAY / "batch.json").read_bytes()) == [
        *facts.EXAMPLES[:2]
    ]
    assert topics.ENVELOPE.facts_in((YESTERDAY / "bare_fact.json").read_bytes()) == [
        facts.EXAMPLES[2]
    ]


def test_every_kind_of_fact_was_kept() -> None:
    assert {type(fact) for fact in facts.EXAMPLES} == set(facts.KINDS)


def test_a_field_of_tomorrow_is_passed_over() -> None:
    written = msgspec.json.decode(codec.encode(facts.EXAMPLES[1]))
    assert codec.decode(msgspec.json.encode({**written, "colour": "red"})) == facts.EXAMPLES[1]


@given(st.binary() | st.text().map(str.encode))
def test_bytes_of_any_kind_are_a_fact_or_poison(data: bytes) -> None:
    with pytest.raises(errors.Poison):
        codec.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"type":' * 100_000,
        b'{"type":"OrderRejected"}',
        b'{"type":"Nobody"}',
        b'{"type":"CancelRequested","merchant_id":"\xff","order_id":"","request_id":"",'
        b'"body_hash":"","requested_at_us":1}',
        b'{"type":"CancelRequested","merchant_id":"\\ud800","order_id":"","request_id":"",'
        b'"body_hash":"","requested_at_us":1}',
        b'{"type":"CancelRequested","merchant_id":"m","order_id":"o","request_id":"r",'
        b'"body_hash":"h","requested_at_us":1.5}',
    ],
)
def test_what_is_no_fact_is_poison(data: bytes) -> None:
    with pytest.raises(errors.Poison):
        codec.decode(data)
