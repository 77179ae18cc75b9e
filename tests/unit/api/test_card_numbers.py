"""The quick search of a request's bytes never misses what the search of its fields would find."""

import timeit

from hypothesis import given
from hypothesis import strategies as st

from internal.api import card_numbers
from internal.kernel import cards as scanner
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import memory

Kind = scanner.FieldKind
MANY = 100

digits = "0123456789 -\u00a0\u2009\u2010\u2013\uff10\uff17\u0660\u0667\u0966\U0001d7ce"
texts = st.text(st.sampled_from(digits), max_size=30) | st.text(max_size=30)
numbers = st.integers(-(2**31), 2**31 - 1)
orders = st.builds(
    o.OrderDraft,
    order_id=texts,
    store_id=texts,
    note=texts,
    lines=st.lists(st.builds(o.DraftLine, sku=texts, quantity=numbers), max_size=3),
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
    order.lines.append(o.DraftLine(sku="4111111111111111", quantity=1))
    request = s.SubmitOrdersRequest(orders=[memory.draft(), order])
    assert not card_numbers.is_clean(request.SerializeToString())
    assert card_numbers.find(request, MANY) == ["orders[1].lines[1].sku", "orders[1].note"]
    assert card_numbers.find(request, 1) == ["orders[1].lines[1].sku"]


def test_an_ordinary_request_is_cleared_by_its_bytes() -> None:
    lines = [o.DraftLine(sku=f"SKU-{number:05}", quantity=number) for number in range(1, 20)]
    request = s.SubmitOrderRequest(order=memory.draft("till-17-000123", lines=lines))
    raw = request.SerializeToString()
    assert card_numbers.is_clean(raw)
    rounds = 500
    seconds = min(timeit.repeat(lambda: card_numbers.is_clean(raw), number=rounds, repeat=5))
    assert seconds / rounds < 100e-6
