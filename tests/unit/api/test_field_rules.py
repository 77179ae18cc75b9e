"""The bounded check finds what the library finds, and no more than is asked for."""

import protovalidate
from hypothesis import given
from hypothesis import strategies as st

from internal.api import field_rules
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import memory

ALL = 10_000
texts = st.sampled_from(["", "a", "EUR", "-", "x" * 65, "x" * 501])
lines = st.lists(
    st.builds(o.DraftLine, sku=texts, quantity_milli=st.sampled_from([0, 1, -1])), max_size=5
)
discounts = st.lists(
    st.builds(o.Adjustment, basis_points=st.sampled_from([0, 1, 10_001])), max_size=2
)
tenders = st.builds(o.Tender) | st.builds(o.Tender, card=st.builds(o.CardTender, token=texts))
orders = st.builds(
    o.OrderDraft,
    order_id=texts,
    store_id=texts,
    terminal_id=texts,
    currency=texts,
    note=texts,
    lines=lines,
    adjustments=discounts,
    tenders=st.lists(tenders, max_size=3),
)
submits = st.builds(s.SubmitOrderRequest, order=st.none() | orders, wait_for=st.integers(0, 3))
quotes = st.builds(
    s.QuoteOrderRequest, store_id=texts, currency=texts, lines=lines, adjustments=discounts
)
lists = st.builds(s.ListOrdersRequest, states=st.lists(st.integers(0, 9)), page_token=texts)


@given(st.one_of(submits, quotes, lists))
def test_it_finds_what_the_library_finds(request: s.SubmitOrderRequest) -> None:
    theirs = protovalidate.collect_violations(request)
    found = field_rules.find(request, ALL)
    assert sorted(found) == sorted((field_rules.path_of(it), it.proto.message) for it in theirs)


@given(submits, st.integers(1, 5))
def test_it_stops_where_it_is_told_to(request: s.SubmitOrderRequest, told_max: int) -> None:
    assert field_rules.find(request, told_max) == field_rules.find(request, ALL)[:told_max]


def test_a_list_that_is_too_long_is_all_that_is_told() -> None:
    request = s.QuoteOrderRequest(lines=[o.DraftLine()] * 201)
    assert field_rules.find(request, ALL) == [("lines", "must contain no more than 200 item(s)")]
    assert len(field_rules.find(s.QuoteOrderRequest(lines=[o.DraftLine()] * 200), 20)) == 20


def test_a_fault_far_behind_is_found() -> None:
    order = memory.draft(
        lines=[o.DraftLine(sku="a", quantity_milli=1_000)] * 199 + [o.DraftLine(sku="a")]
    )
    [(path, _)] = field_rules.find(s.SubmitOrderRequest(order=order), ALL)
    assert path == "order.lines[199].quantity_milli"
