"""An order as a receipt: its lines, its totals, its tenders and its timeline.

Formats only; must not decide anything.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import json_format, message
from google.type import money_pb2
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from internal.console import output
from internal.kernel import money, quantities, unit_prices
from internal.wire.souk.v1 import order_pb2, order_service_pb2

PPM_PER_PERCENT = 10_000
NOTHING = "-"
_STATE, _CHARGE, _STOCK = "ORDER_STATE_", "CHARGE_STATE_", "STOCK_STATE_"


def state_of(state: int) -> str:
    """Return the name of an order's state, FINALIZED; a state of a newer server is a number."""
    return _name(order_pb2.OrderState, state, _STATE)


def to_json(it: message.Message) -> dict[str, Any]:
    """Return a message of the gRPC contract as JSON holds it, under the names of the proto."""
    return json_format.MessageToDict(
        it, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def order(it: order_pb2.Order) -> RenderableType:
    """Show all about an order."""
    parts: list[RenderableType] = [_head(it), *_details(it)]
    if it.HasField("totals"):
        parts += [_lines(it.lines), _totals(it.totals, it.taxes), _tenders(it.tenders)]
    else:
        parts += [_wanted(it.lines)]
    return Group(*parts, timeline(it.timeline))


def quote(it: order_service_pb2.QuoteOrderResponse) -> RenderableType:
    """Show a quote: lines, totals, and the steps of the price."""
    steps = [Text(f"  {output.one_line(step)}", style="dim") for step in it.price_trace]
    return Group(_lines(it.lines), _totals(it.totals, it.taxes), *steps)


def timeline(entries: Sequence[order_pb2.LogEntry]) -> RenderableType:
    """Show every step with its time and how long it took."""
    if not entries:
        return Text("Nothing is recorded yet.", style="dim")
    table = output.table("When", "Took", "Stage", "State", "Why", right=["Took"])
    before_us = None
    for entry in entries:
        table.add_row(*step(entry, before_us))
        before_us = entry.at.ToMicroseconds()
    whole_us = entries[-1].at.ToMicroseconds() - entries[0].at.ToMicroseconds()
    return Group(table, Text(f"{output.duration(whole_us)} in all", style="dim"))


def step(entry: order_pb2.LogEntry, before_us: int | None) -> list[str | Text]:
    """Return a row of the timeline; `before_us` is when the step before it happened."""
    at_us = entry.at.ToMicroseconds()
    return [
        output.moment(at_us),
        "" if before_us is None else output.duration(at_us - before_us),
        entry.stage,
        output.state(state_of(entry.state)),
        entry.reason,
    ]


def summaries(orders: Iterable[order_pb2.OrderSummary]) -> RenderableType:
    """Show orders as a table, one a row."""
    table = output.table(
        "Order", "Store", "State", "Total", "Receipt, or why", "Placed", right=["Total"]
    )
    for it in orders:
        table.add_row(
            it.order_id,
            it.store_id,
            output.state(state_of(it.state)),
            amount(it.total) if it.HasField("total") else NOTHING,
            str(it.receipt_number) if it.receipt_number else it.refusal_reason,
            output.moment(it.placed_at.ToMicroseconds()),
        )
    return table


def amount(it: money_pb2.Money) -> str:
    """Write an amount with its currency."""
    return f"{_number(it)} {it.currency_code}"


def _number(it: money_pb2.Money) -> str:
    return money.to_text(money.from_parts(it.currency_code, it.units, it.nanos), it.currency_code)


def _price(it: money_pb2.Money) -> str:
    price = unit_prices.from_parts(it.currency_code, it.units, it.nanos)
    return unit_prices.to_text(price, it.currency_code)


def _head(it: order_pb2.Order) -> Text:
    head = Text.assemble(
        ("Order ", "bold"),
        (output.one_line(it.order_id), "bold"),
        "  ",
        output.state(state_of(it.state)),
    )
    if it.receipt_number:
        head.append(f"  receipt {it.receipt_number}")
    return head


def _details(it: order_pb2.Order) -> list[RenderableType]:
    where = f"store {it.store_id}" + (f", till {it.terminal_id}" if it.terminal_id else "")
    money_state = _name(order_pb2.ChargeState, it.charge_state, _CHARGE)
    stock_state = _name(order_pb2.StockState, it.stock_state, _STOCK)
    axes = f"money {money_state}, stock {stock_state}"
    placed = f"placed {output.instant(it.placed_at.ToMicroseconds())}"
    lines: list[RenderableType] = [
        Text(output.one_line(f"{where}, {placed}")),
        Text(output.one_line(f"{axes}, version {it.version}, trace {it.trace_id}"), style="dim"),
    ]
    if it.HasField("refusal"):
        why = f"{it.refusal.reason}: {it.refusal.explanation}"
        lines.append(Text(output.one_line(why), style="red"))
    if it.note:
        lines.append(Text(output.one_line(f"note: {it.note}")))
    if it.HasField("left_to_pay"):
        until = output.instant(it.hold_until.ToMicroseconds())
        lines.append(Text(f"open until {until}: {amount(it.left_to_pay)} left to pay"))
    if it.allowed_commands:
        lines.append(Text("it can still be cancelled", style="dim"))
    return lines


def _lines(lines: Sequence[order_pb2.OrderLine]) -> Table:
    numbers = ["#", "Quantity", "Price", "Discount", "Tax", "Total"]
    table = output.table("#", "Product", *numbers[1:], right=numbers)
    for line in lines:
        taxes = (f"{tax.code} {percent(tax.rate_ppm)}" for tax in line.taxes)
        what = ", ".join((line.sku, *taxes))
        table.add_row(
            str(line.line_no),
            Text.assemble(output.one_line(line.name), "\n", (output.one_line(what), "dim")),
            quantities.text(line.quantity_milli),
            _price(line.unit_price),
            _taken_off(line.discount),
            _number(line.tax),
            _number(line.total),
        )
    return table


def _wanted(lines: Sequence[order_pb2.OrderLine]) -> Table:
    table = output.table("#", "SKU", "Quantity", right=["#", "Quantity"])
    for line in lines:
        table.add_row(str(line.line_no), line.sku, quantities.text(line.quantity_milli))
    return table


def _totals(totals: order_pb2.OrderTotals, taxes: Sequence[order_pb2.TaxBucket]) -> Table:
    table = output.grid()
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Gross", amount(totals.gross))
    if totals.discount.units or totals.discount.nanos:
        table.add_row("Discount", f"-{amount(totals.discount)}")
    for tax in taxes:
        where = "inside, on" if tax.inclusive else "on top of"
        what = f"{tax.code} {percent(tax.rate_ppm)} {where} {_number(tax.taxable)}"
        table.add_row(what, amount(tax.tax))
    table.add_row("Net", amount(totals.net))
    table.add_row("Tax", amount(totals.tax))
    table.add_row(Text("Total", style="bold"), Text(amount(totals.total), style="bold"))
    return table


def _tenders(tenders: Sequence[order_pb2.OrderTender]) -> RenderableType:
    table = output.grid()
    for tender in tenders:
        kind = _name(order_pb2.TenderKind, tender.kind, "TENDER_KIND_").lower()
        wanted = amount(tender.amount) if tender.HasField("amount") else "the rest"
        got = (
            f"captured {amount(tender.captured)}" if tender.HasField("captured") else "not captured"
        )
        table.add_row(f"Paid by {kind}", wanted, got, tender.gateway_reference)
        for label, name in _MORE_OF_TENDER:
            if tender.HasField(name):
                table.add_row(f"  {label}", amount(getattr(tender, name)))
    return table


_MORE_OF_TENDER: tuple[tuple[str, Any], ...] = (
    ("Tip", "tip"),
    ("Rounding", "rounding"),
    ("Given", "given"),
    ("Change", "change"),
    ("Voided", "voided"),
    ("Refunded", "refunded"),
)
"""The label and the field of what a tender may have besides its amount."""


def _taken_off(it: money_pb2.Money) -> str:
    return f"-{_number(it)}" if it.units or it.nanos else ""


def percent(rate_ppm: int) -> str:
    """Write parts per million in percent: 88_750 is "8.875 %"."""
    whole, rest = divmod(rate_ppm, PPM_PER_PERCENT)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".") + " %"


def _name(kind: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - an enum's generated wrapper
    name: str = kind.Name(number) if number in kind.values() else str(number)
    return name.removeprefix(prefix)
