"""From facts and views to the wire: orders, quotes and steps as merchants see them. Pure.

Never writes card tokens, other merchants' data or anything internal.
"""

from collections.abc import Iterable, Sequence

from google.protobuf import timestamp_pb2
from google.type import money_pb2

from internal.kernel import money, unit_prices
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import OrderState
from internal.kernel.unit_prices import UnitPrice
from internal.orders.messages import OrderPlaced, Submission
from internal.payments import tenders as tender_types
from internal.payments.messages import Attempt, Operation
from internal.payments.order_tenders import TenderRecord
from internal.pricing import taxes, trace
from internal.pricing.messages import PricedLine, PricedOrder, TaxBucket
from internal.views.order import OrderView, TimelineEntry
from internal.views.order_list import OrderSummary
from internal.wire.souk.v1 import order_pb2, order_service_pb2

_COMMANDS = {
    "CancelOrder": order_pb2.ORDER_COMMAND_CANCEL,
    "AddTender": order_pb2.ORDER_COMMAND_ADD_TENDER,
    "UpdateOrder": order_pb2.ORDER_COMMAND_UPDATE,
}


def state_of(state: str) -> str:
    """Return the wire's name of an order's state."""
    return f"ORDER_STATE_{state}"


def tender_kind_of(kind: str) -> str:
    """Return the wire's name of a kind of tender.

    Raises:
        Poison: the kind is unknown.
    """
    return f"TENDER_KIND_{tender_types.of_kind(kind).kind}"


def order_of(known: OrderView | Submission) -> order_pb2.Order:
    """Return the whole of an order, recorded or only placed."""
    return _recorded(known) if isinstance(known, OrderView) else _placed(known)


def summary_of(order: OrderSummary) -> order_pb2.OrderSummary:
    """Return an order in one line."""
    return order_pb2.OrderSummary(
        order_id=order.order_id,
        store_id=order.store_id,
        terminal_id=order.terminal_id,
        state=state_of(order.state),
        charge_state=f"CHARGE_STATE_{order.charge_state}",
        stock_state=f"STOCK_STATE_{order.stock_state}",
        version=order.version,
        total=money_of(order.total_minor, order.currency) if order.is_priced else None,
        receipt_number=order.receipt_no or 0,
        refusal_reason=order.reason if order.state is OrderState.REJECTED else "",
        placed_at=_instant(order.placed_at_us),
        updated_at=_instant(order.updated_at_us),
    )


def quote_of(priced: PricedOrder) -> order_service_pb2.QuoteOrderResponse:
    """Return what something would cost."""
    return order_service_pb2.QuoteOrderResponse(
        lines=_lines(priced.lines, priced.currency),
        taxes=_taxes(priced.taxes, priced.currency),
        totals=_totals(priced),
        price_trace=trace.steps(priced.lines, priced.currency),
    )


def step_of(entry: TimelineEntry) -> order_pb2.LogEntry:
    """Return what happened to an order."""
    return order_pb2.LogEntry(
        stage=entry.stage,
        event=type(entry.fact).__name__,
        version=entry.version,
        state=state_of(entry.state),
        reason=entry.reason,
        at=_instant(entry.at_us),
    )


def money_of(minor: int, currency: str) -> money_pb2.Money:
    """Return an amount on the wire."""
    units, nanos = money.to_parts(minor, currency)
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def _placed(submission: Submission) -> order_pb2.Order:
    fact = submission.placed
    return order_pb2.Order(
        order_id=fact.order_id,
        store_id=fact.store_id,
        terminal_id=fact.terminal_id,
        currency=fact.currency,
        state=order_pb2.ORDER_STATE_PLACED,
        charge_state=order_pb2.CHARGE_STATE_NONE,
        stock_state=order_pb2.STOCK_STATE_NONE,
        lines=_wanted_lines(fact),
        tenders=[
            tender_of(TenderRecord(tender_no=number, tender=tender), fact.currency)
            for number, tender in enumerate(fact.tenders, start=1)
        ],
        placed_at=_instant(fact.placed_at_us),
        updated_at=_instant(fact.placed_at_us),
        note=submission.private.note,
        trace_id=fact.trace_id,
        sold_at=_instant(fact.sale_at_us),
        channel=f"CHANNEL_{fact.channel}",
        customer_id=fact.customer_id,
        shift_id=fact.shift_id,
        cashier_id=fact.cashier_id,
        on_decline=f"ON_DECLINE_{fact.on_decline}",
    )


