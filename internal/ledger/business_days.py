"""Business days: the sums and the digest of each day that a check has sealed.

The row without merchant and store is the seal of the whole database.
"""

import sqlalchemy as sa

from internal.infra import columns, db

BUSINESS_DAYS = sa.Table(
    "business_days",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.optional_ident("store_id", primary_key=True),
    columns.number("business_day", primary_key=True),
    columns.code("state"),
    columns.number("orders", default=0),
    columns.number("entries", default=0),
    columns.code("digest", chars_max=64, default=""),
    columns.number("sealed_at_us", nullable=True),
    columns.number("after_order_key", default=0),
    columns.number("upto_order_key", default=0),
)

BUSINESS_DAY_SUMS = sa.Table(
    "business_day_sums",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.optional_ident("store_id", primary_key=True),
    columns.number("business_day", primary_key=True),
    columns.number("account_key", primary_key=True),
    columns.number("debit_minor"),
    columns.number("credit_minor"),
)
