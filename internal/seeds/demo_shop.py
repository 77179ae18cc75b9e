"""The demo merchant: stores, tax rates, some two hundred products, stock. Always the same.

Most of it is one shop in euros. A store in Swiss francs and one in Canadian dollars show weighed
goods, cash without small coins, and several taxes on one product.

`seed` may run at every start: it creates the merchant with everything or changes nothing.
"""

import datetime
from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from internal.auth import rules as auth_rules
from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product, RoundingPoint, Store, TaxRate
from internal.inventory import store as inventory_store
from internal.inventory.messages import Movement, Reason, SourceKind, StockKey
from internal.kernel import local_days
from internal.kernel.money import RoundingMode
from internal.kernel.quantities import MILLI
from internal.kernel.unit_prices import UnitPrice

MERCHANT_ID = "demo"
CURRENCY = "EUR"
STORES = (
    Store(
        merchant_id=MERCHANT_ID,
        store_id="berlin",
        name="Berlin",
        currency=CURRENCY,
        rounding_mode=RoundingMode.HALF_UP,
        rounding_point=RoundingPoint.LINE,
    ),
    Store(
        merchant_id=MERCHANT_ID,
        store_id="lisbon",
        name="Lisbon",
        currency=CURRENCY,
        rounding_mode=RoundingMode.HALF_EVEN,
        rounding_point=RoundingPoint.DOCUMENT,
        cash_rounding_step_minor=5,
    ),
    Store(
        merchant_id=MERCHANT_ID,
        store_id="vancouver",
        name="Vancouver",
        currency="CAD",
        rounding_point=RoundingPoint.TAX_RATE,
        cash_rounding_step_minor=5,
    ),
    Store(
        merchant_id=MERCHANT_ID,
        store_id="zurich",
        name="Zürich",
        currency="CHF",
        cash_rounding_step_minor=5,
    ),
)
STANDARD, REDUCED, SALES = "standard", "reduced", "sales"
SWISS_STANDARD, SWISS_REDUCED, CANADIAN = "ch-standard", "ch-reduced", "ca-bc"
TAX_RATES = (
    TaxRate(MERCHANT_ID, STANDARD, STANDARD, "VAT 19 %", 190_000, inclusive=True),
    TaxRate(MERCHANT_ID, REDUCED, REDUCED, "VAT 7 %", 70_000, inclusive=True),
    TaxRate(MERCHANT_ID, SALES, SALES, "Sales tax 8.875 %", 88_750, inclusive=False),
    TaxRate(MERCHANT_ID, SWISS_STANDARD, "VAT", "VAT 8.1 %", 81_000, inclusive=True),
    TaxRate(MERCHANT_ID, SWISS_REDUCED, "VAT", "VAT 2.6 %", 26_000, inclusive=True),
    TaxRate(MERCHANT_ID, CANADIAN, "GST", "GST 5 %", 50_000, inclusive=False, jurisdiction="CA"),
    TaxRate(MERCHANT_ID, CANADIAN, "PST", "PST 7 %", 70_000, inclusive=False, jurisdiction="CA-BC"),
)
PLENTY_UNITS = 900_000
"""More than any load run sells, and fewer than an order line may ask for at most."""
SCARCE_UNITS = 3
SCARCE_SKUS = frozenset(
    {"COFFEE-SUMATRA-2KG", "TEA-JASMINE-500", "LAMP-BRASS-60", "BOWL-COBALT-30"}
)
OWNER = "manager"
"""Deals with exceptions of the stock."""
INACTIVE_SKU = "SOAP-CEDAR-400"

KEY_ID_BYTES = 6
SECRET_BYTES = 32


class Kind(NamedTuple):
    """A kind of product, sold in several varieties and sizes."""

    code: str
    noun: str
    tax_code: str
    price_minor: int
    """Price of the first variety in the first size."""
    varieties: str
    sizes: str
    """Four sizes. A SKU has the digits, and the unit where the digits alone would mislead."""


