"""Prices an order from the catalogue: price, discount, tax and rounding, all explained.

Pure: the caller passes everything in. A refusal is a return value, so that one bad order never
blocks the rest of its batch. The price must not depend on stock, payment or the caller: a quote
and an order that see the same catalogue cost the same.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

from internal.catalogue import messages as catalogue
from internal.kernel import money
from internal.pricing import messages

BASIS_POINTS = 10_000
"""Basis points in a whole: 10 % is 1,000 of them."""

_PPM_PER_PERCENT = catalogue.PPM // 100
_PPM_PER_BASIS_POINT = catalogue.PPM // BASIS_POINTS

_ROUNDED_WHERE = {
    catalogue.RoundingPoint.LINE: "on each line",
    catalogue.RoundingPoint.TAX_RATE: "once per tax rate, shared by largest remainder",
    catalogue.RoundingPoint.DOCUMENT: "once for the document, shared by largest remainder",
}

_Reason = messages.RefusalReason


class _Item(NamedTuple):
    """A wanted line with its product and tax rate."""

    wanted: messages.WantedLine
    product: catalogue.Product
    rate: catalogue.TaxRate
    gross: int


class _Group(NamedTuple):
    """The lines of one tax code: their positions, and `base`, their sum after the discount.

    The exact tax of a line is its numerator / denominator.
    """

    rate: catalogue.TaxRate
    positions: list[int]
    base: int
    numerators: list[int]
    denominator: int


def price(
    request: messages.PriceRequest, snapshot: catalogue.CatalogueSnapshot
) -> messages.PricedOrder | messages.Refusal:
    """Price an order, or return why it cannot be priced.

    Each line is base price x quantity, less its share of the order's discount (by largest remainder
    on the gross), then tax, inside or on top, rounded by the store's rule. Tax that is rounded for
    several lines at once is shared among them again, so that lines always sum to the document.
    Every priced order satisfies:

    - net_minor + tax_minor == total_minor
    - lines sum to the document, tax buckets sum to its net and its tax
    - each discount share and each tax is less than one minor unit from its exact value

    The snapshot must have prices and rates of zero or more, in ISO 4217 currencies.
    """
    store = snapshot.stores.get((request.merchant_id, request.store_id))
    if store is None:
        return _refuse(_Reason.UNKNOWN_STORE, f"there is no store {request.store_id!r}")
    items = _look_up(request, store, snapshot)
    if isinstance(items, messages.Refusal):
        return items
    gross = sum(item.gross for item in items)
    if gross > money.INT64_MAX:
        return _refuse_size(items)
    discount = _discount_of(request.discount, gross, store)
    if isinstance(discount, messages.Refusal):
        return discount
    priced = _total_up(request.discount, items, discount, store)
    return priced if priced.total_minor <= money.INT64_MAX else _refuse_size(items)


def _look_up(
    request: messages.PriceRequest, store: catalogue.Store, snapshot: catalogue.CatalogueSnapshot
) -> list[_Item] | messages.Refusal:
    """Find the product and tax rate of every line, or refuse the first that cannot be sold."""
    if request.currency != store.currency:
        what = f"store {store.store_id!r} sells in {store.currency}, not in {request.currency}"
        return _refuse(_Reason.CURRENCY_MISMATCH, what)
    if not request.lines:
        return _refuse(_Reason.INVALID_ORDER, "the order has no lines")
    merchant_id = request.merchant_id
    items: list[_Item] = []
    for line_no, wanted in enumerate(request.lines, start=1):
        product = snapshot.products.get((merchant_id, wanted.sku))
        if product is None:
            return _refuse_line(_Reason.UNKNOWN_SKU, line_no, wanted, "there is no such product")
        rate = snapshot.tax_rates.get((merchant_id, product.tax_code))
        if rate is None:
            what = f"its tax code {product.tax_code!r} is not in the catalogue"
            return _refuse_line(_Reason.UNKNOWN_TAX_CODE, line_no, wanted, what)
        refusal = _refusal_of(line_no, wanted, product, store)
        if refusal is not None:
            return refusal
        items.append(_Item(wanted, product, rate, wanted.quantity * product.price_minor))
    return items


def _refusal_of(
    line_no: int, wanted: messages.WantedLine, product: catalogue.Product, store: catalogue.Store
) -> messages.Refusal | None:
    """Return why `product` cannot be sold as `wanted`; None if it can."""
    if not 1 <= wanted.quantity <= money.INT64_MAX:
        what = f"the quantity is {wanted.quantity}, it must be at least 1 and fit into 64 bits"
        return _refuse_line(_Reason.INVALID_ORDER, line_no, wanted, what)
    if not product.active:
        return _refuse_line(_Reason.INACTIVE_SKU, line_no, wanted, "the product is no longer sold")
    if product.currency != store.currency:
        what = f"its price is in {product.currency}, the store sells in {store.currency}"
        return _refuse_line(_Reason.CURRENCY_MISMATCH, line_no, wanted, what)
    expected = wanted.expected_price_minor
    if expected is not None and expected != product.price_minor:
        now, then = (money.to_text(it, store.currency) for it in (product.price_minor, expected))
        what = f"the price is {now} {store.currency}, the order expects {then}"
        return _refuse_line(_Reason.PRICE_CHANGED, line_no, wanted, what)
    return None


def _discount_of(
    discount: messages.Discount | None, gross: int, store: catalogue.Store
) -> int | messages.Refusal:
    """Return the amount that a discount takes off `gross`, in minor units."""
    if discount is None:
        return 0
    if discount.value < 0:
        return _refuse(_Reason.INVALID_ORDER, "a discount must not be negative")
    if discount.kind == messages.DiscountKind.BASIS_POINTS:
        if discount.value > BASIS_POINTS:
            share = _percent(discount.value * _PPM_PER_BASIS_POINT)
            what = f"a discount of {share} is more than the whole order"
            return _refuse(_Reason.DISCOUNT_TOO_LARGE, what)
        return money.divide_round(gross * discount.value, BASIS_POINTS, store.rounding_mode)
    if discount.value > gross:
        wanted, given = (money.to_text(it, store.currency) for it in (discount.value, gross))
        what = f"a discount of {wanted} {store.currency} is more than the {given} of all lines"
        return _refuse(_Reason.DISCOUNT_TOO_LARGE, what)
    return discount.value


def _total_up(
    wanted: messages.Discount | None, items: list[_Item], discount: int, store: catalogue.Store
) -> messages.PricedOrder:
    """Share the discount among the lines, add tax to the rest, and sum up."""
    grosses = [item.gross for item in items]
    shares = money.allocate(discount, grosses)
    groups = _group(items, [gross - share for gross, share in zip(grosses, shares, strict=True)])
    group_taxes = _taxes_of(groups, store)
    taxes = [0] * len(items)
    for group, line_taxes in zip(groups, group_taxes, strict=True):
        for position, tax in zip(group.positions, line_taxes, strict=True):
            taxes[position] = tax
    lines = tuple(map(_line, itertools.count(1), items, shares, taxes))
    buckets = tuple(map(_bucket, groups, map(sum, group_taxes)))
    tax = sum(taxes)
    total = sum([line.total_minor for line in lines])
    return messages.PricedOrder(
        currency=store.currency,
        lines=lines,
        taxes=buckets,
        gross_minor=sum(grosses),
        discount_minor=discount,
        net_minor=total - tax,
        tax_minor=tax,
        total_minor=total,
        trace=_trace(wanted, discount, lines, buckets, store),
    )


def _group(items: list[_Item], bases: list[int]) -> list[_Group]:
    """Group the lines by tax code, in the order of their first line."""
    positions: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        positions.setdefault(item.rate.tax_code, []).append(position)
    groups = []
    for where in positions.values():
        rate = items[where[0]].rate
        base = [bases[position] for position in where]
        whole = catalogue.PPM + rate.rate_ppm if rate.inclusive else catalogue.PPM
        groups.append(_Group(rate, where, sum(base), [it * rate.rate_ppm for it in base], whole))
    return groups


def _taxes_of(groups: list[_Group], store: catalogue.Store) -> list[list[int]]:
    """Return the tax of every line, group by group, rounded at the store's rounding point."""
    mode = store.rounding_mode
    if store.rounding_point == catalogue.RoundingPoint.LINE:
        return [
            [money.divide_round(it, group.denominator, mode) for it in group.numerators]
            for group in groups
        ]
    if store.rounding_point == catalogue.RoundingPoint.TAX_RATE:
        rounded = [
            money.divide_round(sum(group.numerators), group.denominator, mode) for group in groups
        ]
    else:
        rounded = _taxes_of_document(groups, mode)
    return [
        money.apportion(tax, group.numerators, group.denominator)
        for tax, group in zip(rounded, groups, strict=True)
    ]


