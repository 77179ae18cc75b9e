"""The SQL of stores, tax rates and products. The catalogue of a batch is read in three queries."""

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from internal.catalogue.messages import (
    CatalogueSnapshot,
    PricePolicy,
    Product,
    RoundingPoint,
    Store,
    TaxCategory,
    TaxRate,
)
from internal.infra import bulk, columns, db
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice

STORES = sa.Table(
    "stores",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.ident("store_id", primary_key=True),
    columns.words("name", 200),
    columns.code("currency", chars_max=3),
    columns.code("rounding_mode"),
    columns.code("rounding_point"),
    columns.words("legal_entity", 64),
    columns.words("time_zone", 64),
    columns.number("day_cut_off_minutes", default=0),
    columns.number("cash_rounding_step_minor", default=0),
    columns.code("cash_rounding_mode", default="HALF_UP"),
    columns.code("price_policy", default="CHECKED"),
    columns.number("hold_default_s", default=86_400),
    columns.number("hold_longest_s", default=2_592_000),
)

TAX_RATES = sa.Table(
    "tax_rates",
    db.METADATA,
    columns.growing_key("tax_rate_key"),
    columns.ident("merchant_id"),
    columns.ident("tax_code"),
    columns.ident("code"),
    columns.words("name", 128),
    columns.number("rate_ppm"),
    columns.number("inclusive"),
    columns.code("category"),
    columns.optional_ident("jurisdiction"),
    columns.number("valid_from_us"),
    sa.UniqueConstraint("merchant_id", "tax_code", "code", "valid_from_us", name="tax_rates_once"),
    info=columns.APPEND_ONLY,
)

PRODUCTS = sa.Table(
    "products",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.ident("sku", primary_key=True),
    columns.words("name", 200),
    columns.number("unit_price_scaled"),
    columns.number("unit_price_scale"),
    columns.code("currency", chars_max=3),
    columns.ident("tax_code"),
    columns.number("active"),
    columns.code("kind", default="GOODS"),
    columns.number("is_stocked", default=1),
)

_STORE_KEYS = bulk.shape_of(STORES, "merchant_id", "store_id")
_PRODUCT_KEYS = bulk.shape_of(PRODUCTS, "merchant_id", "sku")
_MERCHANTS = bulk.shape_of(STORES, "merchant_id")
_STORES_QUERY = (
    f"SELECT {', '.join(f't.{name}' for name in STORES.c.keys())}"  # noqa: S608, SIM118 - our own names
    " FROM {w} CROSS JOIN stores t ON t.merchant_id = {w.merchant_id} AND t.store_id = {w.store_id}"
)
_PRODUCTS_QUERY = (
    "SELECT t.merchant_id, t.sku, t.name, t.unit_price_scaled, t.unit_price_scale, t.currency,"
    " t.tax_code, t.active, t.kind, t.is_stocked"
    " FROM {w} CROSS JOIN products t ON t.merchant_id = {w.merchant_id} AND t.sku = {w.sku}"
)
_RATES_QUERY = (
    f"SELECT {', '.join(f't.{name}' for name in TAX_RATES.c.keys())}"  # noqa: S608, SIM118 - our own names
    " FROM {w} CROSS JOIN tax_rates t ON t.merchant_id = {w.merchant_id}"
)


def load_snapshot(
    connection: sa.Connection,
    stores: Collection[tuple[str, str]],
    products: Collection[tuple[str, str]],
) -> CatalogueSnapshot:
    """Read these stores and products, and all tax rates of the stores' merchants.

    Args:
        connection: a transaction or a snapshot.
        stores: (merchant_id, store_id) of each.
        products: (merchant_id, sku) of each.
    """
    merchants = {(merchant_id,) for merchant_id, _ in stores}
    found_stores, found_products, rates = bulk.select_many(
        connection,
        [
            bulk.Query(_STORE_KEYS, _STORES_QUERY, sorted(stores)),
            bulk.Query(_PRODUCT_KEYS, _PRODUCTS_QUERY, sorted(products)),
            bulk.Query(_MERCHANTS, _RATES_QUERY, sorted(merchants)),
        ],
    )
    return CatalogueSnapshot(
        stores={(s.merchant_id, s.store_id): s for s in map(_store, found_stores)},
        products={(p.merchant_id, p.sku): p for p in map(_product, found_products)},
        tax_rates=_by_code(map(_tax_rate, rates)),
    )


def _by_code(rates: Iterable[TaxRate]) -> dict[tuple[str, str], tuple[TaxRate, ...]]:
    """Group rates by tax code, in the order in which they were added."""
    found: dict[tuple[str, str], list[TaxRate]] = {}
    for rate in sorted(rates, key=lambda it: it.tax_rate_key):
        found.setdefault((rate.merchant_id, rate.tax_code), []).append(rate)
    return {code: tuple(it) for code, it in found.items()}


