"""Small catalogues to price from, each built in one line, and a strategy for any other."""

import decimal
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from hypothesis import strategies as st

from internal.catalogue import messages as catalogue
from internal.catalogue.messages import RoundingPoint
from internal.kernel.money import RoundingMode
from internal.kernel.quantities import MILLI
from internal.kernel.unit_prices import UnitPrice
from internal.pricing import messages

MERCHANT = "m-1"
STORE = "s-1"
SOLD_AT_US = 1_700_000_000_000_000
ORACLE = decimal.Context(prec=200)


class Rounding(NamedTuple):
    """How the store of a snapshot rounds."""

    mode: RoundingMode
    point: RoundingPoint


HALF_UP_BY_LINE = Rounding(RoundingMode.HALF_UP, RoundingPoint.LINE)


class Case(NamedTuple):
    """A request and the snapshot to price it from."""

    request: messages.PriceRequest
    snapshot: catalogue.CatalogueSnapshot


Rates = Mapping[str, tuple[int, bool] | Mapping[str, tuple[int, bool]]]
"""{tax code: (ppm, inclusive)}, or {tax code: {tax: (ppm, inclusive), ...}} of several taxes."""


def snapshot_of(
    currency: str,
    rates: Rates,
    products: Mapping[str, tuple[int | UnitPrice, str]],
    rounding: Rounding = HALF_UP_BY_LINE,
) -> catalogue.CatalogueSnapshot:
    """Return one store's catalogue of these rates and {sku: (price, tax code)}."""
    store = catalogue.Store(
        merchant_id=MERCHANT,
        store_id=STORE,
        name="The shop",
        currency=currency,
        rounding_mode=rounding.mode,
        rounding_point=rounding.point,
    )
    return catalogue.CatalogueSnapshot(
        stores={(MERCHANT, STORE): store},
        products={
            (MERCHANT, sku): product_of(sku, price, currency, tax_code)
            for sku, (price, tax_code) in products.items()
        },
        tax_rates={(MERCHANT, code): _rates_of(code, it) for code, it in rates.items()},
    )


def _rates_of(
    tax_code: str, rates: tuple[int, bool] | Mapping[str, tuple[int, bool]]
) -> tuple[catalogue.TaxRate, ...]:
    taxes = {tax_code: rates} if isinstance(rates, tuple) else rates
    return tuple(
        rate_of(tax_code, code, ppm, inclusive=inclusive)
        for code, (ppm, inclusive) in taxes.items()
    )


def rate_of(
    tax_code: str, code: str, ppm: int, *, inclusive: bool, valid_from_us: int = 0
) -> catalogue.TaxRate:
    """Return a rate of the merchant."""
    return catalogue.TaxRate(
        merchant_id=MERCHANT,
        tax_code=tax_code,
        code=code,
        name=f"Tax {code}",
        rate_ppm=ppm,
        inclusive=inclusive,
        valid_from_us=valid_from_us,
    )


def product_of(
    sku: str, price: int | UnitPrice, currency: str, tax_code: str, *, active: bool = True
) -> catalogue.Product:
    """Return a product of the merchant, its price in minor units or finer."""
    return catalogue.Product(
        merchant_id=MERCHANT,
        sku=sku,
        name=f"A {sku}",
        unit_price=UnitPrice(price) if isinstance(price, int) else price,
        currency=currency,
        tax_code=tax_code,
        active=active,
    )


def request_of(
    currency: str, lines: list[tuple[str, int]], *adjustments: messages.Adjustment
) -> messages.PriceRequest:
    """Return a request to the store for [(sku, pieces)]."""
    wanted = [messages.WantedLine(sku, pieces * MILLI) for sku, pieces in lines]
    return request_for(currency, wanted, *adjustments)


def request_for(
    currency: str, lines: list[messages.WantedLine], *adjustments: messages.Adjustment
) -> messages.PriceRequest:
    """Return a request to the store."""
    return messages.PriceRequest(
        merchant_id=MERCHANT,
        store_id=STORE,
        currency=currency,
        lines=tuple(lines),
        sold_at_us=SOLD_AT_US,
        adjustments=adjustments,
    )


