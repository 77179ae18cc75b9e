"""The tables of stock, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

STOCK_EXCEPTIONS = sa.Table(
    "stock_exceptions",
    METADATA,
    columns.growing_key("exception_key"),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.words("owner", 64),
    columns.number("opened_at_us"),
    columns.number("closed_at_us", nullable=True),
    columns.words("closed_by", 64),
    columns.words("closed_because"),
    sa.Index("stock_exceptions_open", "merchant_id", "closed_at_us", "exception_key"),
)

STOCK = sa.Table(
    "stock",
    METADATA,
    columns.growing_key("stock_key"),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.number("on_hand_milli", default=0),
    columns.number("reserved_milli", default=0),
    columns.number("sealed_milli", default=0),
    columns.number("counted_at_us", nullable=True),
    sa.UniqueConstraint("merchant_id", "location_id", "sku", "lot", name="stock_once"),
    sa.CheckConstraint("reserved_milli >= 0", name="stock_reserved_not_negative"),
)

STOCK_MOVEMENTS = sa.Table(
    "stock_movements",
    METADATA,
    columns.number("business_day", primary_key=True),
    columns.code("source_kind", primary_key=True),
    columns.number("source_key", primary_key=True),
    columns.number("movement_no", primary_key=True),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.code("reason"),
    columns.number("quantity_milli"),
    columns.number("unit_cost_scaled", nullable=True),
    columns.number("unit_cost_scale", nullable=True),
    columns.number("actor_key", nullable=True),
    columns.number("happened_at_us"),
    columns.number("recorded_at_us"),
    info=columns.APPEND_ONLY,
)
