"""Takes discounts off lines: each line's own ones first, then those of the order. Pure.

The discounts of one list are shares of the same amount, or amounts, and together at most all of it.
Shares are rounded together, so that 50 % and 50 % are the whole. A discount of the order is spread
over the lines by largest remainder, in proportion to what is left of each.
"""

from collections.abc import Sequence
from typing import NamedTuple

from internal.catalogue.messages import Store
from internal.kernel import money
from internal.pricing import messages, percentages, refusals
from internal.pricing.messages import AdjustmentKind, Part, PartKind, PartRule, RefusalReason


class Discounted(NamedTuple):
    """The rest of each line after the discounts, and their parts by line."""

    bases: list[int]
    parts: list[list[Part]]


def apply(
    lines: Sequence[messages.WantedLine],
    grosses: Sequence[int],
    of_order: Sequence[messages.Adjustment],
    store: Store,
) -> Discounted | messages.Refusal:
    """Take all discounts off the lines' grosses, or return why they cannot be given."""
    left = Discounted(list(grosses), [[] for _ in lines])
    for place, line in enumerate(lines):
        if line.adjustments:
            refusal = _take_off_line(left, place, line, store)
            if refusal is not None:
                return refusal
    refusal = _take_off_order(left, of_order, store) if of_order else None
    return refusal or left


def _take_off_line(
    left: Discounted, place: int, line: messages.WantedLine, store: Store
) -> messages.Refusal | None:
    gross = left.bases[place]
    amounts = _amounts_of(line.adjustments, gross, store, "the line")
    if isinstance(amounts, messages.Refusal):
        reason = RefusalReason(amounts.reason)
        return refusals.of_line(reason, place + 1, line, amounts.explanation)
    for number, (it, amount) in enumerate(zip(line.adjustments, amounts, strict=True), start=1):
        if amount:
            left.parts[place].append(_part(it, number, PartRule.LINE, (gross, amount), store))
    left.bases[place] -= sum(amounts)
    return None


def _take_off_order(
    left: Discounted, adjustments: Sequence[messages.Adjustment], store: Store
) -> messages.Refusal | None:
    before = tuple(left.bases)
    amounts = _amounts_of(adjustments, sum(before), store, "the whole order")
    if isinstance(amounts, messages.Refusal):
        return amounts
    for number, (it, amount) in enumerate(zip(adjustments, amounts, strict=True), start=1):
        for place, share in enumerate(money.allocate(amount, left.bases)):
            if share:
                part = _part(it, number, PartRule.ORDER, (before[place], share), store)
                left.parts[place].append(part)
                left.bases[place] -= share
    return None


def _amounts_of(
    adjustments: Sequence[messages.Adjustment], whole: int, store: Store, what: str
) -> list[int] | messages.Refusal:
    """Return what each adjustment takes off `whole`, in minor units."""
    if min(it.value for it in adjustments) < 0:
        return refusals.of_order(RefusalReason.INVALID_ORDER, "a discount must not be negative")
    shares = [it.value if it.kind == AdjustmentKind.BASIS_POINTS else 0 for it in adjustments]
    amounts = [it.value if it.kind == AdjustmentKind.AMOUNT else 0 for it in adjustments]
    points = sum(shares)
    if points > percentages.BASIS_POINTS:
        percent = percentages.text(points * percentages.PPM_PER_BASIS_POINT)
        return _too_large(f"{percent} is more than {what}")
    if points:
        exact = [whole * share for share in shares]
        total = money.divide_round(whole * points, percentages.BASIS_POINTS, store.rounding_mode)
        for place, share in enumerate(money.apportion(total, exact, percentages.BASIS_POINTS)):
            amounts[place] += share
    taken = sum(amounts)
    if taken > whole:
        wanted, given = (money.to_text(it, store.currency) for it in (taken, whole))
        return _too_large(f"{wanted} {store.currency} is more than the {given} of {what}")
    return amounts


def _too_large(what: str) -> messages.Refusal:
    return refusals.of_order(RefusalReason.DISCOUNT_TOO_LARGE, f"a discount of {what}")


def _part(
    of: messages.Adjustment, number: int, rule: PartRule, amounts: tuple[int, int], store: Store
) -> Part:
    base, amount = amounts
    is_share = of.kind == AdjustmentKind.BASIS_POINTS
    return Part(
        kind=PartKind.DISCOUNT,
        rule=rule,
        rounding_mode=store.rounding_mode,
        base_minor=base,
        amount_minor=amount,
        code=of.code,
        rate_ppm=of.value * percentages.PPM_PER_BASIS_POINT if is_share else 0,
        adjustment_no=number,
        source=of.source,
        reason_code=of.reason_code,
        allowed_by=of.allowed_by,
    )
