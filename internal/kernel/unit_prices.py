"""Unit prices: minor units with up to six more decimals, so that a price may be below a cent. Pure.

A unit price is never rounded: a line multiplies it by its quantity, and the line is rounded.
"""

from typing import NamedTuple

from internal.kernel import errors, money, quantities

SCALE_MAX = 6
"""Decimals of a unit price beyond those of its currency."""
POWERS = tuple(10**scale for scale in range(SCALE_MAX + 1))


class UnitPrice(NamedTuple):
    """The price of one unit: scaled / 10^scale minor units. Equal prices have equal fields."""

    scaled: int
    scale: int = 0


def from_parts(currency: str, units: int, nanos: int, field: str = "") -> UnitPrice:
    """Return the price of a google.type.Money, exactly.

    Raises:
        errors.InvalidMoney: as money.from_parts, but for up to six more decimals.
    """
    step = money.NANOS_PER_UNIT // 10 ** money.exponent_of(currency, field)
    scaled, scale = money.nanos_of(units, nanos, field), 0
    whole, rest = divmod(abs(scaled), step)
    while rest:
        scale += 1
        rest = rest * 10 % step
    if scale > SCALE_MAX:
        what = f"a price has at most {SCALE_MAX} decimals more than its currency"
        raise errors.InvalidMoney([(field, what)])
    exact = abs(scaled) * POWERS[scale] // step if scale else whole
    return UnitPrice(money.checked(exact if scaled >= 0 else -exact, field), scale)


def from_text(text: str, currency: str, field: str = "") -> UnitPrice:
    """Return the price of a plain decimal, "0.23267".

    Raises:
        errors.InvalidMoney: as money.from_text, but for up to six more decimals.
    """
    return from_parts(currency, *money.parts_of_text(text, field), field)


def to_parts(price: UnitPrice, currency: str) -> tuple[int, int]:
    """Return (units, nanos) of google.type.Money."""
    step = money.NANOS_PER_UNIT // 10 ** money.exponent_of(currency)
    units, nanos = divmod(abs(price.scaled) * step // POWERS[price.scale], money.NANOS_PER_UNIT)
    return (units, nanos) if price.scaled >= 0 else (-units, -nanos)


def to_text(price: UnitPrice, currency: str) -> str:
    """Return a plain decimal with all decimals of `currency`, and those of the price: "0.23267"."""
    exponent = money.exponent_of(currency) + price.scale
    if not exponent:
        return str(price.scaled)
    digits = str(abs(price.scaled)).zfill(exponent + 1)
    sign = "-" if price.scaled < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def gross_fraction(price: UnitPrice, quantity_milli: int) -> tuple[int, int]:
    """Return the minor units of a quantity at this price as (numerator, denominator)."""
    return price.scaled * quantity_milli, quantities.MILLI * POWERS[price.scale]