def _store(row: bulk.Row) -> Store:
    mode, point = RoundingMode(row.rounding_mode), RoundingPoint(row.rounding_point)
    return Store(
        merchant_id=row.merchant_id,
        store_id=row.store_id,
        name=row.name,
        currency=row.currency,
        rounding_mode=mode,
        rounding_point=point,
        legal_entity=row.legal_entity,
        time_zone=row.time_zone,
        day_cut_off_minutes=row.day_cut_off_minutes,
        cash_rounding_step_minor=row.cash_rounding_step_minor,
        cash_rounding_mode=RoundingMode(row.cash_rounding_mode),
        price_policy=PricePolicy(row.price_policy),
        hold_default_s=row.hold_default_s,
        hold_longest_s=row.hold_longest_s,
    )


def _product(row: bulk.Row) -> Product:
    return Product(
        merchant_id=row.merchant_id,
        sku=row.sku,
        name=row.name,
        unit_price=UnitPrice(row.unit_price_scaled, row.unit_price_scale),
        currency=row.currency,
        tax_code=row.tax_code,
        active=bool(row.active),
        kind=row.kind,
        is_stocked=bool(row.is_stocked),
    )


def _tax_rate(row: bulk.Row) -> TaxRate:
    return TaxRate(
        merchant_id=row.merchant_id,
        tax_code=row.tax_code,
        code=row.code,
        name=row.name,
        rate_ppm=row.rate_ppm,
        inclusive=bool(row.inclusive),
        category=TaxCategory(row.category),
        jurisdiction=row.jurisdiction,
        valid_from_us=row.valid_from_us,
        tax_rate_key=row.tax_rate_key,
    )


def save_stores(connection: sa.Connection, stores: Sequence[Store]) -> None:
    """Insert the stores, or replace those that exist."""
    names = tuple(STORES.c.keys())
    rows = [tuple(getattr(store, name) for name in names) for store in stores]
    bulk.replace(connection, STORES, ("merchant_id", "store_id"), names, rows)


_RATE_COLUMNS = tuple(TAX_RATES.c.keys())[1:]


def add_tax_rates(connection: sa.Connection, rates: Sequence[TaxRate]) -> None:
    """Insert tax rates. The database gives them their keys, in this order.

    Raises:
        IntegrityError: a tax of this code has a rate from that instant on.
    """
    rows = [tuple(getattr(rate, name) for name in _RATE_COLUMNS) for rate in rates]
    bulk.insert(connection, TAX_RATES, _RATE_COLUMNS, rows)


def save_products(connection: sa.Connection, products: Sequence[Product]) -> None:
    """Insert the products, or replace those that exist."""
    names = tuple(PRODUCTS.c.keys())
    bulk.replace(
        connection, PRODUCTS, ("merchant_id", "sku"), names, [_product_row(it) for it in products]
    )


def _product_row(product: Product) -> bulk.Values:
    return (
        product.merchant_id,
        product.sku,
        product.name,
        product.unit_price.scaled,
        product.unit_price.scale,
        product.currency,
        product.tax_code,
        product.active,
        product.kind,
        product.is_stocked,
    )


def list_products(
    connection: sa.Connection, merchant_id: str, after_sku: str, products_max: int
) -> list[Product]:
    """Return up to `products_max` products with a sku above `after_sku`, sorted by sku."""
    query = (
        sa.select(PRODUCTS)
        .where(PRODUCTS.c.merchant_id == merchant_id, PRODUCTS.c.sku > after_sku)
        .order_by(PRODUCTS.c.sku)
        .limit(products_max)
    )
    return [_product(row) for row in connection.execute(query)]


def list_stores(connection: sa.Connection, merchant_id: str) -> list[Store]:
    """Return the merchant's stores, sorted by id."""
    query = sa.select(STORES).where(STORES.c.merchant_id == merchant_id).order_by(STORES.c.store_id)
    rows = connection.execute(query)
    return [_store(row) for row in rows]


def is_tax_code_used(connection: sa.Connection, merchant_id: str, tax_code: str) -> bool:
    """Tell whether a product of the merchant names this tax code. Reads all products at worst."""
    t = PRODUCTS.c
    query = sa.select(t.sku).where(t.merchant_id == merchant_id, t.tax_code == tax_code).limit(1)
    return connection.execute(query).first() is not None


def find_store(connection: sa.Connection, merchant_id: str, store_id: str) -> Store | None:
    """Return a merchant's store, or None."""
    query = sa.select(STORES).where(
        STORES.c.merchant_id == merchant_id, STORES.c.store_id == store_id
    )
    row = connection.execute(query).one_or_none()
    return _store(row) if row else None


def list_tax_rates(connection: sa.Connection, merchant_id: str) -> list[TaxRate]:
    """Return all rates that the merchant's taxes ever had, sorted by code and age."""
    rows = bulk.select(connection, _MERCHANTS, _RATES_QUERY, [(merchant_id,)])
    rates = map(_tax_rate, rows)
    return sorted(rates, key=lambda it: (it.tax_code, it.valid_from_us, it.tax_rate_key))