def _taxes_of_document(groups: list[_Group], mode: money.RoundingMode) -> list[int]:
    """Return the tax of every group, rounded once for all of them over the common denominator."""
    whole = math.lcm(*[group.denominator for group in groups])
    exact = [sum(group.numerators) * (whole // group.denominator) for group in groups]
    return money.apportion(money.divide_round(sum(exact), whole, mode), exact, whole)


def _line(line_no: int, item: _Item, share: int, tax: int) -> messages.PricedLine:
    wanted, product, rate, gross = item
    base = gross - share
    return messages.PricedLine(
        line_no=line_no,
        sku=product.sku,
        name=product.name,
        quantity=wanted.quantity,
        unit_price_minor=product.price_minor,
        gross_minor=gross,
        discount_minor=share,
        tax_code=rate.tax_code,
        tax_rate_ppm=rate.rate_ppm,
        tax_inclusive=rate.inclusive,
        tax_minor=tax,
        total_minor=base if rate.inclusive else base + tax,
    )


def _bucket(group: _Group, tax: int) -> messages.TaxBucket:
    rate = group.rate
    return messages.TaxBucket(
        tax_code=rate.tax_code,
        rate_ppm=rate.rate_ppm,
        inclusive=rate.inclusive,
        taxable_minor=group.base - tax if rate.inclusive else group.base,
        tax_minor=tax,
    )


def _trace(
    wanted: messages.Discount | None,
    discount: int,
    lines: tuple[messages.PricedLine, ...],
    buckets: tuple[messages.TaxBucket, ...],
    store: catalogue.Store,
) -> tuple[str, ...]:
    """Explain the steps. One sentence per line and bucket, because this runs for every order."""
    text = functools.partial(money.to_text, currency=store.currency)
    steps = [_line_step(line, text) for line in lines]
    if wanted is not None:
        steps.append(_discount_step(wanted, text(discount), store))
    steps += [_bucket_step(bucket, text) for bucket in buckets]
    steps.append(f"tax rounded {store.rounding_mode} {_ROUNDED_WHERE[store.rounding_point]}")
    return tuple(steps)


def _line_step(line: messages.PricedLine, text: Callable[[int], str]) -> str:
    step = (
        f"line {line.line_no}: {line.quantity} x base price {text(line.unit_price_minor)}"
        f" = {text(line.gross_minor)}"
    )
    if line.discount_minor:
        step += f", discount {text(line.discount_minor)}"
    where = "inside" if line.tax_inclusive else "on top"
    return f"{step}, tax {line.tax_code} {text(line.tax_minor)} {where}"


def _discount_step(wanted: messages.Discount, taken: str, store: catalogue.Store) -> str:
    shared = "shared among the lines by largest remainder"
    if wanted.kind == messages.DiscountKind.AMOUNT:
        return f"discount {taken}, {shared}"
    share = _percent(wanted.value * _PPM_PER_BASIS_POINT)
    return f"discount {share} of the gross = {taken} ({store.rounding_mode}), {shared}"


def _bucket_step(bucket: messages.TaxBucket, text: Callable[[int], str]) -> str:
    base = bucket.taxable_minor + bucket.tax_minor if bucket.inclusive else bucket.taxable_minor
    where = "inside" if bucket.inclusive else "on top of"
    rate = _percent(bucket.rate_ppm)
    return f"tax {bucket.tax_code}: {rate} {where} {text(base)} = {text(bucket.tax_minor)}"


@functools.lru_cache(maxsize=1024)
def _percent(rate_ppm: int) -> str:
    """Return parts per million as a percentage: 88_750 is "8.875 %"."""
    percent, rest = divmod(rate_ppm, _PPM_PER_PERCENT)
    return f"{percent}.{rest:04}".rstrip("0").rstrip(".") + " %"


def _refuse_size(items: list[_Item]) -> messages.Refusal:
    """Name the line that is too large, or the order if only the sum of its lines is."""
    for line_no, item in enumerate(items, start=1):
        if item.gross > money.INT64_MAX:
            what = "quantity times price is more than 64 bits can hold"
            return _refuse_line(_Reason.AMOUNT_TOO_LARGE, line_no, item.wanted, what)
    return _refuse(_Reason.AMOUNT_TOO_LARGE, "the order's total is more than 64 bits can hold")


def _refuse_line(
    reason: messages.RefusalReason, line_no: int, wanted: messages.WantedLine, what: str
) -> messages.Refusal:
    return _refuse(reason, f"line {line_no} ({wanted.sku}): {what}")


def _refuse(reason: messages.RefusalReason, explanation: str) -> messages.Refusal:
    return messages.Refusal(reason=reason, explanation=explanation)
