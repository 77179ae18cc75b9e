"""From the wire to facts: turns what a merchant sent into Souk's own messages. Pure.

Requests are validated before. Money is read here, exactly, and must be in the order's currency. The
caller passes in the merchant and the time.
"""

from collections.abc import Iterable, Sequence

import msgspec
from google.protobuf import timestamp_pb2
from google.type import money_pb2

from internal.api import calls
from internal.kernel import errors, facts, money, unit_prices
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.unit_prices import UnitPrice
from internal.orders.messages import (
    Asked,
    CancelRequested,
    Channel,
    OrderPlaced,
    Requested,
    Submission,
    UpdateOrder,
)
from internal.payments import tenders as tender_types
from internal.payments.messages import OnDecline, Tender
from internal.pricing import rules as pricing_rules
from internal.pricing.messages import (
    Adjustment,
    AdjustmentKind,
    AdjustmentSource,
    PriceRequest,
    WantedLine,
)
from internal.privacy.messages import NOTHING, Private
from internal.wire.souk.v1 import order_pb2, order_service_pb2

SOLD_AHEAD_MAX_US = 24 * 3_600 * US_PER_SECOND
"""A till's clock may be ahead of the server's by this much."""


def body_of(draft: order_pb2.OrderDraft) -> bytes:
    """Return the one encoding of a draft that is measured and searched."""
    return draft.SerializeToString(deterministic=True)


def placed(draft: order_pb2.OrderDraft, origin: calls.Origin, path: str) -> Submission:
    """Return the fact of a validated draft, with its private half.

    Args:
        draft: what the merchant sent.
        origin: where it comes from.
        path: leads the path of every field in its request ("order.").

    Raises:
        InvalidMoney: an amount is not in the order's currency, cannot be expressed in it, or is too
            small.
        InvalidInput: there is no tender, one is of no known kind, more than one leaves its amount
            out, two of them or two lines have the same name, or the sale is too far in the future.
    """
    currency = draft.currency
    money.exponent_of(currency, f"{path}currency")
    on_decline = _ON_DECLINE[draft.on_decline]
    if on_decline is OnDecline.REFUSE and not draft.tenders:
        what = "must contain at least 1 item(s), unless the order is kept open"
        raise errors.InvalidInput([(f"{path}tenders", what)])
    tenders = _tenders(draft.tenders, currency, path)
    private = Private(draft.note, tokens_of(draft.tenders, tenders))
    unstamped = OrderPlaced(
        merchant_id=origin.merchant_id,
        order_id=draft.order_id,
        store_id=draft.store_id,
        currency=currency,
        lines=_lines(draft.lines, currency, path),
        tenders=tenders,
        body_hash="",
        placed_at_us=0,
        adjustments=_adjustments(draft.adjustments, currency, path) if draft.adjustments else (),
        terminal_id=draft.terminal_id,
        sold_at_us=_sold_at_us(draft, origin.at_us, path),
        channel=_CHANNELS[draft.channel],
        customer_id=draft.customer_id,
        shift_id=draft.shift_id,
        cashier_id=draft.cashier_id,
        on_decline=on_decline,
        hold_s=draft.hold.seconds,
    )
    fact = msgspec.structs.replace(
        unstamped,
        body_hash=facts.body_hash(unstamped, private),
        placed_at_us=origin.at_us,
        trace_id=origin.trace_id,
    )
    return Submission(fact, NOTHING if private == NOTHING else private)


def _sold_at_us(draft: order_pb2.OrderDraft, now_us: int, path: str) -> int:
    at_us = instant_us(draft.sold_at)
    if at_us > now_us + SOLD_AHEAD_MAX_US:
        what = "must not be more than 24 hours ahead of the server's clock"
        raise errors.InvalidInput([(f"{path}sold_at", what)])
    return at_us


