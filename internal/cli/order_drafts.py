"""Makes an order's draft from a command line or a JSON file. Pure but for reading that file.

Only unreadable input is refused here, as a usage error; the server applies the rules of an order.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.type import money_pb2

from internal.cli import input_files
from internal.console import values
from internal.kernel import cards, errors, money, quantities, unit_prices
from internal.payments import tenders
from internal.wire.souk.v1 import order_pb2

CURRENCY_DEFAULT = "EUR"
FILE_CHARS_MAX = 1_000_000
"""An order may take 64 KiB on the wire; its JSON takes several times that."""
BASIS_POINTS_PER_PERCENT = 100
_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%")
_DETAIL = {
    row.wire_field: ":TOKEN" if row.has_token else "[:GIVEN]" if row.is_cash else ""
    for row in tenders.TYPES.values()
}
TENDER_FORMS = tuple(f"{name}{detail}" for name, detail in _DETAIL.items())
_TENDER = re.compile(
    r"(?P<name>[^:=+]+)(?::(?P<detail>[^=+]+))?(?:=(?P<amount>[^+]+))?(?:\+(?P<tip>.+))?"
)


@dataclasses.dataclass(frozen=True)
class Lines:
    """The lines of the order."""

    line: Annotated[
        list[str],
        typer.Option(
            metavar="SKU[=QUANTITY][@PRICE]",
            help="A line, such as HAM=0.750; once for each. With a price, any other is refused.",
        ),
    ] = dataclasses.field(default_factory=list)
    discount: Annotated[
        list[str],
        typer.Option(
            metavar="10%|2.50", help="A share or an amount off the whole order; once for each."
        ),
    ] = dataclasses.field(default_factory=list)
    currency: Annotated[
        str,
        typer.Option(
            metavar="CODE", help=f"The store's currency, ISO 4217; {CURRENCY_DEFAULT} if left out."
        ),
    ] = ""


@dataclasses.dataclass(frozen=True)
class Wanted(Lines):
    """The part of an order that decides its price: a file, or a store and lines."""

    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            callback=input_files.checked,
            show_default=False,
            help="An OrderDraft as JSON, `-` for standard input; or use the options below.",
        ),
    ] = None
    store: Annotated[str, typer.Option(metavar="ID", help="The store that sells.")] = ""

    @property
    def is_spelled_out(self) -> bool:
        """Tell whether anything of the order is on the command line."""
        return bool(self.store or self.line or self.discount or self.currency)


@dataclasses.dataclass(frozen=True)
class Placing:
    """The rest of an order."""

    pay: Annotated[
        list[str],
        typer.Option(
            metavar=f"{'|'.join(TENDER_FORMS)}[=AMOUNT][+TIP]",
            help="A tender; once for each. One may omit its amount: it takes the rest. Cash above"
            " what is due gives change.",
        ),
    ] = dataclasses.field(default_factory=list)
    order_id: Annotated[
        str,
        typer.Option(
            metavar="ID",
            show_default="a new one",
            help="Your own id for the order. Sending the same order again is harmless.",
        ),
    ] = ""
    terminal: Annotated[str, typer.Option(metavar="ID", help="The till.")] = ""
    note: Annotated[str, typer.Option(metavar="TEXT", help="Free text for people.")] = ""
    keep_open: Annotated[
        bool,
        typer.Option(
            "--keep-open",
            help="A declined card leaves it open, and `souk orders pay` adds tenders; none is"
            " needed now.",
        ),
    ] = False
    hold_minutes: Annotated[
        int | None,
        typer.Option(
            parser=values.whole_number(1),
            metavar="N",
            show_default="as the store has it",
            help="With --keep-open: how long it stays open.",
        ),
    ] = None

    @property
    def is_spelled_out(self) -> bool:
        """Tell whether an option repeats what a file holds; the order's id may differ."""
        return bool(self.pay or self.terminal or self.note or self.keep_open or self.hold_minutes)


def order_of(wanted: Wanted, placing: Placing) -> order_pb2.OrderDraft:
    """Return the draft of an order to place; its order_id may still be empty.

    Raises:
        typer.BadParameter: something cannot be read, is missing, or is given twice.
    """
    if wanted.file:
        draft = _from_file(wanted.file, both=wanted.is_spelled_out or placing.is_spelled_out)
    else:
        draft = _spelled_out(wanted)
        draft.terminal_id, draft.note = placing.terminal, placing.note
        if placing.keep_open:
            draft.on_decline = order_pb2.ON_DECLINE_KEEP_OPEN
        if placing.hold_minutes:
            draft.hold.FromSeconds(placing.hold_minutes * 60)
        if placing.pay or not placing.keep_open:
            draft.tenders.extend(_tenders(placing.pay, draft.currency))
    draft.order_id = placing.order_id or draft.order_id
    return draft


def quote_of(wanted: Wanted) -> order_pb2.OrderDraft:
    """Return the part of a draft that decides its price.

    Raises:
        typer.BadParameter: as for order_of.
    """
    if wanted.file:
        return _from_file(wanted.file, both=wanted.is_spelled_out)
    return _spelled_out(wanted)


def _from_file(file: Path, *, both: bool) -> order_pb2.OrderDraft:
    if both:
        what = "an order comes from a file or from options, not from both"
        raise typer.BadParameter(what, param_hint="FILE")
    return from_json(input_files.read_text(file, FILE_CHARS_MAX))


