"""The tables of orders: a row for each, its lines, and the log of its facts.

The row of an order holds its lock and no text but ids, so that it stays small.
"""

import sqlalchemy as sa

from internal.infra import columns, db

ORDERS_BY_TIME = "orders_by_time"
"""The index of a merchant's orders by the instant at which they were placed."""

ORDERS = sa.Table(
    "orders",
    db.METADATA,
    columns.growing_key("order_key"),
    columns.ident("merchant_id"),
    columns.ident("order_id"),
    columns.ident("store_id"),
    columns.optional_ident("terminal_id"),
    columns.code("body_hash", chars_max=64),
    columns.code("state"),
    columns.code("charge_state"),
    columns.code("stock_state"),
    columns.code("return_state", default="NONE"),
    columns.number("version"),
    columns.code("currency", chars_max=3),
    columns.code("channel", default="TILL"),
    columns.code("on_decline", default="REFUSE"),
    columns.code("price_policy", default="CHECKED"),
    columns.number("sold_at_us", default=0),
    columns.number("business_day", default=0),
    columns.optional_ident("customer_id"),
    columns.optional_ident("shift_id"),
    columns.optional_ident("cashier_id"),
    columns.number("gross_minor"),
    columns.number("discount_minor"),
    columns.number("net_minor"),
    columns.number("tax_minor"),
    columns.number("total_minor"),
    columns.number("tip_minor", default=0),
    columns.number("cash_rounding_minor", default=0),
    columns.number("authorized_minor", default=0),
    columns.number("captured_minor", default=0),
    columns.number("refunded_minor", default=0),
    columns.number("refund_pending_minor", default=0),
    columns.number("disputed_minor", default=0),
    columns.number("outstanding_minor", default=0),
    columns.optional_ident("receipt_series"),
    columns.number("receipt_no", nullable=True),
    columns.words("receipt_text", 64),
    columns.number("placed_at_us"),
    columns.number("updated_at_us"),
    columns.number("due_at_us", nullable=True),
    columns.words("trace_id", 64),
    sa.UniqueConstraint("merchant_id", "order_id", name="orders_by_merchant"),
    sa.UniqueConstraint(
        "merchant_id", "store_id", "receipt_series", "receipt_no", name="orders_by_receipt"
    ),
    sa.Index(ORDERS_BY_TIME, "merchant_id", "placed_at_us"),
    sa.Index("orders_by_day", "merchant_id", "store_id", "business_day"),
    sa.Index("orders_due", "due_at_us", "state", "charge_state", "placed_at_us"),
)

ORDER_LINES = sa.Table(
    "order_lines",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("line_no", primary_key=True),
    columns.ident("line_ref"),
    columns.code("kind", default="ITEM"),
    columns.number("parent_line_no", default=0),
    columns.ident("sku"),
    columns.optional_ident("location_id"),
    columns.words("name", 200),
    columns.number("quantity_milli"),
    columns.number("unit_price_scaled"),
    columns.number("unit_price_scale"),
    columns.code("price_source", default="BASE"),
    columns.number("unit_cost_scaled", nullable=True),
    columns.number("unit_cost_scale", nullable=True),
    columns.number("gross_minor"),
    columns.number("discount_minor"),
    columns.number("total_minor"),
    columns.number("cancelled_milli", default=0),
    columns.number("returned_milli", default=0),
    columns.number("refunded_minor", default=0),
)

ORDER_LOG = sa.Table(
    "order_log",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.code("stage", primary_key=True),
    columns.code("event_id", primary_key=True, chars_max=96),
    columns.number("version"),
    columns.code("state"),
    columns.words("reason", 64),
    columns.document("fact"),
    columns.number("digest"),
    columns.number("at_us"),
    info=columns.APPEND_ONLY,
)