_CHANNELS = {
    order_pb2.CHANNEL_UNSPECIFIED: Channel.TILL,
    order_pb2.CHANNEL_TILL: Channel.TILL,
    order_pb2.CHANNEL_ONLINE: Channel.ONLINE,
    order_pb2.CHANNEL_OFFLINE: Channel.OFFLINE,
}


_ON_DECLINE = {
    order_pb2.ON_DECLINE_UNSPECIFIED: OnDecline.REFUSE,
    order_pb2.ON_DECLINE_REFUSE: OnDecline.REFUSE,
    order_pb2.ON_DECLINE_KEEP_OPEN: OnDecline.KEEP_OPEN,
}


def price_request(
    request: order_service_pb2.QuoteOrderRequest, origin: calls.Origin
) -> PriceRequest:
    """Return what a validated quote asks for.

    Raises:
        InvalidMoney: as for `placed`.
        InvalidInput: two lines have one name.
    """
    currency = request.currency
    money.exponent_of(currency, "currency")
    return PriceRequest(
        merchant_id=origin.merchant_id,
        store_id=request.store_id,
        currency=currency,
        lines=_lines(request.lines, currency, ""),
        sold_at_us=origin.at_us,
        adjustments=_adjustments(request.adjustments, currency, ""),
    )


def cancel_requested(request: order_service_pb2.CancelOrderRequest, origin: calls.Origin) -> Asked:
    """Return the fact of a validated cancel request, with its private half: the reason."""
    unstamped = CancelRequested(
        merchant_id=origin.merchant_id,
        order_id=request.order_id,
        request_id=request.request_id,
        requested_at_us=0,
    )
    return asked(unstamped, Private(request.reason), origin)


def update_requested(request: order_service_pb2.UpdateOrderRequest, origin: calls.Origin) -> Asked:
    """Return the fact of a validated request for new lines.

    Raises:
        InvalidMoney: as for `placed`.
        InvalidInput: two lines have one name.
    """
    currency = request.currency
    money.exponent_of(currency, "currency")
    unstamped = UpdateOrder(
        merchant_id=origin.merchant_id,
        order_id=request.order_id,
        request_id=request.request_id,
        requested_at_us=0,
        currency=currency,
        lines=_lines(request.lines, currency, ""),
        adjustments=_adjustments(request.adjustments, currency, ""),
        expected_version=request.expected_version,
    )
    return asked(unstamped, NOTHING, origin)


def asked(unstamped: Requested, private: Private, origin: calls.Origin) -> Asked:
    """Return a command with its private half, the hash of both, and where it comes from."""
    fact = msgspec.structs.replace(
        unstamped,
        requested_at_us=origin.at_us,
        body_hash=facts.body_hash(unstamped, private),
        trace_id=origin.trace_id,
        key_id=origin.key_id,
    )
    return Asked(fact, private)


def _lines(
    lines: Iterable[order_pb2.DraftLine], currency: str, path: str
) -> tuple[WantedLine, ...]:
    read = tuple(
        _line(line, currency, f"{path}lines[{index}].") for index, line in enumerate(lines)
    )
    twice = pricing_rules.repeated_ref(read)
    if twice:
        what = f"two lines have the line_ref {twice}; a line without one has its number"
        raise errors.InvalidInput([(f"{path}lines", what)])
    return read


def _line(line: order_pb2.DraftLine, currency: str, path: str) -> WantedLine:
    return WantedLine(
        line.sku,
        line.quantity_milli,
        _expected_price(line.expected_price, currency, f"{path}expected_price")
        if line.HasField("expected_price")
        else None,
        line.line_ref,
        _adjustments(line.adjustments, currency, path) if line.adjustments else (),
    )


def _tenders(tenders: Iterable[order_pb2.Tender], currency: str, path: str) -> tuple[Tender, ...]:
    read = tuple(
        tender_of(tender, currency, f"{path}tenders[{place - 1}]", f"t{place}")
        for place, tender in enumerate(tenders, start=1)
    )
    if len(read) == 1:
        return read
    if sum(tender.amount_minor is None for tender in read) > 1:
        what = "at most one tender may leave its amount out"
        raise errors.InvalidInput([(f"{path}tenders", what)])
    if len({tender.tender_ref for tender in read}) < len(read):
        what = "each tender_ref must be unique within the order; t1, t2 and so on are by place"
        raise errors.InvalidInput([(f"{path}tenders", what)])
    return read


