"""Small catalogues to price from, each built in one line, and a strategy for any other."""

from typing import NamedTuple

from hypothesis import strategies as st

from internal.catalogue import messages as catalogue
from internal.catalogue.messages import RoundingPoint
from internal.kernel.money import RoundingMode
from internal.pricing import messages

MERCHANT = "m-1"
STORE = "s-1"


class Rounding(NamedTuple):
    """How the store of a snapshot rounds."""

    mode: RoundingMode
    point: RoundingPoint


HALF_UP_BY_LINE = Rounding(RoundingMode.HALF_UP, RoundingPoint.LINE)


class Case(NamedTuple):
    """A request and the snapshot to price it from."""

    request: messages.PriceRequest
    snapshot: catalogue.CatalogueSnapshot


def snapshot_of(
    currency: str,
    rates: dict[str, tuple[int, bool]],
    products: dict[str, tuple[int, str]],
    rounding: Rounding = HALF_UP_BY_LINE,
) -> catalogue.CatalogueSnapshot:
    """Return one store's catalogue of {tax code: (ppm, inclusive)} and {sku: (price, tax code)}."""
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
            (MERCHANT, sku): product_of(sku, minor, currency, tax_code)
            for sku, (minor, tax_code) in products.items()
        },
        tax_rates={
            (MERCHANT, code): catalogue.TaxRate(
                merchant_id=MERCHANT,
                tax_code=code,
                name=f"Tax {code}",
                rate_ppm=ppm,
                inclusive=inclusive,
            )
            for code, (ppm, inclusive) in rates.items()
        },
    )


def product_of(
    sku: str, price_minor: int, currency: str, tax_code: str, *, active: bool = True
) -> catalogue.Product:
    """Return a product of the merchant."""
    return catalogue.Product(
        merchant_id=MERCHANT,
        sku=sku,
        name=f"A {sku}",
        price_minor=price_minor,
        currency=currency,
        tax_code=tax_code,
        active=active,
    )


def request_of(
    currency: str, lines: list[tuple[str, int]], discount: messages.Discount | None = None
) -> messages.PriceRequest:
    """Return a request to the store for [(sku, quantity)]."""
    return messages.PriceRequest(
        merchant_id=MERCHANT,
        store_id=STORE,
        currency=currency,
        lines=tuple(messages.WantedLine(sku, quantity) for sku, quantity in lines),
        discount=discount,
    )


def amount(minor: int) -> messages.Discount:
    """Return a discount in minor units."""
    return messages.Discount(messages.DiscountKind.AMOUNT, minor)


def basis_points(share: int) -> messages.Discount:
    """Return a discount as a share of the gross, 1 % being 100."""
    return messages.Discount(messages.DiscountKind.BASIS_POINTS, share)


ROUNDINGS = st.builds(Rounding, st.sampled_from(RoundingMode), st.sampled_from(RoundingPoint))
RATES = st.tuples(st.integers(min_value=0, max_value=2 * catalogue.PPM), st.booleans())
PRICES = st.one_of(st.integers(0, 300), st.integers(0, 10**9))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any order that can be priced: 0, 2 or 3 decimals, both kinds of tax, every rounding."""
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    rates = draw(st.dictionaries(st.sampled_from("ABCD"), RATES, min_size=1))
    taxed = st.tuples(PRICES, st.sampled_from(sorted(rates)))
    products = draw(st.dictionaries(st.sampled_from("uvwxyz"), taxed, min_size=1))
    line = st.tuples(st.sampled_from(sorted(products)), st.integers(1, 50))
    lines = draw(st.lists(line, min_size=1, max_size=8))
    gross = sum(products[sku][0] * quantity for sku, quantity in lines)
    some_discount = st.one_of(
        st.none(),
        st.builds(amount, st.integers(0, gross)),
        st.builds(basis_points, st.integers(0, 10_000)),
    )
    snapshot = snapshot_of(currency, rates, products, draw(ROUNDINGS))
    return Case(request_of(currency, lines, draw(some_discount)), snapshot)
