"""Explains an order's price in sentences, from the parts of its lines alone. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from internal.kernel import money, quantities, unit_prices
from internal.pricing import percentages, taxes
from internal.pricing.messages import Part, PartKind, PartRule, PricedLine, PriceSource, TaxBucket

_ROUNDED_WHERE = {
    PartRule.LINE: "on each line",
    PartRule.TAX_RATE: "once per tax rate, shared by largest remainder",
    PartRule.DOCUMENT: "once for the document, shared by largest remainder",
}


class _Discount(NamedTuple):
    """The parts of one adjustment of the order, on all lines."""

    part: Part
    """One of them; all name the same adjustment."""
    amount_minor: int


def steps(lines: Sequence[PricedLine], currency: str) -> tuple[str, ...]:
    """Return the steps to the total: lines, their discounts, the order's, taxes, rounding.

    A discount that takes nothing has no step.
    """
    return (
        *(step for line in lines for step in _line_steps(line, currency)),
        *_order_steps(lines, currency),
        *(_tax_step(bucket, lines, currency) for bucket in taxes.buckets_of(lines)),
        *_rounding_steps(lines),
    )


def _line_steps(line: PricedLine, currency: str) -> Iterator[str]:
    step = (
        f"line {line.line_no}: {quantities.text(line.quantity_milli)}"
        f" x {unit_prices.to_text(line.unit_price, currency)}"
        f" = {money.to_text(line.gross_minor, currency)}"
    )
    if line.price_source is PriceSource.TILL:
        step += " (the till's price)"
    for part in line.parts:
        if part.kind == PartKind.ROUNDING:
            step += f" ({part.rounding_mode})"
    if line.discount_minor:
        step += f", discount {money.to_text(line.discount_minor, currency)}"
    yield step + "".join(
        f", tax {part.code} {money.to_text(part.amount_minor, currency)} {_where(part.inclusive)}"
        for part in line.parts
        if part.kind == PartKind.TAX
    )
    for part in line.parts:
        if part.kind == PartKind.DISCOUNT and part.rule == PartRule.LINE:
            what = _discount(part, line.gross_minor, part.amount_minor, currency)
            yield f"line {line.line_no}: {what}"


def _order_steps(lines: Sequence[PricedLine], currency: str) -> Iterator[str]:
    found: dict[int, _Discount] = {}
    base_minor = 0
    for line in lines:
        base_minor += line.gross_minor
        for part in line.parts:
            if part.kind != PartKind.DISCOUNT:
                continue
            if part.rule == PartRule.LINE:
                base_minor -= part.amount_minor
                continue
            before = found.get(part.adjustment_no, _Discount(part, 0))
            found[part.adjustment_no] = _Discount(part, before.amount_minor + part.amount_minor)
    for _, (part, amount_minor) in sorted(found.items()):
        what = _discount(part, base_minor, amount_minor, currency)
        yield f"{what}, shared among the lines by largest remainder"


def _discount(part: Part, base_minor: int, amount_minor: int, currency: str) -> str:
    """Describe a discount: its amount, and who or what gave it."""
    amount = money.to_text(amount_minor, currency)
    if part.rate_ppm:
        share, base = percentages.text(part.rate_ppm), money.to_text(base_minor, currency)
        amount = f"{share} of {base} = {amount} ({part.rounding_mode})"
    by = f"allowed by {part.allowed_by}" if part.allowed_by else ""
    why = ", ".join(filter(None, (part.source.lower(), part.code, part.reason_code, by)))
    return f"discount {amount}, {why}"


def _tax_step(bucket: TaxBucket, lines: Sequence[PricedLine], currency: str) -> str:
    base_minor = bucket.taxable_minor
    if bucket.inclusive:
        base_minor = sum(
            line.gross_minor - line.discount_minor
            for line in lines
            if any(_belongs(part, bucket) for part in line.parts)
        )
    base, tax = (money.to_text(it, currency) for it in (base_minor, bucket.tax_minor))
    rate = percentages.text(bucket.rate_ppm)
    where = "inside" if bucket.inclusive else "on top of"
    return f"tax {bucket.code}: {rate} {where} {base} = {tax}"


def _belongs(part: Part, bucket: TaxBucket) -> bool:
    of_part = (part.code, part.rate_ppm, part.inclusive, part.tax_rate_key)
    of_bucket = (bucket.code, bucket.rate_ppm, bucket.inclusive, bucket.tax_rate_key)
    return part.kind == PartKind.TAX and of_part == of_bucket


def _rounding_steps(lines: Sequence[PricedLine]) -> Iterator[str]:
    for line in lines:
        for part in line.parts:
            if part.kind == PartKind.TAX:
                yield f"tax rounded {part.rounding_mode} {_ROUNDED_WHERE[part.rule]}"
                return


def _where(inclusive: bool) -> str:  # noqa: FBT001 - a field of a part
    return "inside" if inclusive else "on top"