def tokens_of(sent: Iterable[order_pb2.Tender], read: Sequence[Tender]) -> dict[str, str]:
    """Return the tokens of the tenders that have one, by their references."""
    tokens = {}
    for wire, tender in zip(sent, read, strict=True):
        row = tender_types.of_kind(tender.kind)
        if row.has_token:
            tokens[tender.tender_ref] = getattr(wire, row.wire_field).token
    return tokens


def tender_of(tender: order_pb2.Tender, currency: str, path: str, name: str) -> Tender:
    """Return a tender as it was sent, called `name` if it has no name; `path` leads to it.

    Raises:
        InvalidMoney: as for `placed`.
        InvalidInput: it is of no known kind.
    """
    row = tender_types.of_wire_field(tender.WhichOneof("kind"), f"{path}.kind")
    way = getattr(tender, row.wire_field)
    return Tender(
        kind=row.kind,
        tender_ref=tender.tender_ref or name,
        amount_minor=_minor(tender.amount, currency, f"{path}.amount")
        if tender.HasField("amount")
        else None,
        given_minor=_minor(way.given, currency, f"{path}.{row.wire_field}.given")
        if row.is_cash and way.HasField("given")
        else 0,
        tip_minor=_minor(tender.tip, currency, f"{path}.tip") if tender.HasField("tip") else 0,
    )


def _adjustments(
    adjustments: Iterable[order_pb2.Adjustment], currency: str, path: str
) -> tuple[Adjustment, ...]:
    return tuple(
        _adjustment(it, currency, f"{path}adjustments[{index}]")
        for index, it in enumerate(adjustments)
    )


def _adjustment(it: order_pb2.Adjustment, currency: str, path: str) -> Adjustment:
    kind, value = AdjustmentKind.BASIS_POINTS, it.basis_points
    if it.HasField("amount"):
        kind, value = AdjustmentKind.AMOUNT, _minor(it.amount, currency, f"{path}.amount")
    return Adjustment(kind, value, _SOURCES[it.source], it.code, it.reason_code, it.allowed_by)


_SOURCES = {
    order_pb2.ADJUSTMENT_SOURCE_UNSPECIFIED: AdjustmentSource.MANUAL,
    order_pb2.ADJUSTMENT_SOURCE_MANUAL: AdjustmentSource.MANUAL,
    order_pb2.ADJUSTMENT_SOURCE_PROMOTION: AdjustmentSource.PROMOTION,
    order_pb2.ADJUSTMENT_SOURCE_COUPON: AdjustmentSource.COUPON,
}


def _expected_price(amount: money_pb2.Money, currency: str, field: str) -> UnitPrice:
    _check_currency(amount, currency, field)
    price = unit_prices.from_parts(currency, amount.units, amount.nanos, field)
    if price.scaled < 0:
        raise errors.InvalidMoney([(field, "must not be below zero")])
    return price


def _minor(amount: money_pb2.Money, currency: str, field: str) -> int:
    _check_currency(amount, currency, field)
    minor = money.from_parts(currency, amount.units, amount.nanos, field)
    if minor < 1:
        raise errors.InvalidMoney([(field, "must be above zero")])
    return minor


def _check_currency(amount: money_pb2.Money, currency: str, field: str) -> None:
    if amount.currency_code != currency:
        what = f"currency_code must be {currency}, the currency of the whole"
        raise errors.InvalidMoney([(field, what)])


def instant_us(at: timestamp_pb2.Timestamp) -> int:
    """Return microseconds since the epoch."""
    return at.seconds * US_PER_SECOND + at.nanos // 1_000
