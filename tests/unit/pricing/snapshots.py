"""Small catalogues to price from, built in a line, and a strategy for any other."""

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
    store = catalogue.Store(MERCHANT, STORE, "The shop", currency, rounding.mode, rounding.point)
    return catalogue.CatalogueSnapshot(
        stores={(MERCHANT, STORE): store},
        products={
            (MERCHANT, sku): catalogue.Product(MERCHANT, sku, f"A {sku}", minor, currency, tax_code)
            for sku, (minor, tax_code) in products.items()
        },
        tax_rates={
            (MERCHANT, code): catalogue.TaxRate(MERCHANT, code, f"Tax {code}", ppm, inclusive)
            for code, (ppm, inclusive) in rates.items()
        },
    )


def request_of(
    currency: str, lines: list[tuple[str, int]], discount: messages.Discount | None = None
) -> messages.PriceRequest:
    """Ask the store for [(sku, quantity)]."""
    wanted = tuple(messages.WantedLine(sku, quantity) for sku, quantity in lines)
    return messages.PriceRequest(MERCHANT, STORE, currency, wanted, discount)


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
    """Any order that can be priced: 0, 2 and 3 decimals, tax of both kinds, every rounding."""
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
