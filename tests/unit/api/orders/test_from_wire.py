"""From the wire to facts: amounts are exact and in the order's currency, or refused by path."""

import re

import pytest
from google.protobuf import timestamp_pb2
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from internal.api import calls
from internal.api.orders import from_wire, to_wire
from internal.kernel import errors
from internal.kernel.unit_prices import UnitPrice
from internal.orders.messages import CancelRequested, OrderPlaced
from internal.payments.messages import Tender, TenderKind
from internal.pricing.messages import (
    Adjustment,
    AdjustmentKind,
    AdjustmentSource,
    PriceRequest,
    WantedLine,
)
from internal.privacy.messages import Private
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import memory

ORIGIN = calls.Origin("m1", "trace", 17)


def money(units: int, nanos: int = 0, currency: str = "EUR") -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def placed(draft: o.OrderDraft, origin: calls.Origin = ORIGIN, path: str = "order.") -> OrderPlaced:
    return from_wire.placed(draft, origin, path).placed


def line(price: money_pb2.Money) -> o.DraftLine:
    return o.DraftLine(sku="tea", quantity_milli=1_000, expected_price=price)


def cash(amount: money_pb2.Money | None = None) -> o.Tender:
    return o.Tender(cash=o.CashTender(), amount=amount)


def named(tender_ref: str, units: int) -> o.Tender:
    return o.Tender(cash=o.CashTender(), amount=money(units), tender_ref=tender_ref)


def test_every_field_arrives() -> None:
    draft = memory.draft(
        terminal_id="till-1",
        note="ring twice",
        lines=[line(money(3, 500_000_000)), o.DraftLine(sku="rose", quantity_milli=12_000)],
        adjustments=[o.Adjustment(basis_points=250)],
        tenders=[
            o.Tender(
                cash=o.CashTender(given=money(10)),
                amount=money(5),
                tip=money(1, 500_000_000),
                tender_ref="notes",
            ),
            o.Tender(card=o.CardTender(token="tok")),
        ],
    )
    fact, private = from_wire.placed(draft, ORIGIN, "order.")
    assert (fact.merchant_id, fact.order_id, fact.store_id) == ("m1", "o-1", "s-1")
    assert (fact.terminal_id, fact.currency) == ("till-1", "EUR")
    assert (fact.placed_at_us, fact.trace_id) == (17, "trace")
    assert fact.lines == (WantedLine("tea", 1_000, UnitPrice(350)), WantedLine("rose", 12_000))
    assert fact.adjustments == (Adjustment(AdjustmentKind.BASIS_POINTS, 250),)
    assert fact.tenders == (
        Tender(TenderKind.CASH, "notes", 500, 1_000, 150),
        Tender(TenderKind.CARD, "t2"),
    )
    assert private == Private("ring twice", {"t2": "tok"})


def test_when_how_and_by_whom_it_was_sold_arrives() -> None:
    draft = memory.draft(
        sold_at=timestamp_pb2.Timestamp(seconds=1, nanos=2_000),
        channel=o.CHANNEL_OFFLINE,
        customer_id="c-1",
        shift_id="s-7",
        cashier_id="k-2",
    )
    fact = placed(draft)
    assert (fact.sold_at_us, fact.sale_at_us, fact.channel) == (1_000_002, 1_000_002, "OFFLINE")
    assert (fact.customer_id, fact.shift_id, fact.cashier_id) == ("c-1", "s-7", "k-2")
    plain = placed(memory.draft())
    assert (plain.sold_at_us, plain.sale_at_us, plain.channel) == (0, 17, "TILL")