def from_json(text: str) -> order_pb2.OrderDraft:
    """Read an OrderDraft in the JSON form of its proto; names in snake_case or camelCase.

    A line may have a `quantity` in units, such as 0.750, in place of `quantity_milli`.

    Raises:
        typer.BadParameter: it is not one; the message names the place and the valid fields.
    """
    if not text.lstrip().startswith("{"):
        raise _not_a_draft("it is not a JSON object")
    try:
        draft = json.loads(text, parse_float=str, object_pairs_hook=_without_repeats)
        _read_quantities(draft)
        return json_format.ParseDict(draft, order_pb2.OrderDraft())
    except (json_format.ParseError, ValueError) as error:
        raise _not_a_draft(str(error)) from error
    except RecursionError:
        raise _not_a_draft("it is nested too deeply") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise json_format.ParseError("a name is there twice in one object")
    return found


def _read_quantities(draft: dict[str, Any]) -> None:
    """Write each line's quantity as thousandths, as the proto has it."""
    lines = draft.get("lines")
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, dict) and "quantity" in line:
            if "quantity_milli" in line or "quantityMilli" in line:
                raise json_format.ParseError("a line has quantity and quantity_milli: one of them")
            written = str(line.pop("quantity"))
            line["quantity_milli"] = quantities.parse(written)
            if line["quantity_milli"] is None:
                what = f"quantity {written!r} is not a decimal such as 2 or 0.750"
                raise json_format.ParseError(what)


def _not_a_draft(why: str) -> typer.BadParameter:
    what = f"this is not an OrderDraft as JSON: {cards.redact(why)}"
    return typer.BadParameter(what, param_hint="FILE")


def _spelled_out(wanted: Wanted) -> order_pb2.OrderDraft:
    if not wanted.store:
        what = "name the store that sells, or a FILE with the order"
        raise typer.BadParameter(what, param_hint="--store")
    draft = lines_of(wanted)
    draft.store_id = wanted.store
    return draft


def lines_of(wanted: Lines) -> order_pb2.OrderDraft:
    """Return a draft that has the lines only.

    Raises:
        typer.BadParameter: as for order_of.
    """
    if not wanted.line:
        raise typer.BadParameter("an order has a line: --line SKU=2", param_hint="--line")
    currency = wanted.currency or CURRENCY_DEFAULT
    if currency not in money.EXPONENTS:
        what = f"{currency[:8]!r} is not a currency in use (ISO 4217, upper case)"
        raise typer.BadParameter(what, param_hint="--currency")
    draft = order_pb2.OrderDraft(currency=currency)
    draft.lines.extend(_line(text, currency) for text in wanted.line)
    draft.adjustments.extend(_discount(text, currency) for text in wanted.discount)
    return draft


def _line(text: str, currency: str) -> order_pb2.DraftLine:
    left, at, price = text.partition("@")
    sku, equals, quantity = left.partition("=")
    milli = quantities.parse(quantity) if equals else quantities.MILLI
    if not sku or milli is None:
        raise _unreadable("--line", text, "SKU, SKU=2, SKU=0.750 or SKU=2@9.99")
    line = order_pb2.DraftLine(sku=sku, quantity_milli=milli)
    if at:
        line.expected_price.CopyFrom(_price(price, currency))
    return line


def _discount(text: str, currency: str) -> order_pb2.Adjustment:
    if not text.endswith("%"):
        return order_pb2.Adjustment(amount=_amount(text, currency, "--discount"))
    percent = _PERCENT.fullmatch(text)
    if not percent:
        raise _unreadable("--discount", text, "10%, 7.25% or an amount such as 2.50")
    whole, hundredths = percent.groups(default="")
    basis_points = int(whole) * BASIS_POINTS_PER_PERCENT + int(hundredths.ljust(2, "0"))
    return order_pb2.Adjustment(basis_points=basis_points)


def _tenders(pay: Sequence[str], currency: str) -> list[order_pb2.Tender]:
    if not pay:
        what = f"an order is paid by {' or '.join(f'--pay {form}' for form in TENDER_FORMS)}"
        raise typer.BadParameter(what, param_hint="--pay")
    return [tender_of(text, currency) for text in pay]


def tender_of(text: str, currency: str) -> order_pb2.Tender:
    """Read a tender such as "cash=5:10" or "card:TOKEN".

    Raises:
        typer.BadParameter: it cannot be read.
    """
    form = _TENDER.fullmatch(text)
    parts = form.groupdict(default="") if form else {}
    row = next((row for row in tenders.TYPES.values() if row.wire_field == parts.get("name")), None)
    detail = parts.get("detail")
    if row is None or not (detail if row.has_token else not detail or row.is_cash):
        forms = ", ".join(TENDER_FORMS)
        what = f"{forms}, with or without an amount such as =12.50 and a tip such as +1.50"
        raise _unreadable("--pay", text, what)
    tender = order_pb2.Tender()
    way = getattr(tender, row.wire_field)
    way.SetInParent()
    if row.has_token:
        way.token = detail
    elif detail:
        way.given.CopyFrom(_amount(detail, currency, "--pay"))
    for name in ("amount", "tip"):
        if parts[name]:
            getattr(tender, name).CopyFrom(_amount(parts[name], currency, "--pay"))
    return tender


def _price(text: str, currency: str) -> money_pb2.Money:
    try:
        units, nanos = unit_prices.to_parts(unit_prices.from_text(text, currency), currency)
    except errors.InvalidMoney as error:
        raise typer.BadParameter(str(error), param_hint="--line") from error
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def _amount(text: str, currency: str, option: str) -> money_pb2.Money:
    try:
        units, nanos = money.to_parts(money.from_text(text, currency), currency)
    except errors.InvalidMoney as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def _unreadable(option: str, text: str, forms: str) -> typer.BadParameter:
    return typer.BadParameter(f"{cards.redact(text)!r} is not one of {forms}", param_hint=option)
