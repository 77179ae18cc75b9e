"""Prices an order from the catalogue: price, discounts, taxes and rounding, all explained.

Pure: the caller passes everything in. A refusal is a return value, so that one bad order never
blocks the rest of its batch. The price must not depend on stock, payment or the caller: a quote
and an order that see the same catalogue cost the same.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from internal.catalogue import messages as catalogue
from internal.kernel import money, unit_prices
from internal.kernel.unit_prices import UnitPrice
from internal.pricing import adjustments, messages, refusals, taxes
from internal.pricing.messages import Part, PartKind, PartRule, PriceSource

_Reason = messages.RefusalReason
_BASE, _TILL = PriceSource.BASE, PriceSource.TILL


class _Item(NamedTuple):
    """A wanted line with its product, its taxes and its gross."""

    wanted: messages.WantedLine
    product: catalogue.Product
    unit_price: UnitPrice
    tax_rule: taxes.Rule
    gross: int
    rounding: Part | None
    """How the gross was rounded, if it was."""


def price(
    request: messages.PriceRequest, snapshot: catalogue.CatalogueSnapshot
) -> messages.PricedOrder | messages.Refusal:
    """Price an order, or return why it cannot be priced.

    Each line is base price x quantity, rounded, less its discounts and its share of the order's (by
    largest remainder), then taxes, inside or on top, rounded by the store's rule. Tax that is
    rounded for several lines at once is shared among them again, so that lines always sum to the
    document. Every priced order satisfies:

    - net_minor + tax_minor == total_minor
    - lines sum to the document, parts sum to their line, tax buckets to the document's tax
    - each discount share and each tax is less than one minor unit from its exact value

    The snapshot must have prices and rates of zero or more, in ISO 4217 currencies.
    """
    store = snapshot.stores.get((request.merchant_id, request.store_id))
    if store is None:
        return refusals.of_order(_Reason.UNKNOWN_STORE, f"there is no store {request.store_id!r}")
    items = _look_up(request, store, snapshot)
    if isinstance(items, messages.Refusal):
        return items
    grosses = [item.gross for item in items]
    if sum(grosses) > money.INT64_MAX:
        return _refuse_size(items)
    left = adjustments.apply(request.lines, grosses, request.adjustments, store)
    if isinstance(left, messages.Refusal):
        return left
    priced = _total_up(items, left, store)
    return priced if priced.total_minor <= money.INT64_MAX else _refuse_size(items)


def _look_up(
    request: messages.PriceRequest, store: catalogue.Store, snapshot: catalogue.CatalogueSnapshot
) -> list[_Item] | messages.Refusal:
    """Find the product and taxes of every line, or refuse the first that cannot be sold."""
    refusal = _refusal_of_whole(request, store)
    if refusal is not None:
        return refusal
    tax_rules: dict[str, taxes.Rule] = {}
    items: list[_Item] = []
    for line_no, wanted in enumerate(request.lines, start=1):
        product = snapshot.products.get((request.merchant_id, wanted.sku))
        if product is None:
            what = "there is no such product"
            return refusals.of_line(_Reason.UNKNOWN_SKU, line_no, wanted, what)
        tax_rule = tax_rules.get(product.tax_code)
        if tax_rule is None:
            rates = snapshot.tax_rates.get((request.merchant_id, product.tax_code), ())
            tax_rule = tax_rules[product.tax_code] = taxes.rule_of(rates, request.sold_at_us)
        refusal = _refusal_of(line_no, wanted, product, tax_rule, store)
        if refusal is not None:
            return refusal
        items.append(_item(wanted, product, tax_rule, store))
    return items


def _refusal_of_whole(
    request: messages.PriceRequest, store: catalogue.Store
) -> messages.Refusal | None:
    if request.currency != store.currency:
        what = f"store {store.store_id!r} sells in {store.currency}, not in {request.currency}"
        return refusals.of_order(_Reason.CURRENCY_MISMATCH, what)
    if not request.lines:
        return refusals.of_order(_Reason.INVALID_ORDER, "the order has no lines")
    twice = repeated_ref(request.lines)
    if twice:
        what = f"two lines have the line_ref {twice!r}"
        return refusals.of_order(_Reason.INVALID_ORDER, what)
    return None


def repeated_ref(lines: Sequence[messages.WantedLine]) -> str:
    """Return a name that two lines have; "" if there is none. A line without one has its number."""
    if not any(line.line_ref for line in lines):
        return ""
    seen: set[str] = set()
    for line_no, line in enumerate(lines, start=1):
        ref = line.line_ref or str(line_no)
        if ref in seen:
            return ref
        seen.add(ref)
    return ""


def _refusal_of(
    line_no: int,
    wanted: messages.WantedLine,
    product: catalogue.Product,
    tax_rule: taxes.Rule,
    store: catalogue.Store,
) -> messages.Refusal | None:
    """Return why `product` cannot be sold as `wanted`; None if it can."""
    if not tax_rule.rates:
        what = f"its tax code {product.tax_code!r} is not in the catalogue"
        return refusals.of_line(_Reason.UNKNOWN_TAX_CODE, line_no, wanted, what)
    if not 1 <= wanted.quantity_milli <= money.INT64_MAX:
        what = "the quantity must be above 0, and its thousandths fit into 64 bits"
        return refusals.of_line(_Reason.INVALID_ORDER, line_no, wanted, what)
    if not product.active:
        what = "the product is no longer sold"
        return refusals.of_line(_Reason.INACTIVE_SKU, line_no, wanted, what)
    if product.currency != store.currency:
        what = f"its price is in {product.currency}, the store sells in {store.currency}"
        return refusals.of_line(_Reason.CURRENCY_MISMATCH, line_no, wanted, what)
    expected = wanted.expected_price
    if expected != product.unit_price and _is_compared(expected, store):
        now, then = (
            unit_prices.to_text(it, store.currency) for it in (product.unit_price, expected)
        )
        what = f"the price is {now} {store.currency}, the order expects {then}"
        return refusals.of_line(_Reason.PRICE_CHANGED, line_no, wanted, what)
    return None


def _is_compared(expected: UnitPrice | None, store: catalogue.Store) -> TypeGuard[UnitPrice]:
    return expected is not None and store.price_policy is catalogue.PricePolicy.CHECKED


def _item(
    wanted: messages.WantedLine,
    product: catalogue.Product,
    tax_rule: taxes.Rule,
    store: catalogue.Store,
) -> _Item:
    """Multiply quantity and price: the line is rounded, never the unit."""
    expected = wanted.expected_price
    # One that differs from the product's is refused before, unless the store charges the till's.
    price = product.unit_price if expected is None else expected
    exact, denominator = unit_prices.gross_fraction(price, wanted.quantity_milli)
    whole, rest = divmod(exact, denominator)
    if not rest:
        return _Item(wanted, product, price, tax_rule, whole, None)
    gross = money.divide_round(exact, denominator, store.rounding_mode)
    rounding = Part(
        kind=PartKind.ROUNDING,
        rule=PartRule.LINE,
        rounding_mode=store.rounding_mode,
        base_minor=whole,
        amount_minor=gross - whole,
    )
    return _Item(wanted, product, price, tax_rule, gross, rounding)


def _total_up(
    items: list[_Item], left: adjustments.Discounted, store: catalogue.Store
) -> messages.PricedOrder:
    """Add tax to what the discounts leave, and sum up."""
    rules = [item.tax_rule for item in items]
    amounts = taxes.amounts_of(left.bases, rules, store)
    lines = []
    for line_no, item in enumerate(items, start=1):
        place = line_no - 1
        base = left.bases[place]
        parts = left.parts[place]
        if item.rounding is not None:
            parts.insert(0, item.rounding)
        parts += taxes.parts_of(base, item.tax_rule, amounts[place], store)
        lines.append(_line(line_no, item, base, parts, store))
    gross = sum([line.gross_minor for line in lines])
    tax = sum([line.tax_minor for line in lines])
    total = sum([line.total_minor for line in lines])
    return messages.PricedOrder(
        currency=store.currency,
        lines=tuple(lines),
        taxes=taxes.buckets_of(lines),
        gross_minor=gross,
        discount_minor=gross - sum(left.bases),
        net_minor=total - tax,
        tax_minor=tax,
        total_minor=total,
        price_policy=store.price_policy,
    )


def _line(
    line_no: int, item: _Item, base: int, parts: Sequence[Part], store: catalogue.Store
) -> messages.PricedLine:
    wanted, product = item.wanted, item.product
    tax = on_top = 0
    for part in parts:
        if part.kind is PartKind.TAX:
            tax += part.amount_minor
            on_top += 0 if part.inclusive else part.amount_minor
    return messages.PricedLine(
        line_no=line_no,
        line_ref=wanted.line_ref or str(line_no),
        sku=product.sku,
        name=product.name,
        location_id=store.store_id if product.is_stocked else "",
        quantity_milli=wanted.quantity_milli,
        unit_price=item.unit_price,
        gross_minor=item.gross,
        discount_minor=item.gross - base,
        tax_minor=tax,
        total_minor=base + on_top,
        parts=tuple(parts),
        price_source=_BASE if item.unit_price == product.unit_price else _TILL,
    )


def _refuse_size(items: list[_Item]) -> messages.Refusal:
    """Name the line that is too large, or the order if only the sum of its lines is."""
    for line_no, item in enumerate(items, start=1):
        if item.gross > money.INT64_MAX:
            what = "quantity times price is more than 64 bits can hold"
            return refusals.of_line(_Reason.AMOUNT_TOO_LARGE, line_no, item.wanted, what)
    what = "the order's total is more than 64 bits can hold"
    return refusals.of_order(_Reason.AMOUNT_TOO_LARGE, what)