def test_the_hash_covers_the_draft_and_nothing_else() -> None:
    first = placed(memory.draft())
    later = placed(memory.draft(), calls.Origin("m1", "other", 18), "orders[7].")
    assert first.body_hash == later.body_hash
    assert re.fullmatch("[0-9a-f]{32}", first.body_hash)


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "other"},
        {"terminal_id": "till-2"},
        {"store_id": "s-2"},
        {"lines": [o.DraftLine(sku="tea", quantity_milli=3)]},
        {"adjustments": [o.Adjustment(basis_points=1)]},
        {"tenders": [o.Tender(card=o.CardTender(token="tok"))]},
        {"tenders": [cash(money(1))]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_draft_has_another_hash(changes: dict[str, object]) -> None:
    assert placed(memory.draft(**changes)).body_hash != placed(memory.draft()).body_hash  # type: ignore[arg-type]


def test_another_token_has_another_hash() -> None:
    drafts = [memory.draft(tenders=[o.Tender(card=o.CardTender(token=it))]) for it in "ab"]
    assert placed(drafts[0]).body_hash != placed(drafts[1]).body_hash


def test_a_field_that_this_souk_does_not_know_changes_no_hash() -> None:
    """A client with a later contract sends it, at the top and inside a line."""
    known = memory.draft(lines=[o.DraftLine(sku="tea", quantity_milli=2)])
    later = known.SerializeToString() + UNKNOWN_FIELD
    line_field = known.lines[0].SerializeToString()
    longer = bytes([len(line_field) + len(UNKNOWN_FIELD)]) + line_field + UNKNOWN_FIELD
    deep = known.SerializeToString().replace(bytes([len(line_field)]) + line_field, longer)
    for sent in (later, deep):
        assert sent != known.SerializeToString()
        read = o.OrderDraft.FromString(sent)
        assert read.SerializeToString() != known.SerializeToString()
        assert placed(read).body_hash == placed(known).body_hash


UNKNOWN_FIELD = b"\xba\x3e\x03red"
"""Field 999, a text."""


def test_a_cancel_request_has_a_hash_of_its_meaning() -> None:
    def hash_of(reason: str, request_id: str = "r-1", trace_id: str = "trace") -> str:
        request = s.CancelOrderRequest(order_id="o-1", request_id=request_id, reason=reason)
        fact, private = from_wire.cancel_requested(request, calls.Origin("m1", trace_id, 5))
        assert private.note == reason
        return fact.body_hash

    request = s.CancelOrderRequest(order_id="o-1", request_id="r-1", reason="late")
    fact, _ = from_wire.cancel_requested(request, calls.Origin("m1", "trace", 5, "0123456789ab"))
    assert (fact.key_id, fact.body_hash) == ("0123456789ab", hash_of("late"))
    assert hash_of("late") == hash_of("late", trace_id="other")
    assert len({hash_of("late"), hash_of("later"), hash_of(""), hash_of("late", "r-2")}) == 4


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"currency": "ZZZ"}, "order.currency"),
        ({"lines": [line(money(3, currency="USD"))]}, "order.lines[0].expected_price"),
        ({"lines": [line(money(3, currency=""))]}, "order.lines[0].expected_price"),
        ({"lines": [line(money(3)), line(money(-1))]}, "order.lines[1].expected_price"),
        ({"lines": [line(money(3, 1))]}, "order.lines[0].expected_price"),
        (
            {"lines": [o.DraftLine(sku="a", adjustments=[o.Adjustment(amount=money(0))])]},
            "order.lines[0].adjustments[0].amount",
        ),
        ({"lines": [o.DraftLine(sku="a", line_ref="2"), o.DraftLine(sku="a")]}, "order.lines"),
        ({"lines": [line(money(2**63 - 1))]}, "order.lines[0].expected_price"),
        ({"lines": [line(money(1, -10_000_000))]}, "order.lines[0].expected_price"),
        ({"adjustments": [o.Adjustment(amount=money(0))]}, "order.adjustments[0].amount"),
        (
            {"adjustments": [o.Adjustment(amount=money(1, currency="USD"))]},
            "order.adjustments[0].amount",
        ),
        ({"tenders": [cash(), cash(money(0))]}, "order.tenders[1].amount"),
        ({"tenders": [cash(money(-5))]}, "order.tenders[0].amount"),
        ({"tenders": [cash(), cash()]}, "order.tenders"),
        ({"tenders": [o.Tender(cash=o.CashTender(given=money(0)))]}, "order.tenders[0].cash.given"),
        ({"tenders": [o.Tender(cash=o.CashTender(), tip=money(-1))]}, "order.tenders[0].tip"),
        ({"tenders": [named("a", 1), named("a", 2)]}, "order.tenders"),
        ({"tenders": [named("t2", 1), cash()]}, "order.tenders"),
        ({"sold_at": timestamp_pb2.Timestamp(seconds=86_401)}, "order.sold_at"),
    ],
)
def test_refused_by_path(changes: dict[str, object], path: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        placed(memory.draft("o-1", **changes))
    assert [field for field, _ in caught.value.violations] == [path]


def test_a_free_line_and_a_discount_by_amount() -> None:
    draft = memory.draft(
        lines=[line(money(0))], adjustments=[o.Adjustment(amount=money(1, 10_000_000))]
    )
    fact = placed(draft)
    assert fact.lines[0].expected_price == UnitPrice(0)
    assert fact.adjustments == (Adjustment(AdjustmentKind.AMOUNT, 101),)


def test_an_expected_price_may_be_below_a_cent() -> None:
    fact = placed(memory.draft(lines=[line(money(0, 232_670_000))]))
    assert fact.lines[0].expected_price == UnitPrice(23_267, 3)


def test_a_line_has_a_name_and_adjustments_of_its_own() -> None:
    coupon = o.Adjustment(
        basis_points=500,
        source=o.ADJUSTMENT_SOURCE_COUPON,
        code="WELCOME",
        reason_code="FIRST_ORDER",
        allowed_by="anna",
    )
    by_hand = o.Adjustment(amount=money(1))
    lines = [
        o.DraftLine(sku="ham", quantity_milli=750, line_ref="a-1", adjustments=[coupon, by_hand])
    ]
    assert placed(memory.draft(lines=lines)).lines == (
        WantedLine(
            "ham",
            750,
            None,
            "a-1",
            (
                Adjustment(
                    AdjustmentKind.BASIS_POINTS,
                    500,
                    AdjustmentSource.COUPON,
                    "WELCOME",
                    "FIRST_ORDER",
                    "anna",
                ),
                Adjustment(AdjustmentKind.AMOUNT, 100),
            ),
        ),
    )


def test_a_quote_and_a_cancel_request() -> None:
    lines = [o.DraftLine(sku="tea", quantity_milli=2_000)]
    request = s.QuoteOrderRequest(store_id="s-1", currency="EUR", lines=lines)
    expected = PriceRequest("m1", "s-1", "EUR", (WantedLine("tea", 2_000),), 17)
    assert from_wire.price_request(request, ORIGIN) == expected
    cancel = s.CancelOrderRequest(order_id="o-1", request_id="r-1", reason="late")
    fact, private = from_wire.cancel_requested(cancel, ORIGIN)
    assert fact == CancelRequested("m1", "o-1", "r-1", 17, fact.body_hash, "trace")
    assert private == Private("late")


@given(minor=st.integers(1, 2**62), currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_amounts_go_in_and_out_unchanged(minor: int, currency: str) -> None:
    """from_wire reads the amounts that to_wire writes."""
    discount = o.Adjustment(amount=to_wire.money_of(minor, currency))
    fact = placed(memory.draft(currency=currency, adjustments=[discount]))
    assert fact.adjustments == (Adjustment(AdjustmentKind.AMOUNT, minor),)
