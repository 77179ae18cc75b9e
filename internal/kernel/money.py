"""Money: integer minor units of an ISO 4217 currency, exact from the wire to the ledger.

Reads and writes amounts as the wire and as people write them, rounds fractions, and splits sums
without losing a unit. It must not convert between currencies; no binary fraction ever touches an
amount.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from internal.kernel import errors

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

NANOS_PER_UNIT = 1_000_000_000
"""google.type.Money counts the fraction of a unit in nanos."""

_CODES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
    CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
    PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
    TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: dict[str, int] = {
    code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}
"""Decimals of every currency and fund that can be paid in. Source: ISO 4217 list one, up to
amendment 180 (January 2026). Metals, units of account and test codes have no minor unit and are
left out."""

_SCALES = {
    code: (10**exponent, NANOS_PER_UNIT // 10**exponent) for code, exponent in EXPONENTS.items()
}
"""Minor units per unit, nanos per minor unit."""

_DECIMAL = re.compile(r"(-?)([0-9]{1,30})(?:\.([0-9]{1,9}))?")


class RoundingMode(StrEnum):
    """How a fraction of a minor unit becomes a whole one. UP is away from zero, DOWN towards it."""

    HALF_EVEN = "HALF_EVEN"
    HALF_UP = "HALF_UP"
    HALF_DOWN = "HALF_DOWN"
    UP = "UP"
    DOWN = "DOWN"


_HALF_EVEN = RoundingMode.HALF_EVEN
_HALF_UP = RoundingMode.HALF_UP
_UP = RoundingMode.UP
_DOWN = RoundingMode.DOWN


def exponent_of(currency: str, field: str = "") -> int:
    """Return the decimals of `currency`: 2 for EUR, 0 for JPY.

    Raises:
        errors.InvalidMoney: not an active ISO 4217 code; `field` is the path that the error names.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise _unknown_currency(currency, field)
    return exponent


def checked(amount: int, field: str = "") -> int:
    """Return `amount` unchanged if it fits into a signed 64-bit integer.

    Raises:
        errors.InvalidMoney: it does not fit.
    """
    if INT64_MIN <= amount <= INT64_MAX:
        return amount
    raise _invalid(field, "the amount is out of range: it does not fit into 64 bits")


