"""The parts of a line's price: taxes, discounts, roundings. They explain every amount to the cent.

A part says what it is, by which rule, from where, and on which base it was computed. Rows are
written with their line and deleted with it; they are never changed.
"""

import sqlalchemy as sa

from internal.infra import columns, db

ORDER_LINE_PARTS = sa.Table(
    "order_line_parts",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("line_no", primary_key=True),
    columns.number("part_no", primary_key=True),
    columns.code("kind"),
    columns.words("code", 64),
    columns.code("rule"),
    columns.code("rounding_mode"),
    columns.words("source", 16),
    columns.optional_ident("reason_code"),
    columns.optional_ident("allowed_by"),
    columns.number("adjustment_no", default=0),
    columns.number("tax_rate_key", default=0),
    columns.number("rate_ppm", default=0),
    columns.number("inclusive", default=0),
    columns.number("base_minor"),
    columns.number("amount_minor"),
)
