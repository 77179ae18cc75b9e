"""The tables of stock, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

STOCK = sa.Table(
    "stock",
    METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.ident("store_id", primary_key=True),
    columns.ident("sku", primary_key=True),
    columns.number("on_hand", default=0),
    columns.number("reserved", default=0),
    sa.CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
    sa.CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
)

STOCK_MOVEMENTS = sa.Table(
    "stock_movements",
    METADATA,
    columns.growing_key("movement_key"),
    columns.ident("merchant_id"),
    columns.ident("store_id"),
    columns.ident("sku"),
    columns.code("kind"),
    columns.number("quantity"),
    columns.number("order_key", nullable=True),
    columns.number("at_us"),
    sa.UniqueConstraint("order_key", "sku", name="stock_movements_once_per_order"),
)