def amount(minor: int) -> messages.Adjustment:
    """Return a discount in minor units."""
    return messages.Adjustment(messages.AdjustmentKind.AMOUNT, minor)


def basis_points(share: int) -> messages.Adjustment:
    """Return a discount as a share, 1 % being 100."""
    return messages.Adjustment(messages.AdjustmentKind.BASIS_POINTS, share)


ROUNDINGS = st.builds(Rounding, st.sampled_from(RoundingMode), st.sampled_from(RoundingPoint))
RATES = st.tuples(st.integers(min_value=0, max_value=2 * catalogue.PPM), st.booleans())
CODES = st.one_of(
    RATES, st.dictionaries(st.sampled_from(["GST", "PST", "city"]), RATES, min_size=1)
)
PRICES = st.one_of(
    st.one_of(st.integers(0, 300), st.integers(0, 10**9)).map(UnitPrice),
    st.builds(UnitPrice, st.integers(0, 10**6), st.integers(1, 6)),
)
QUANTITIES = st.one_of(st.integers(1, 50).map(lambda pieces: pieces * MILLI), st.integers(1, 9_999))


SHARES: st.SearchStrategy[list[tuple[bool, int]]] = st.one_of(
    st.just([]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 333)), max_size=3),
    st.tuples(st.booleans(), st.integers(0, 1_000)).map(lambda one: [one]),
)
"""Discounts of at most the whole: (whether as an amount, thousandths of the whole)."""


def discounts_of(whole: int, shares: list[tuple[bool, int]]) -> tuple[messages.Adjustment, ...]:
    """Return discounts that together are at most `whole`."""
    return tuple(
        amount(whole * share // 1_000) if is_amount else basis_points(share * 10)
        for is_amount, share in shares
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any order that can be priced: 0, 2 or 3 decimals, all kinds of tax, every rounding."""
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    rates = draw(st.dictionaries(st.sampled_from("ABCD"), CODES, min_size=1))
    taxed = st.tuples(PRICES, st.sampled_from(sorted(rates)))
    products = draw(st.dictionaries(st.sampled_from("uvwxyz"), taxed, min_size=1))
    rounding = draw(ROUNDINGS)
    line = st.tuples(st.sampled_from(sorted(products)), QUANTITIES, SHARES)
    left, lines = 0, []
    for sku, milli, shares in draw(st.lists(line, min_size=1, max_size=8)):
        gross = gross_of(products[sku][0], milli, rounding.mode)
        own = discounts_of(gross, shares)
        left += gross - taken(own, gross, rounding.mode)
        lines.append(messages.WantedLine(sku, milli, adjustments=own))
    request = request_for(currency, lines, *discounts_of(left, draw(SHARES)))
    return Case(request, snapshot_of(currency, rates, products, rounding))


def gross_of(price: UnitPrice, milli: int, mode: RoundingMode) -> int:
    """Return quantity x price, rounded."""
    return rounded(Fraction(price.scaled * milli, MILLI * 10**price.scale), mode)


def taken(adjustments: Sequence[messages.Adjustment], whole: int, mode: RoundingMode) -> int:
    """Return what the adjustments take off `whole`."""
    points = sum(it.value for it in adjustments if it.kind == messages.AdjustmentKind.BASIS_POINTS)
    amounts = sum(it.value for it in adjustments if it.kind == messages.AdjustmentKind.AMOUNT)
    return amounts + rounded(Fraction(whole * points, 10_000), mode)


def rounded(exact: Fraction, mode: RoundingMode) -> int:
    """Round by the decimal module, as an oracle."""
    quotient = ORACLE.divide(decimal.Decimal(exact.numerator), decimal.Decimal(exact.denominator))
    return int(quotient.to_integral_value(rounding=f"ROUND_{mode}"))
