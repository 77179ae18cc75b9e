"""Any fact that may stand on a topic, for Hypothesis, and an example of each, all fields set."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from internal.kernel import ids, texts
from internal.kernel.money import INT64_MAX, INT64_MIN
from internal.orders import messages
from internal.payments.messages import Captured, Tender, TenderKind
from internal.pricing.messages import Discount, DiscountKind, TaxBucket, WantedLine


def _as_sku(text: str) -> str:
    """Make a name of goods of any text."""
    return text if texts.is_sku(text) else "x"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTS = st.integers(INT64_MIN, INT64_MAX)
IDS = st.from_regex(ids.ID, fullmatch=True)
SKUS = TEXTS.map(_as_sku)
TENDERS = st.builds(Tender, st.sampled_from(TenderKind), st.none() | INTS, TEXTS)
CAPTURED = st.builds(Captured, st.sampled_from(TenderKind), INTS, TEXTS)
DISCOUNTS = st.builds(Discount, st.sampled_from(DiscountKind), INTS)


def _some(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=3).map(tuple)


def _fields(names: st.SearchStrategy[str], skus: st.SearchStrategy[str]) -> dict[str, Any]:
    """Return a strategy for each field that is more than a number or a text."""
    ids_of = ("merchant_id", "order_id", "store_id", "request_id", "body_hash", "currency")
    return {
        **dict.fromkeys(ids_of, names),
        "terminal_id": st.just("") | names,
        "lines": _some(st.builds(messages.StockLine, skus, INTS)),
        "wanted": _some(st.builds(WantedLine, skus, INTS, st.none() | INTS)),
        "taxes": _some(st.builds(TaxBucket, names, INTS, st.booleans(), INTS, INTS)),
        "tenders": _some(TENDERS),
        "captured": _some(CAPTURED),
        "discount": st.none() | DISCOUNTS,
    }


def _facts_of(kind: type, fields: dict[str, Any]) -> st.SearchStrategy[messages.Fact]:
    """Return any fact of a kind: what is not named above is a number or a text, by its type."""
    values = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = fields.get(field.name, INTS if field.type is int else TEXTS)
    if kind is messages.OrderPlaced:
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
    "lines": (messages.StockLine("tea", 2), messages.StockLine("cup", 3)),
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
_TENDERS = (Tender(TenderKind.CASH, 500), Tender(TenderKind.CARD, 2_035, "tok_ok"))
_CAPTURED = (Captured(TenderKind.CASH, 500), Captured(TenderKind.CARD, 2_035, "ref-1"))

EXAMPLES: tuple[messages.Fact, ...] = (
    messages.OrderPlaced(
        merchant_id="m-1",
        order_id="o-1",
        store_id="main",
        currency="EUR",
        lines=(WantedLine("tea", 2, 1_000), WantedLine("cup", 3)),
        tenders=(Tender(TenderKind.CASH, 500), Tender(TenderKind.CARD, None, "tok_ok")),
        body_hash="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        placed_at_us=1_700_000_000_000_000,
        discount=Discount(DiscountKind.BASIS_POINTS, 1_000),
        terminal_id="till-3",
        note="«zwei Tassen», bitte",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    ),
    messages.CancelRequested(
        merchant_id="m-1",
        order_id="o-1",
        request_id="c-1",
        requested_at_us=1_700_000_000_000_002,
        reason="changed my mind",
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
    messages.OrderCancelled(**_ORDER, request_id="c-1", reason="changed my mind"),  # type: ignore[arg-type]
)
