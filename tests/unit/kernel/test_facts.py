"""All facts answer what the pipeline asks, and their codec reads what it wrote and nothing else."""

import msgspec
import pytest
from hypothesis import given

from internal.kernel import errors
from internal.kernel import facts as kernel_facts
from internal.orders import messages
from tests.support import facts, shop

REFUSALS = {
    "OrderRejected": "OUT_OF_STOCK",
    "OrderCancelled": "CANCELLED_BY_MERCHANT",
    "OrderExpired": "HOLD_ENDED",
}


class ParcelShipped(msgspec.Struct, frozen=True, tag=True):
    """A fact of another noun."""

    merchant_id: str


@pytest.mark.parametrize("fact", facts.EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_a_fact_says_what_the_pipeline_asks(fact: messages.Fact) -> None:
    asked: kernel_facts.Fact = fact
    assert (asked.merchant_id, asked.key) == ("m-1", fact.order_id)
    assert asked.started_at_us <= asked.occurred_at_us
    assert asked.trace_id == fact.trace_id


def test_only_refusals_have_a_code_and_it_is_ours() -> None:
    codes = {type(fact).__name__: fact.refusal_code for fact in facts.EXAMPLES}
    refused = {kind: code for kind, code in codes.items() if code}
    assert set(refused) == set(REFUSALS)
    assert refused["OrderCancelled"] == REFUSALS["OrderCancelled"]


@given(facts.LOGGED)
def test_a_codec_reads_what_was_encoded(fact: messages.Fact) -> None:
    codec: kernel_facts.Codec[messages.Fact] = kernel_facts.Codec(messages.Fact)
    raw = kernel_facts.encode(fact)
    assert codec.decode(raw) == fact
    assert codec.decode(raw.decode()) == fact
    assert codec.decode(msgspec.Raw(raw)) == fact


def test_a_codec_refuses_another_nouns_fact() -> None:
    codec: kernel_facts.Codec[messages.Fact] = kernel_facts.Codec(messages.Fact)
    with pytest.raises(errors.Poison, match="ParcelShipped"):
        codec.decode(kernel_facts.encode(ParcelShipped("m-1")))


def test_the_digest_tells_one_byte_and_is_the_same_for_a_view() -> None:
    raw = kernel_facts.encode(shop.placed("o"))
    assert kernel_facts.digest(raw) == kernel_facts.digest(msgspec.Raw(raw))
    assert kernel_facts.digest(raw) != kernel_facts.digest(raw.replace(b'"o"', b'"p"'))


class Parcel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Contents of something that may come twice."""

    weight_g: int
    lines: tuple[str, ...] = ()


class Later(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same as a later Souk knows it: fields are added, and stand elsewhere."""

    lines: tuple[str, ...] = ()
    colour: str = ""
    weight_g: int = 0


def test_a_later_souks_new_fields_change_no_hash_while_they_have_their_defaults() -> None:
    today = kernel_facts.body_hash(Parcel(7, ("a", "b")))
    assert today == kernel_facts.body_hash(Later(weight_g=7, lines=("a", "b")))
    assert today != kernel_facts.body_hash(Later(weight_g=7, lines=("a", "b"), colour="red"))
    assert today != kernel_facts.body_hash(Parcel(7, ("b", "a")))
    assert today != kernel_facts.body_hash(Parcel(7, ("a", "b")), Parcel(7))


def test_the_hash_is_made_the_same_way_in_every_release() -> None:
    """Written once and never changed: a retry may come long after an upgrade."""
    assert kernel_facts.body_hash(Parcel(7, ("a", "b"))) == "b6e0faf805db55885a4a44a8ab118983"
