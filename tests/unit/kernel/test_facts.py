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
