"""Any fact that may stand on a topic, for Hypothesis, and an example of each, all fields set."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from internal.kernel import ids, texts
from internal.kernel.money import INT64_MAX, INT64_MIN
from internal.kernel.unit_prices import SCALE_MAX, UnitPrice
from internal.orders import messages
from internal.payments.messages import Captured, OnDecline, Tender, TenderKind
from internal.pricing.messages import (
    Adjustment,
    AdjustmentKind,
    AdjustmentSource,
    TaxBucket,
    WantedLine,
)
from internal.privacy.messages import Private


def _as_sku(text: str) -> str:
    """Make a name of goods of any text."""
    return text if texts.is_sku(text) else "x"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTS = st.integers(INT64_MIN, INT64_MAX)
IDS = st.from_regex(ids.ID, fullmatch=True)
SKUS = TEXTS.map(_as_sku)
PRIVATE = st.builds(Private, TEXTS, st.dictionaries(IDS, TEXTS, max_size=2), TEXTS)
TENDERS = st.builds(
    Tender,
    st.sampled_from(TenderKind),
    IDS,
    st.none() | INTS,
    given_minor=INTS,
    tip_minor=INTS,
    change_minor=INTS,
    rounding_minor=INTS,
)
CAPTURED = st.builds(Captured, st.sampled_from(TenderKind), INTS, TEXTS, INTS, INTS)
PRICES = st.builds(UnitPrice, INTS, st.integers(0, SCALE_MAX))


def _ref(tender: Tender) -> str:
    return tender.tender_ref


def _some(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=3).map(tuple)


def _adjustments(names: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[object, ...]]:
    kinds, sources = st.sampled_from(AdjustmentKind), st.sampled_from(AdjustmentSource)
    optional = st.just("") | names
    return _some(st.builds(Adjustment, kinds, INTS, sources, optional, optional, optional))


def _fields(names: st.SearchStrategy[str], skus: st.SearchStrategy[str]) -> dict[str, Any]:
    """Return a strategy for each field that is more than a number or a text."""
    ids_of = ("merchant_id", "order_id", "store_id", "request_id", "body_hash", "currency")
    optional_ids = ("terminal_id", "customer_id", "shift_id", "cashier_id", "key_id")
    return {
        **dict.fromkeys(ids_of, names),
        **dict.fromkeys(optional_ids, st.just("") | names),
        "channel": st.sampled_from(messages.Channel),
        "on_decline": st.sampled_from(OnDecline),
        "lines": _some(st.builds(messages.StockLine, skus, INTS)),
        "wanted": _some(
            st.builds(
                WantedLine,
                skus,
                INTS,
                st.none() | PRICES,
                st.just("") | names,
                _adjustments(names),
            )
        ),
        "taxes": _some(st.builds(TaxBucket, names, INTS, st.booleans(), INTS, INTS, INTS)),
        "tenders": st.lists(TENDERS, max_size=3, unique_by=_ref).map(tuple),
        "captured": _some(CAPTURED),
        "tender": TENDERS,
        "adjustments": _adjustments(names),
    }


def _facts_of(kind: type, fields: dict[str, Any]) -> st.SearchStrategy[messages.Fact]:
    """Return any fact of a kind: what is not named above is a number or a text, by its type."""
    values = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = fields.get(field.name, INTS if field.type is int else TEXTS)
    if kind in {messages.OrderPlaced, messages.UpdateOrder}:
        values["lines"] = fields["wanted"]
    return st.builds(kind, **values)


KINDS: tuple[type, ...] = messages.Fact.__args__
FACTS: st.SearchStrategy[messages.Fact] = st.one_of(
    *(_facts_of(kind, _fields(IDS, SKUS)) for kind in KINDS)
)
LOGGED: st.SearchStrategy[messages.Fact] = st.one_of(
    *(_facts_of(kind, _fields(TEXTS, TEXTS)) for kind in KINDS)
)
"""With any texts as ids: rows of the log that are older than the rules."""

_ORDER = {
    "order_key": 42,
    "merchant_id": "m-1",
    "order_id": "o-1",
    "store_id": "main",
    "version": 2,
    "at_us": 1_700_000_000_000_001,
    "placed_at_us": 1_700_000_000_000_000,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
_AMOUNTS = {
    "currency": "EUR",
    "lines": (messages.StockLine("tea", 2_000), messages.StockLine("cup", 3_000)),
    "taxes": (
        TaxBucket("std", 190_000, inclusive=True, taxable_minor=1_513, tax_minor=287),
        TaxBucket("us", 88_750, inclusive=False, taxable_minor=675, tax_minor=60),
    ),
    "gross_minor": 2_750,
    "discount_minor": 275,
    "net_minor": 2_188,
    "tax_minor": 347,
    "total_minor": 2_535,
    "discount_net_minor": 243,
}
_FIVE_OFF = Adjustment(
    AdjustmentKind.AMOUNT, 5, AdjustmentSource.COUPON, "WELCOME", "FIRST_ORDER", "anna"
)
_TENDERS = (
    Tender(TenderKind.CASH, "notes", 500, given_minor=1_000, change_minor=501, rounding_minor=-1),
    Tender(TenderKind.CARD, "t2", 2_035, tip_minor=200),
)
_CAPTURED = (
    Captured(TenderKind.CASH, 499, rounding_minor=-1),
    Captured(TenderKind.CARD, 2_235, "ref-1", tip_minor=200),
)

EXAMPLES: tuple[messages.Fact, ...] = (
    messages.OrderPlaced(
        merchant_id="m-1",
        order_id="o-1",
        store_id="main",
        currency="EUR",
        lines=(
            WantedLine("tea", 2_000, UnitPrice(1_000), "a", (_FIVE_OFF,)),
            WantedLine("cup", 3_000),
        ),
        tenders=(
            Tender(TenderKind.CASH, "notes", 500, given_minor=1_000),
            Tender(TenderKind.CARD, "t2", tip_minor=200),
        ),
        body_hash="cae66941d9efbd404e4d88758ea67670",
        placed_at_us=1_700_000_000_000_000,
        adjustments=(Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),),
        terminal_id="till-3",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    ),
    messages.CancelRequested(
        merchant_id="m-1",
        order_id="o-1",
        request_id="c-1",
        requested_at_us=1_700_000_000_000_002,
        body_hash="786a02f742015903c6c6fd852552d272",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    ),
    messages.OrderAccepted(**_ORDER, **_AMOUNTS, tenders=_TENDERS),  # type: ignore[arg-type]
    messages.OrderPaid(**_ORDER, **_AMOUNTS, captured=_CAPTURED),  # type: ignore[arg-type]
    messages.OrderFinalized(**_ORDER, currency="EUR", total_minor=2_535, receipt_no=7),  # type: ignore[arg-type]
    messages.OrderRejected(
        **_ORDER,  # type: ignore[arg-type]
        stage=messages.LogStage.ORDER,
        reason=messages.RejectReason.OUT_OF_STOCK,
        explanation="rare: 3 wanted, 2 available",
    ),
    messages.OrderCancelled(**_ORDER, request_id="c-1"),  # type: ignore[arg-type]
    messages.OrderExpired(**_ORDER),  # type: ignore[arg-type]
    messages.OrderLeftOpen(**_ORDER),  # type: ignore[arg-type]
    messages.AddTender(
        merchant_id="m-1",
        order_id="o-1",
        request_id="p-1",
        body_hash="e3b0c44298fc1c149afbf4c8996fb924",
        requested_at_us=1_700_000_000_000_002,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        currency="EUR",
        tender=_TENDERS[0],
    ),
    messages.UpdateOrder(
        merchant_id="m-1",
        order_id="o-1",
        request_id="u-1",
        body_hash="e3b0c44298fc1c149afbf4c8996fb924",
        requested_at_us=1_700_000_000_000_002,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        currency="EUR",
        lines=(WantedLine("tea", 3_000, UnitPrice(1_000), "a", (_FIVE_OFF,)),),
        adjustments=(Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),),
        expected_version=2,
    ),
    messages.PaymentDue(
        merchant_id="m-1",
        order_id="o-1",
        order_key=42,
        at_us=1_700_000_000_000_002,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    ),
)

HALVES: dict[type, Private] = {
    messages.OrderPlaced: Private("«zwei Tassen», bitte", {"t2": "tok_ok"}),
    messages.CancelRequested: Private("changed my mind"),
}
"""The private halves of the examples that may have one."""
