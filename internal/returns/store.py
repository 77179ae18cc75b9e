"""The tables of returns: documents of their own, so that an order that ended never changes.

Quantities are thousandths, amounts minor units of the order's currency. A return points at the
lines of its order; its parts correct the order's taxes and discounts.
"""

import sqlalchemy as sa

from internal.infra import columns, db

RETURNS = sa.Table(
    "returns",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("return_no", primary_key=True),
    columns.ident("merchant_id"),
    columns.ident("return_id"),
    columns.ident("store_id"),
    columns.code("state"),
    columns.code("reason", chars_max=64),
    columns.number("version"),
    columns.number("net_minor"),
    columns.number("tax_minor"),
    columns.number("total_minor"),
    columns.optional_ident("receipt_series"),
    columns.number("receipt_no", nullable=True),
    columns.words("receipt_text", 64),
    columns.number("exchange_order_key", nullable=True),
    columns.number("business_day"),
    columns.number("actor_key", nullable=True),
    columns.number("at_us"),
    columns.number("updated_at_us"),
    sa.Index("returns_by_merchant", "merchant_id", "return_id"),
    sa.Index("returns_by_day", "merchant_id", "store_id", "business_day"),
)

RETURN_LINES = sa.Table(
    "return_lines",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("return_no", primary_key=True),
    columns.number("line_no", primary_key=True),
    columns.number("announced_milli"),
    columns.number("received_milli"),
    columns.ident("location_id"),
    columns.number("is_restocked"),
    columns.code("condition_code"),
    columns.number("net_minor"),
    columns.number("tax_minor"),
    columns.number("total_minor"),
)

RETURN_LINE_PARTS = sa.Table(
    "return_line_parts",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("return_no", primary_key=True),
    columns.number("line_no", primary_key=True),
    columns.number("part_no", primary_key=True),
    columns.code("kind"),
    columns.words("code", 64),
    columns.number("tax_rate_key", nullable=True),
    columns.number("rate_ppm", nullable=True),
    columns.number("inclusive", default=0),
    columns.number("base_minor"),
    columns.number("amount_minor"),
)