KINDS = (
    Kind(
        code="COFFEE",
        noun="coffee beans",
        tax_code=REDUCED,
        price_minor=449,
        varieties="House Huila Sidamo Antigua Sumatra",
        sizes="250 g,500 g,1 kg,2 kg",
    ),
    Kind(
        code="TEA",
        noun="tea",
        tax_code=REDUCED,
        price_minor=389,
        varieties="House Sencha Assam Oolong Jasmine",
        sizes="50 g,100 g,250 g,500 g",
    ),
    Kind(
        code="OIL",
        noun="olive oil",
        tax_code=REDUCED,
        price_minor=599,
        varieties="House Koroneiki Picual Arbequina Coratina",
        sizes="250 ml,500 ml,750 ml,1 l",
    ),
    Kind(
        code="HONEY",
        noun="honey",
        tax_code=REDUCED,
        price_minor=329,
        varieties="House Acacia Thyme Chestnut Linden",
        sizes="125 g,250 g,500 g,1 kg",
    ),
    Kind(
        code="SPICE",
        noun="spice",
        tax_code=REDUCED,
        price_minor=199,
        varieties="House Cumin Sumac Paprika Cardamom",
        sizes="25 g,50 g,100 g,250 g",
    ),
    Kind(
        code="SOAP",
        noun="soap",
        tax_code=STANDARD,
        price_minor=279,
        varieties="House Olive Laurel Rose Cedar",
        sizes="80 g,120 g,200 g,400 g",
    ),
    Kind(
        code="CANDLE",
        noun="candle",
        tax_code=STANDARD,
        price_minor=349,
        varieties="House Amber Fig Vetiver Beeswax",
        sizes="8 cm,12 cm,16 cm,20 cm",
    ),
    Kind(
        code="TOWEL",
        noun="towel",
        tax_code=STANDARD,
        price_minor=699,
        varieties="House Indigo Sand Sage Terracotta",
        sizes="30 cm,50 cm,70 cm,100 cm",
    ),
    Kind(
        code="BOWL",
        noun="bowl",
        tax_code=SALES,
        price_minor=850,
        varieties="House Cobalt Ochre Celadon Slate",
        sizes="12 cm,18 cm,24 cm,30 cm",
    ),
    Kind(
        code="LAMP",
        noun="lamp",
        tax_code=SALES,
        price_minor=2_490,
        varieties="House Brass Copper Glass Walnut",
        sizes="20 cm,30 cm,45 cm,60 cm",
    ),
)
ABROAD = (
    ("CHEESE-KG", "Gruyère, 1 kg", 3_250, "CHF", SWISS_REDUCED),
    ("APPLES-KG", "Gala apples, 1 kg", 395, "CHF", SWISS_REDUCED),
    ("PENCIL", "Pencil", 123, "CHF", SWISS_STANDARD),
    ("ERASER", "Eraser", 43, "CHF", SWISS_STANDARD),
    ("KETTLE", "Tea kettle", 3_848, "CAD", CANADIAN),
)
"""The products of the stores that do not sell in euros: SKU, name, price, currency, tax code."""
SIZE_FACTORS = (100, 190, 360, 690)
"""Percent of the smallest size's price. Larger sizes cost less per unit."""
VARIETY_SURCHARGE_PERCENT = 15
"""Surcharge for each variety after the first, which is the shop's own."""


def seed(connection: sa.Connection, now_us: int, random_token: Callable[[int], str]) -> str | None:
    """Create the demo merchant with its shop, unless it exists.

    Args:
        connection: a transaction on tables that are up to date.
        now_us: the current time.
        random_token: returns 2 * N random hex digits for N.

    Returns:
        The API key if it was created now, which cannot be read again later; otherwise None.
    """
    if auth_store.find_merchant(connection, MERCHANT_ID):
        return None
    key = auth_rules.issue(random_token(KEY_ID_BYTES), random_token(SECRET_BYTES))
    auth_store.add_merchant(connection, Merchant(MERCHANT_ID, "Demo shop"), key, now_us)
    catalogue_store.save_stores(connection, STORES)
    catalogue_store.add_tax_rates(connection, TAX_RATES)
    sold = list(products())
    catalogue_store.save_products(connection, sold)
    stocked = [
        (product.sku, store)
        for store in STORES
        for product in sold
        if product.currency == store.currency
    ]
    counts = [_count(place, number, now_us) for number, place in enumerate(stocked, start=1)]
    inventory_store.move(connection, counts, OWNER)
    return key.secret


def products() -> Iterator[Product]:
    """Yield the products of the demo shop."""
    for kind in KINDS:
        for variety_no, variety in enumerate(kind.varieties.split()):
            for size, factor in zip(kind.sizes.split(","), SIZE_FACTORS, strict=True):
                sku = _sku(kind, "" if variety_no == 0 else variety, size)
                yield Product(
                    merchant_id=MERCHANT_ID,
                    sku=sku,
                    name=f"{variety} {kind.noun}, {size}",
                    unit_price=UnitPrice(_price_minor(kind, variety_no, factor)),
                    currency=CURRENCY,
                    tax_code=kind.tax_code,
                    active=sku != INACTIVE_SKU,
                )
    for sku, name, price_minor, currency, tax_code in ABROAD:
        yield Product(MERCHANT_ID, sku, name, UnitPrice(price_minor), currency, tax_code)


def _sku(kind: Kind, variety: str, size: str) -> str:
    """Return the SKU of a product, such as COFFEE-250 or COFFEE-HUILA-1KG."""
    number, unit = size.split()
    short = number + (unit.upper() if unit in {"kg", "l"} else "")
    return "-".join(filter(None, (kind.code, variety.upper(), short)))


def _price_minor(kind: Kind, variety_no: int, factor: int) -> int:
    """Return a price that ends in a nine, as shop prices often do."""
    percent = (100 + VARIETY_SURCHARGE_PERCENT * variety_no) * factor
    return kind.price_minor * percent // 100_000 * 10 + 9


def _count(place: tuple[str, Store], number: int, now_us: int) -> Movement:
    sku, store = place
    units = SCARCE_UNITS if sku in SCARCE_SKUS else PLENTY_UNITS
    return Movement(
        business_day=local_days.business_day(now_us, datetime.UTC, 0),
        source_kind=SourceKind.OPENING,
        source_key=1,
        movement_no=number,
        key=StockKey(MERCHANT_ID, store.store_id, sku),
        reason=Reason.COUNT,
        quantity_milli=units * MILLI,
        happened_at_us=now_us,
        recorded_at_us=now_us,
    )
