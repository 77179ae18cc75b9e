"""The tables of the catalogue, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

CURRENCIES = sa.Table(
    "currencies",
    METADATA,
    columns.code("currency", primary_key=True, chars_max=3),
    columns.number("exponent"),
)

STORES = sa.Table(
    "stores",
    METADATA,
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
    columns.number("hold_default_s", default=86400),
    columns.number("hold_longest_s", default=2592000),
)

TAX_RATES = sa.Table(
    "tax_rates",
    METADATA,
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
    METADATA,
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