def from_parts(currency: str, units: int, nanos: int, field: str = "") -> int:
    """Return the minor units of a google.type.Money, exactly.

    Args:
        currency: ISO 4217, upper case.
        units: whole units.
        nanos: billionths of a unit, of the same sign as `units`.
        field: the path that an error names.

    Raises:
        errors.InvalidMoney: unknown currency, nanos out of range or of the other sign, a fraction
            smaller than the currency's minor unit, or an amount beyond 64 bits.
    """
    scale = _SCALES.get(currency)
    if scale is None:
        raise _unknown_currency(currency, field)
    per_unit, step = scale
    nanos_of(units, nanos, field)
    if nanos % step:
        raise _too_precise(currency, field)
    return checked(units * per_unit + nanos // step, field)


def nanos_of(units: int, nanos: int, field: str = "") -> int:
    """Return the billionths of a unit in a google.type.Money.

    Raises:
        errors.InvalidMoney: nanos out of range, or of the other sign than `units`.
    """
    if not -NANOS_PER_UNIT < nanos < NANOS_PER_UNIT:
        raise _invalid(field, "nanos must lie between -999,999,999 and 999,999,999")
    if (units > 0 > nanos) or (units < 0 < nanos):
        raise _invalid(field, "units and nanos must have the same sign")
    return units * NANOS_PER_UNIT + nanos


def to_parts(minor: int, currency: str) -> tuple[int, int]:
    """Return (units, nanos) of google.type.Money; both carry the sign of `minor`."""
    exponent_of(currency)
    per_unit, step = _SCALES[currency]
    units, rest = divmod(abs(minor), per_unit)
    return (units, rest * step) if minor >= 0 else (-units, -rest * step)


def from_text(text: str, currency: str, field: str = "") -> int:
    """Return the minor units of a plain decimal, "12.34" or "-5".

    No grouping, no exponent, no plus sign, no blanks, at most 30 digits before the point. Fewer
    decimals than the currency's are accepted, and so are more if the extra ones are zeros.

    Raises:
        errors.InvalidMoney: not such a decimal, or one that `from_parts` rejects.
    """
    return from_parts(currency, *parts_of_text(text, field), field)


def parts_of_text(text: str, field: str = "") -> tuple[int, int]:
    """Return (units, nanos) of a plain decimal, in any currency.

    Raises:
        errors.InvalidMoney: not such a decimal.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise _invalid(field, "an amount is a plain decimal of at most 9 places, such as 12.34")
    minus, units, fraction = match.groups(default="")
    sign = -1 if minus else 1
    return sign * int(units), sign * int(fraction.ljust(9, "0"))


def to_text(minor: int, currency: str) -> str:
    """Return a plain decimal with all decimals of `currency`: "12.34", "-0.05", "1200" (JPY)."""
    exponent = exponent_of(currency)
    if not exponent:
        return str(minor)
    digits = str(abs(minor)).zfill(exponent + 1)
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def divide_round(numerator: int, denominator: int, mode: RoundingMode) -> int:
    """Return numerator / denominator as a whole number, rounded by `mode`.

    The modes are those of the decimal module: HALF_UP takes a tie away from zero, HALF_DOWN
    towards it, so that -x rounds to the opposite of x.

    Raises:
        ZeroDivisionError: the denominator is zero.
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(abs(numerator), denominator)
    if rest and _goes_up(quotient, 2 * rest - denominator, mode):
        quotient += 1
    return quotient if numerator >= 0 else -quotient


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to `weights`, by largest remainder; the shares sum to it exactly.

    Every share is less than one unit off its exact value. Units left over go to the largest
    remainders, among equals to the earlier position, so the same input always splits the same way.
    A weight of zero gets nothing, unless all are zero: then they count as equal. A negative total
    gives the negated shares of the positive total.

    Raises:
        errors.InvalidMoney: a negative weight, or no weights for a total other than zero.
    """
    if weights and min(weights) < 0:
        raise _invalid("weights", "a weight must not be negative")
    whole = sum(weights)
    if not whole:
        weights = [1] * len(weights)
        whole = len(weights)
    if not whole:
        return _nothing_to(total)
    size = abs(total)
    shares = apportion(size, [size * weight for weight in weights], whole)
    return shares if total >= 0 else [-share for share in shares]


def apportion(total: int, numerators: Sequence[int], denominator: int) -> list[int]:
    """Round the fractions numerator / denominator so that they sum to `total` exactly.

    Each fraction is rounded to one of its two whole neighbours: the largest remainders up, among
    equals the earlier position, the others down. `total` must be the rounded sum of the fractions:
    not below the sum of their floors, nor above it by more than the number of fractions that are
    not whole.

    Raises:
        errors.InvalidMoney: the shares cannot sum to `total`, because it is too far off.
    """
    shares = [numerator // denominator for numerator in numerators]
    left = total - sum(shares)
    if left:
        if not 0 < left <= len(shares):
            raise _invalid("total", "it is not the rounded sum of the fractions to share it by")
        rests = [numerator % denominator for numerator in numerators]
        by_rest = sorted(range(len(rests)), key=rests.__getitem__, reverse=True)
        for position in by_rest[:left]:
            shares[position] += 1
    return shares


def _goes_up(quotient: int, beyond_half: int, mode: RoundingMode) -> bool:
    """Tell whether an absolute value between `quotient` and the next one rounds to the next one."""
    if mode in (_UP, _DOWN):
        return mode == _UP
    if beyond_half:
        return beyond_half > 0
    return mode == _HALF_UP or (mode == _HALF_EVEN and quotient % 2 == 1)


def _nothing_to(total: int) -> list[int]:
    if total:
        raise _invalid("weights", "there are no weights to share the amount by")
    return []


def _invalid(field: str, what: str) -> errors.InvalidMoney:
    return errors.InvalidMoney([(field, what)])


def _unknown_currency(currency: str, field: str) -> errors.InvalidMoney:
    return _invalid(field, f"{currency[:8]!r} is not a currency in use (ISO 4217, upper case)")


def _too_precise(currency: str, field: str) -> errors.InvalidMoney:
    decimals = EXPONENTS[currency]
    return _invalid(field, f"{currency} has {decimals} decimals, the amount has more")
