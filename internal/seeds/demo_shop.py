"""The demo merchant: two stores, three tax rates, two hundred products, stock. The same every time.

`seed` may run at every start; it adds what is missing as a whole and never touches what is there.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from internal.auth import rules as auth_rules
from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product, RoundingPoint, Store, TaxRate
from internal.inventory import store as inventory_store
from internal.inventory.messages import Movement, MovementKind, StockKey
from internal.kernel.money import RoundingMode

MERCHANT_ID = "demo"
CURRENCY = "EUR"
STORES = (
    Store(MERCHANT_ID, "berlin", "Berlin", CURRENCY, RoundingMode.HALF_UP, RoundingPoint.LINE),
    Store(
        MERCHANT_ID, "lisbon", "Lisbon", CURRENCY, RoundingMode.HALF_EVEN, RoundingPoint.DOCUMENT
    ),
)
STANDARD, REDUCED, SALES = "standard", "reduced", "sales"
TAX_RATES = (
    TaxRate(MERCHANT_ID, STANDARD, "VAT 19 %", 190_000, inclusive=True),
    TaxRate(MERCHANT_ID, REDUCED, "VAT 7 %", 70_000, inclusive=True),
    TaxRate(MERCHANT_ID, SALES, "Sales tax 8.875 %", 88_750, inclusive=False),
)
PLENTY_UNITS = 900_000
"""More than any load run sells, and fewer than the largest line of an order may want."""
SCARCE_UNITS = 3
SCARCE_SKUS = frozenset(
    {"COFFEE-SUMATRA-2KG", "TEA-JASMINE-500", "LAMP-BRASS-60", "BOWL-COBALT-30"}
)
INACTIVE_SKU = "SOAP-CEDAR-400"

KEY_ID_BYTES = 6
SECRET_BYTES = 32


class Kind(NamedTuple):
    """Something sold in several sorts and sizes."""

    code: str
    noun: str
    tax_code: str
    price_minor: int
    """Of the first sort in the first size."""
    sorts: str
    sizes: str
    """Four of them. A SKU has the digits, and the unit where they would mislead without."""


KINDS = (
    Kind(
        "COFFEE",
        "coffee beans",
        REDUCED,
        449,
        "House Huila Sidamo Antigua Sumatra",
        "250 g,500 g,1 kg,2 kg",
    ),
    Kind("TEA", "tea", REDUCED, 389, "House Sencha Assam Oolong Jasmine", "50 g,100 g,250 g,500 g"),
    Kind(
        "OIL",
        "olive oil",
        REDUCED,
        599,
        "House Koroneiki Picual Arbequina Coratina",
        "250 ml,500 ml,750 ml,1 l",
    ),
    Kind(
        "HONEY",
        "honey",
        REDUCED,
        329,
        "House Acacia Thyme Chestnut Linden",
        "125 g,250 g,500 g,1 kg",
    ),
    Kind(
        "SPICE",
        "spice",
        REDUCED,
        199,
        "House Cumin Sumac Paprika Cardamom",
        "25 g,50 g,100 g,250 g",
    ),
    Kind("SOAP", "soap", STANDARD, 279, "House Olive Laurel Rose Cedar", "80 g,120 g,200 g,400 g"),
    Kind(
        "CANDLE",
        "candle",
        STANDARD,
        349,
        "House Amber Fig Vetiver Beeswax",
        "8 cm,12 cm,16 cm,20 cm",
    ),
    Kind(
        "TOWEL",
        "towel",
        STANDARD,
        699,
        "House Indigo Sand Sage Terracotta",
        "30 cm,50 cm,70 cm,100 cm",
    ),
    Kind("BOWL", "bowl", SALES, 850, "House Cobalt Ochre Celadon Slate", "12 cm,18 cm,24 cm,30 cm"),
    Kind(
        "LAMP", "lamp", SALES, 2_490, "House Brass Copper Glass Walnut", "20 cm,30 cm,45 cm,60 cm"
    ),
)
SIZE_FACTORS = (100, 190, 360, 690)
"""Percent of the smallest size's price: more of it costs less for each."""
SORT_SURCHARGE_PERCENT = 15
"""On top for each sort after the house's own."""


def seed(connection: sa.Connection, now_us: int, random_token: Callable[[int], str]) -> str | None:
    """Make the demo merchant with its shop, unless it exists.

    Args:
        connection: a transaction on tables that are up to date.
        now_us: the present.
        random_token: gives twice as many random hex digits as it is asked for.

    Returns:
        The API key when it was made just now, which nothing can tell again; otherwise None.
    """
    if auth_store.find_merchant(connection, MERCHANT_ID):
        return None
    key = auth_rules.issue(random_token(KEY_ID_BYTES), random_token(SECRET_BYTES))
    auth_store.add_merchant(connection, Merchant(MERCHANT_ID, "Demo shop"), key, now_us)
    catalogue_store.save_stores(connection, STORES)
    catalogue_store.save_tax_rates(connection, TAX_RATES)
    sold = list(products())
    catalogue_store.save_products(connection, sold)
    counts = [_count(product.sku, store, now_us) for store in STORES for product in sold]
    inventory_store.receive(connection, counts)
    return key.secret


def products() -> Iterator[Product]:
    """Yield what the demo shop sells."""
    for kind in KINDS:
        for sort_no, sort in enumerate(kind.sorts.split()):
            for size, factor in zip(kind.sizes.split(","), SIZE_FACTORS, strict=True):
                sku = _sku(kind, "" if sort_no == 0 else sort, size)
                yield Product(
                    MERCHANT_ID,
                    sku,
                    f"{sort} {kind.noun}, {size}",
                    _price_minor(kind, sort_no, factor),
                    CURRENCY,
                    kind.tax_code,
                    active=sku != INACTIVE_SKU,
                )


def _sku(kind: Kind, sort: str, size: str) -> str:
    """Name a product: COFFEE-250, COFFEE-HUILA-1KG."""
    number, unit = size.split()
    short = number + (unit.upper() if unit in {"kg", "l"} else "")
    return "-".join(filter(None, (kind.code, sort.upper(), short)))


def _price_minor(kind: Kind, sort_no: int, factor: int) -> int:
    """Return a price that ends in a nine, as shops like it."""
    percent = (100 + SORT_SURCHARGE_PERCENT * sort_no) * factor
    return kind.price_minor * percent // 100_000 * 10 + 9


def _count(sku: str, store: Store, now_us: int) -> Movement:
    units = SCARCE_UNITS if sku in SCARCE_SKUS else PLENTY_UNITS
    return Movement(StockKey(MERCHANT_ID, store.store_id, sku), MovementKind.COUNT, units, now_us)
