"""The values of a scene, what must come out and what came out, and where the two differ. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from google.type import money_pb2

from internal.kernel import money, unit_prices
from internal.wire.souk.v1 import order_pb2, order_service_pb2

PAID = "FULL"
"""The state of a tender that has brought all of its amount."""


class Line(msgspec.Struct, frozen=True):
    """A line of an order, as it is priced."""

    name: str
    unit_price: str
    quantity_milli: int
    gross_minor: int
    tax_minor: int
    total_minor: int


class Tax(msgspec.Struct, frozen=True):
    """A tax of an order."""

    code: str
    rate_ppm: int
    inclusive: bool
    tax_minor: int


class Tender(msgspec.Struct, frozen=True):
    """A tender at the end of its order."""

    kind: str
    amount_minor: int
    captured_minor: int
    state: str = PAID
    given_minor: int = 0
    change_minor: int = 0
    rounding_minor: int = 0


class Step(msgspec.Struct, frozen=True):
    """The outcome of one command of a scene."""

    outcome: str
    """The state of the order after it is placed; the charge state of a tender that is added."""
    left_to_pay_minor: int = 0


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a scene: what must come out, or what came out."""

    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    total_minor: int
    steps: tuple[Step, ...] = (Step("FINALIZED"),)
    """One for each command."""
    tenders: tuple[Tender, ...]
    state: str = "FINALIZED"
    charge_state: str = PAID
    stock_state: str = "COMMITTED"


def read(
    quote: order_service_pb2.QuoteOrderResponse,
    order: order_pb2.Order,
    steps: Iterable[Step],
) -> Values:
    """Read the values of an order from its quote, its end and the steps between."""
    return Values(
        lines=tuple(map(_line, quote.lines)),
        taxes=tuple(map(_tax, quote.taxes)),
        total_minor=minor(quote.totals, "total"),
        steps=tuple(steps),
        tenders=tuple(map(_tender, order.tenders)),
        state=name_of(order_pb2.OrderState, order.state),
        charge_state=name_of(order_pb2.ChargeState, order.charge_state),
        stock_state=name_of(order_pb2.StockState, order.stock_state),
    )


def _line(it: order_pb2.OrderLine) -> Line:
    code = it.unit_price.currency_code
    price = unit_prices.from_parts(code, it.unit_price.units, it.unit_price.nanos)
    return Line(
        it.name,
        unit_prices.to_text(price, code),
        it.quantity_milli,
        minor(it, "gross"),
        minor(it, "tax"),
        minor(it, "total"),
    )


def _tax(it: order_pb2.TaxBucket) -> Tax:
    return Tax(it.code, it.rate_ppm, it.inclusive, minor(it, "tax"))


def _tender(it: order_pb2.OrderTender) -> Tender:
    return Tender(
        name_of(order_pb2.TenderKind, it.kind),
        minor(it, "amount"),
        minor(it, "captured"),
        name_of(order_pb2.ChargeState, it.state),
        minor(it, "given"),
        minor(it, "change"),
        minor(it, "rounding"),
    )


def minor(holder: Any, field: str) -> int:  # noqa: ANN401 - any message of the contract
    """Return the minor units of a message's amount; 0 if it is absent."""
    it: money_pb2.Money = getattr(holder, field)
    present = holder.HasField(field)
    return money.from_parts(it.currency_code, it.units, it.nanos) if present else 0


def name_of(kind: Any, number: int) -> str:  # noqa: ANN401 - an enum's generated wrapper
    """Return the name of an enum's value without its prefix: "FINALIZED"."""
    name: str = kind.Name(number)
    return name.removeprefix(kind.Name(0).removesuffix("UNSPECIFIED"))


def differences(seen: Values, right: Values) -> Iterator[str]:
    """Yield a sentence for each value that is not as it must be."""
    found, wanted = (dict(_flat("", msgspec.to_builtins(it))) for it in (seen, right))
    for place in found | wanted:
        if found.get(place) != wanted.get(place):
            yield f"{place} is {found.get(place)}, and must be {wanted.get(place)}"


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever a struct holds
    """Yield all values in a tree with their places, such as tenders.1.change_minor."""
    if isinstance(value, dict):
        items: Sequence[tuple[object, Any]] = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value, start=1))
    else:
        yield place, value
        return
    for name, inner in items:
        yield from _flat(f"{place}.{name}".lstrip("."), inner)
