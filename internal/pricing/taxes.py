"""Computes the taxes of lines, rounded at the store's rounding point. Pure.

With R as the sum of the rates inside a line's price, and B as what the discounts leave of it:

- the taxes inside are taken out together: B x R / (1 + R), rounded, and then split among them;
- each tax on top is B x rate / (1 + R), rounded by itself.

Tax that is rounded once per rate or document is shared among the lines by largest remainder, so
every tax is less than one minor unit from its exact value, and no line's net is below zero.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from internal.catalogue.messages import PPM, RoundingPoint, Store, TaxRate
from internal.kernel import money
from internal.pricing.messages import Part, PartKind, PartRule, PricedLine, TaxBucket


class Unit(NamedTuple):
    """Taxes that are rounded as one: those inside the price together, or one on top."""

    rate_ppm: int
    inclusive: bool
    members: tuple[int, ...]
    """Their places in the line's list of rates."""


class Rule(NamedTuple):
    """The tax rates of one tax code at one instant. Exact taxes are fractions of `denominator`."""

    rates: tuple[TaxRate, ...]
    units: tuple[Unit, ...]
    denominator: int


class _Share(NamedTuple):
    """The exact amount of a unit on a line: numerator / denominator."""

    place: int
    unit: Unit
    numerator: int
    denominator: int


def rule_of(rates: Sequence[TaxRate], at_us: int) -> Rule:
    """Return the rates in force at an instant: of each tax, the one that began last."""
    latest: dict[str, TaxRate] = {}
    for rate in rates:
        known = latest.get(rate.code)
        began_later = known is None or known.valid_from_us < rate.valid_from_us
        if rate.valid_from_us <= at_us and began_later:
            latest[rate.code] = rate
    return _rule_of(tuple(latest.values()))


@functools.lru_cache(maxsize=1024)
def _rule_of(in_force: tuple[TaxRate, ...]) -> Rule:
    inside = tuple(place for place, rate in enumerate(in_force) if rate.inclusive)
    inside_ppm = sum(in_force[place].rate_ppm for place in inside)
    units = [Unit(inside_ppm, inclusive=True, members=inside)] if inside else []
    for place, rate in enumerate(in_force):
        if not rate.inclusive:
            units.append(Unit(rate.rate_ppm, inclusive=False, members=(place,)))
    return Rule(in_force, tuple(units), PPM + inside_ppm)


def amounts_of(bases: Sequence[int], rules: Sequence[Rule], store: Store) -> list[list[int]]:
    """Return the taxes of each line, in the order of its rates."""
    shares = [
        _Share(place, unit, base * unit.rate_ppm, rule.denominator)
        for place, (base, rule) in enumerate(zip(bases, rules, strict=True))
        for unit in rule.units
    ]
    amounts = [[0] * len(rule.rates) for rule in rules]
    for share, amount in zip(shares, _rounded(shares, store), strict=True):
        _split(share, amount, bases[share.place], rules[share.place], amounts[share.place])
    return amounts


def _split(share: _Share, amount: int, base: int, rule: Rule, amounts: list[int]) -> None:
    """Split the amount of a unit among its members."""
    members = share.unit.members
    if len(members) == 1:
        amounts[members[0]] = amount
        return
    exact = [base * rule.rates[member].rate_ppm for member in members]
    for member, part in zip(members, money.apportion(amount, exact, rule.denominator), strict=True):
        amounts[member] = part


def _rounded(shares: Sequence[_Share], store: Store) -> Sequence[int]:
    """Return the whole amount of each share."""
    mode = store.rounding_mode
    if store.rounding_point == RoundingPoint.LINE:
        return [money.divide_round(it.numerator, it.denominator, mode) for it in shares]
    groups: dict[tuple[int, bool], list[int]] = {}
    for place, share in enumerate(shares):
        groups.setdefault((share.unit.rate_ppm, share.unit.inclusive), []).append(place)
    exact = {key: _exact([shares[place] for place in where]) for key, where in groups.items()}
    totals = _totals_of(exact, store)
    amounts = [0] * len(shares)
    for key, where in groups.items():
        numerators, denominator = exact[key]
        spread = money.apportion(totals[key], numerators, denominator)
        for place, amount in zip(where, spread, strict=True):
            amounts[place] = amount
    return amounts


_Key = tuple[int, bool]
_Fractions = tuple[list[int], int]
"""(numerators, common denominator)."""


def _exact(shares: Sequence[_Share]) -> _Fractions:
    whole = math.lcm(*{share.denominator for share in shares})
    return [it.numerator * (whole // it.denominator) for it in shares], whole


def _totals_of(exact: dict[_Key, _Fractions], store: Store) -> dict[_Key, int]:
    """Return the tax of each group, rounded once per group or once for all of them."""
    mode = store.rounding_mode
    if store.rounding_point == RoundingPoint.TAX_RATE:
        return {key: money.divide_round(sum(it), whole, mode) for key, (it, whole) in exact.items()}
    common = math.lcm(*{whole for _, whole in exact.values()})
    sums = [sum(it) * (common // whole) for it, whole in exact.values()]
    total = money.divide_round(sum(sums), common, mode)
    return dict(zip(exact, money.apportion(total, sums, common), strict=True))


_RULES = {
    RoundingPoint.LINE: PartRule.LINE,
    RoundingPoint.TAX_RATE: PartRule.TAX_RATE,
    RoundingPoint.DOCUMENT: PartRule.DOCUMENT,
}


def parts_of(base: int, rule: Rule, amounts: Sequence[int], store: Store) -> list[Part]:
    """Return the parts of a line's taxes; each has the line's net as its base."""
    net = base
    for rate, amount in zip(rule.rates, amounts, strict=True):
        if rate.inclusive:
            net -= amount
    where, mode = _RULES[store.rounding_point], store.rounding_mode
    return [
        Part(
            kind=PartKind.TAX,
            rule=where,
            rounding_mode=mode,
            base_minor=net,
            amount_minor=amount,
            code=rate.code,
            rate_ppm=rate.rate_ppm,
            inclusive=rate.inclusive,
            tax_rate_key=rate.tax_rate_key,
        )
        for rate, amount in zip(rule.rates, amounts, strict=True)
    ]


def buckets_of(lines: Sequence[PricedLine]) -> tuple[TaxBucket, ...]:
    """Add up the lines' taxes by tax and rate, in the order of their first line."""
    sums: dict[tuple[str, int, bool, int], list[int]] = {}
    for line in lines:
        for it in line.parts:
            if it.kind is PartKind.TAX:
                key = (it.code, it.rate_ppm, it.inclusive, it.tax_rate_key)
                bucket = sums.setdefault(key, [0, 0])
                bucket[0] += it.base_minor
                bucket[1] += it.amount_minor
    return tuple(
        TaxBucket(code, rate_ppm, inclusive, taxable, tax, rate_key)
        for (code, rate_ppm, inclusive, rate_key), (taxable, tax) in sums.items()
    )
