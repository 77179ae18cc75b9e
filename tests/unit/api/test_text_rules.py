"""The API's field rules for text agree with the rule of the kernel, character by character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.api import validation
from internal.kernel import texts
from internal.wire.souk.v1 import order_pb2, order_service_pb2

EDGES = "".join(
    map(chr, [*range(0x22), *range(0x7E, 0xA2), *range(0x2000, 0x2070), 0x1680, 0x3000])
)
CALLERS_TEXT = st.text(st.one_of(st.sampled_from(EDGES), st.characters(codec="utf-8")), max_size=70)


def is_accepted(message: order_pb2.DraftLine | order_service_pb2.CancelOrderRequest) -> bool:
    return validation.rules_fault_of(message) is None


def cancel(reason: str) -> order_service_pb2.CancelOrderRequest:
    return order_service_pb2.CancelOrderRequest(order_id="o", request_id="r", reason=reason)


def is_note_accepted(note: str) -> bool:
    draft = order_pb2.OrderDraft(note=note)
    refused = validation.rules_fault_of(draft)
    assert refused is not None
    return "note" not in dict(refused.violations)


@given(CALLERS_TEXT)
def test_skus_of_orders_are_those_of_products(sku: str) -> None:
    assert is_accepted(order_pb2.DraftLine(sku=sku, quantity_milli=1_000)) == texts.is_sku(sku)


@given(CALLERS_TEXT)
def test_notes_and_reasons_are_one_kind_of_text(text: str) -> None:
    is_text = not texts.fault_of_note(text)
    assert is_accepted(cancel(text)) == is_text
    assert is_note_accepted(text) == is_text


@pytest.mark.parametrize("char", EDGES)
def test_every_edge_is_judged_alike(char: str) -> None:
    sku = f"A{char}B"
    assert is_accepted(order_pb2.DraftLine(sku=sku, quantity_milli=1_000)) == texts.is_sku(sku)
    assert is_accepted(order_pb2.DraftLine(sku=char, quantity_milli=1_000)) == texts.is_sku(char)
    assert is_accepted(cancel(char)) == (not texts.fault_of_note(char))


def test_a_refusal_is_told_in_words_and_without_the_text() -> None:
    refused = validation.rules_fault_of(order_pb2.DraftLine(sku=" A-1", quantity_milli=1_000))
    assert refused is not None
    assert refused.violations == (("sku", texts.SKU_FORM),)
    refused = validation.rules_fault_of(cancel("a\u202eb"))
    assert refused is not None
    [(field, what)] = refused.violations
    assert (field, "U+202E" in what) == ("reason", True)
    assert "\u202e" not in refused.text