def _recorded(view: OrderView) -> order_pb2.Order:
    placed = next((e.fact for e in view.timeline if isinstance(e.fact, OrderPlaced)), None)
    order = order_pb2.Order(
        order_id=view.order_id,
        store_id=view.store_id,
        terminal_id=view.terminal_id,
        currency=view.currency,
        state=state_of(view.state),
        charge_state=f"CHARGE_STATE_{view.charge_state}",
        stock_state=f"STOCK_STATE_{view.stock_state}",
        version=view.version,
        tenders=[tender_of(it, view.currency, view.attempts) for it in view.tenders],
        receipt_number=view.receipt_no or 0,
        price_trace=trace.steps(view.lines, view.currency),
        allowed_commands=[_COMMANDS[name] for name in view.next_commands if name in _COMMANDS],
        timeline=[step_of(entry) for entry in view.timeline],
        placed_at=_instant(view.placed_at_us),
        updated_at=_instant(view.updated_at_us),
        note=view.note,
        trace_id=view.trace_id,
        sold_at=_instant(view.sold_at_us),
        channel=f"CHANNEL_{view.channel}",
        customer_id=view.customer_id,
        shift_id=view.shift_id,
        cashier_id=view.cashier_id,
        business_day=view.business_day,
        on_decline=f"ON_DECLINE_{view.on_decline}",
    )
    _add_amounts(order, view, placed)
    if view.hold_until_us:
        order.hold_until.CopyFrom(_instant(view.hold_until_us))
    if view.state is OrderState.ACCEPTED and view.hold_until_us:
        order.left_to_pay.CopyFrom(money_of(view.left_minor, view.currency))
    if view.state is OrderState.REJECTED:
        order.refusal.reason, order.refusal.explanation = view.reason, view.explanation
    return order


def _add_amounts(order: order_pb2.Order, view: OrderView, placed: OrderPlaced | None) -> None:
    """Add the lines and totals; an order that could not be priced has its draft's lines only."""
    if view.lines:
        order.lines.extend(_lines(view.lines, view.currency))
        order.taxes.extend(_taxes(view.taxes, view.currency))
        order.totals.CopyFrom(_totals(view))
    elif placed:
        order.lines.extend(_wanted_lines(placed))


def _wanted_lines(fact: OrderPlaced) -> list[order_pb2.OrderLine]:
    return [
        order_pb2.OrderLine(
            line_no=number,
            sku=line.sku,
            quantity_milli=line.quantity_milli,
            line_ref=line.line_ref or str(number),
        )
        for number, line in enumerate(fact.lines, start=1)
    ]


def _lines(lines: Iterable[PricedLine], currency: str) -> list[order_pb2.OrderLine]:
    return [
        order_pb2.OrderLine(
            line_no=line.line_no,
            sku=line.sku,
            name=line.name,
            quantity_milli=line.quantity_milli,
            unit_price=_unit_price_of(line.unit_price, currency),
            gross=money_of(line.gross_minor, currency),
            discount=money_of(line.discount_minor, currency),
            tax=money_of(line.tax_minor, currency),
            total=money_of(line.total_minor, currency),
            line_ref=line.line_ref,
            taxes=_taxes(taxes.buckets_of([line]), currency),
        )
        for line in lines
    ]


def _unit_price_of(price: UnitPrice, currency: str) -> money_pb2.Money:
    units, nanos = unit_prices.to_parts(price, currency)
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def _taxes(buckets: Iterable[TaxBucket], currency: str) -> list[order_pb2.TaxBucket]:
    return [
        order_pb2.TaxBucket(
            code=tax.code,
            rate_ppm=tax.rate_ppm,
            inclusive=tax.inclusive,
            taxable=money_of(tax.taxable_minor, currency),
            tax=money_of(tax.tax_minor, currency),
        )
        for tax in buckets
    ]


def _totals(of: OrderView | PricedOrder) -> order_pb2.OrderTotals:
    return order_pb2.OrderTotals(
        gross=money_of(of.gross_minor, of.currency),
        discount=money_of(of.discount_minor, of.currency),
        net=money_of(of.net_minor, of.currency),
        tax=money_of(of.tax_minor, of.currency),
        total=money_of(of.total_minor, of.currency),
    )


def tender_of(
    it: TenderRecord, currency: str, attempts: Sequence[Attempt] = ()
) -> order_pb2.OrderTender:
    """Return a tender and its outcome."""
    tender = it.tender
    own = [a for a in attempts if a.tender_no == it.tender_no and a.operation is Operation.SALE]
    shown = order_pb2.OrderTender(
        kind=tender_kind_of(tender.kind),
        tender_ref=tender.tender_ref,
        state=f"CHARGE_STATE_{it.state}",
        gateway_reference=next((attempt.gateway_reference for attempt in own), ""),
        decline_code=next((attempt.decline_code for attempt in own), ""),
    )
    if tender.amount_minor is not None:
        shown.amount.CopyFrom(money_of(tender.amount_minor, currency))
    for name, minor in (
        ("captured", it.captured_minor),
        ("given", tender.given_minor),
        ("change", tender.change_minor),
        ("tip", tender.tip_minor),
        ("rounding", tender.rounding_minor),
        ("authorized", it.authorized_minor),
        ("voided", it.voided_minor),
        ("refunded", it.refunded_minor),
    ):
        if minor:
            getattr(shown, name).CopyFrom(money_of(minor, currency))
    return shown


def _instant(at_us: int) -> timestamp_pb2.Timestamp:
    seconds, rest_us = divmod(at_us, US_PER_SECOND)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest_us * 1_000)
