"""Every field of every request is searched, and its quick search never misses anything."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.api import card_numbers, status, validation
from internal.kernel import cards as scanner
from internal.kernel import other_numbers
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.support import card_numbers as test_numbers
from tests.unit.api import memory, requests

Kind = scanner.FieldKind
MANY = 100
VISA = "4111111111111111"
GTIN_LIKE_A_VISA = next(
    text
    for text in (f"400638{number:07}" for number in range(1_000))
    if other_numbers.is_gtin(text) and scanner.passes_luhn(text)
)

digits = "0123456789 -\u00a0\u2009\u2010\u2013\uff10\uff17\u0660\u0667\u0966\U0001d7ce"
texts = st.text(st.sampled_from(digits), max_size=30) | st.text(max_size=30)
numbers = st.integers(-(2**31), 2**31 - 1)
orders = st.builds(
    o.OrderDraft,
    order_id=texts,
    store_id=texts,
    note=texts,
    lines=st.lists(st.builds(o.DraftLine, sku=texts, quantity_milli=numbers), max_size=3),
    tenders=st.lists(st.builds(o.Tender, card=st.builds(o.CardTender, token=texts)), max_size=2),
)


@given(order=orders)
def test_clean_bytes_hold_no_number(order: o.OrderDraft) -> None:
    strings = [(order.order_id, Kind.ID), (order.store_id, Kind.ID), (order.note, Kind.TEXT)]
    strings += [(line.sku, Kind.PRODUCT_CODE) for line in order.lines]
    strings += [(tender.card.token, Kind.ID) for tender in order.tenders]
    held = [text for text, kind in strings if scanner.find_card_number(text, kind)]
    assert len(card_numbers.find(order, MANY)) == len(held)
    if held:
        assert not card_numbers.is_clean(order.SerializeToString())


def test_paths() -> None:
    order = memory.draft(note="5555 5555 5555 4444")
    order.lines.append(o.DraftLine(sku="4111111111111111", quantity_milli=1_000))
    request = s.SubmitOrdersRequest(orders=[memory.draft(), order])
    assert not card_numbers.is_clean(request.SerializeToString())
    assert card_numbers.find(request, MANY) == ["orders[1].lines[1].sku", "orders[1].note"]
    assert card_numbers.find(request, 1) == ["orders[1].lines[1].sku"]


def test_an_ordinary_request_is_cleared_by_its_bytes() -> None:
    lines = [o.DraftLine(sku=f"SKU-{number:05}", quantity_milli=number) for number in range(1, 20)]
    request = s.SubmitOrderRequest(order=memory.draft("till-17-000123", lines=lines))
    raw = request.SerializeToString()
    assert card_numbers.is_clean(raw)
    rounds = 500
    seconds = min(timeit.repeat(lambda: card_numbers.is_clean(raw), number=rounds, repeat=5))
    assert seconds / rounds < 100e-6


@pytest.mark.parametrize("field", requests.texts(), ids=str)
@pytest.mark.parametrize("number", test_numbers.OF_SCHEMES.values(), ids=test_numbers.OF_SCHEMES)
def test_a_card_number_in_any_field(field: requests.PlacedField, number: str) -> None:
    blanks = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for text in (number, blanks, blanks.replace(" ", "-")):
        request = field.request_with(text)
        refused = validation.fault_of(request, request.SerializeToString())
        assert refused is not None
        assert refused.reason == "CARD_NUMBER_REFUSED"
        assert number not in str(refused)


@pytest.mark.parametrize(
    "order",
    [
        memory.draft(note="IMEI 490154203237518"),
        memory.draft(note="IMEI 35-209900-176148-1"),
        memory.draft(note="IBAN DE44 5001 0517 5407 3249 31"),
        memory.draft("820982911946154508"),
        memory.draft("shopify-820982911946154508"),
        memory.draft(lines=[o.DraftLine(sku="5449000000996", quantity_milli=1_000)]),
        memory.draft(lines=[o.DraftLine(sku="2611008003214", quantity_milli=1_000)]),
        memory.draft(lines=[o.DraftLine(sku=GTIN_LIKE_A_VISA, quantity_milli=1_000)]),
    ],
)
def test_other_long_numbers_are_accepted(order: o.OrderDraft) -> None:
    assert fault_of(s.SubmitOrderRequest(order=order)) is None


def test_a_reason_may_name_an_imei_or_an_iban() -> None:
    for reason in ("IMEI 490154203237518", "back to DE44 5001 0517 5407 3249 31"):
        request = s.CancelOrderRequest(order_id="o-1", request_id="r-1", reason=reason)
        assert fault_of(request) is None


def test_lengths_are_checked_before_the_search() -> None:
    refused = fault_of(s.SubmitOrderRequest(order=memory.draft(note="-0" * 32_500 + VISA)))
    assert refused is not None
    assert (refused.reason, refused.violations[0][0]) == ("INVALID_ARGUMENT", "order.note")


def fault_of(request: s.SubmitOrderRequest | s.CancelOrderRequest) -> status.Refused | None:
    return validation.fault_of(request, request.SerializeToString())
