"""Makes an order's draft from a command line or a JSON file. Pure but for reading that file.

Only unreadable input is refused here, as a usage error; the server applies the rules of an order.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from google.type import money_pb2

from internal.cli import input_files
from internal.kernel import cards, errors, money
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
_TENDER_FORMS = tuple(f"{name}{detail}" for name, detail in _DETAIL.items())
_TENDER = re.compile(
    r"(?P<name>[^:=+]+)(?::(?P<detail>[^=+]+))?(?:=(?P<amount>[^+]+))?(?:\+(?P<tip>.+))?"
)
_QUANTITY = re.compile(r"[0-9]{1,9}")


@dataclasses.dataclass(frozen=True)
class Wanted:
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
    line: Annotated[
        list[str],
        typer.Option(
            metavar="SKU[=QUANTITY][@PRICE]",
            help="A line; once for each. With a price, any other price is refused.",
        ),
    ] = dataclasses.field(default_factory=list)
    discount: Annotated[
        str, typer.Option(metavar="10%|2.50", help="A share or an amount off the whole order.")
    ] = ""
    currency: Annotated[
        str,
        typer.Option(
            metavar="CODE", help=f"The store's currency, ISO 4217; {CURRENCY_DEFAULT} if left out."
        ),
    ] = ""

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
            metavar=f"{'|'.join(_TENDER_FORMS)}[=AMOUNT][+TIP]",
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

    @property
    def is_spelled_out(self) -> bool:
        """Tell whether an option repeats what a file holds; the order's id may differ."""
        return bool(self.pay or self.terminal or self.note)


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

    Raises:
        typer.BadParameter: it is not one; the message names the place and the valid fields.
    """
    if not text.lstrip().startswith("{"):
        raise _not_a_draft("it is not a JSON object")
    try:
        return json_format.Parse(text, order_pb2.OrderDraft())
    except (json_format.ParseError, UnicodeError) as error:
        raise _not_a_draft(str(error)) from error
    except RecursionError:
        raise _not_a_draft("it is nested too deeply") from None


def _not_a_draft(why: str) -> typer.BadParameter:
    what = f"this is not an OrderDraft as JSON: {cards.redact(why)}"
    return typer.BadParameter(what, param_hint="FILE")


def _spelled_out(wanted: Wanted) -> order_pb2.OrderDraft:
    if not wanted.store:
        what = "name the store that sells, or a FILE with the order"
        raise typer.BadParameter(what, param_hint="--store")
    if not wanted.line:
        raise typer.BadParameter("an order has a line: --line SKU=2", param_hint="--line")
    currency = wanted.currency or CURRENCY_DEFAULT
    if currency not in money.EXPONENTS:
        what = f"{currency[:8]!r} is not a currency in use (ISO 4217, upper case)"
        raise typer.BadParameter(what, param_hint="--currency")
    draft = order_pb2.OrderDraft(store_id=wanted.store, currency=currency)
    draft.lines.extend(_line(text, currency) for text in wanted.line)
    if wanted.discount:
        draft.discount.CopyFrom(_discount(wanted.discount, currency))
    return draft


def _line(text: str, currency: str) -> order_pb2.DraftLine:
    left, at, price = text.partition("@")
    sku, equals, quantity = left.partition("=")
    if not sku or (equals and not _QUANTITY.fullmatch(quantity)):
        raise _unreadable("--line", text, "SKU, SKU=2 or SKU=2@9.99")
    line = order_pb2.DraftLine(sku=sku, quantity=int(quantity or 1))
    if at:
        line.expected_price.CopyFrom(_amount(price, currency, "--line"))
    return line


def _discount(text: str, currency: str) -> order_pb2.Discount:
    if not text.endswith("%"):
        return order_pb2.Discount(amount=_amount(text, currency, "--discount"))
    percent = _PERCENT.fullmatch(text)
    if not percent:
        raise _unreadable("--discount", text, "10%, 7.25% or an amount such as 2.50")
    whole, hundredths = percent.groups(default="")
    basis_points = int(whole) * BASIS_POINTS_PER_PERCENT + int(hundredths.ljust(2, "0"))
    return order_pb2.Discount(basis_points=basis_points)


def _tenders(pay: Sequence[str], currency: str) -> list[order_pb2.Tender]:
    if not pay:
        what = f"an order is paid by {' or '.join(f'--pay {form}' for form in _TENDER_FORMS)}"
        raise typer.BadParameter(what, param_hint="--pay")
    return [_tender(text, currency) for text in pay]


def _tender(text: str, currency: str) -> order_pb2.Tender:
    form = _TENDER.fullmatch(text)
    parts = form.groupdict(default="") if form else {}
    row = next((row for row in tenders.TYPES.values() if row.wire_field == parts.get("name")), None)
    detail = parts.get("detail")
    if row is None or not (detail if row.has_token else not detail or row.is_cash):
        forms = ", ".join(_TENDER_FORMS)
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


def _amount(text: str, currency: str, option: str) -> money_pb2.Money:
    try:
        units, nanos = money.to_parts(money.from_text(text, currency), currency)
    except errors.InvalidMoney as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def _unreadable(option: str, text: str, forms: str) -> typer.BadParameter:
    return typer.BadParameter(f"{cards.redact(text)!r} is not one of {forms}", param_hint=option)
