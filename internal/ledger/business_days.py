"""Business days: the sums and the digest of each day that a check has sealed.

The row without merchant and store is the seal of the whole database.
"""

from typing import NamedTuple

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


class Seal(NamedTuple):
    """What was sealed last. All orders that it covers have ended."""

    after_order_key: int
    """It covers every order with a key up to this one, and perhaps later ones."""
    business_day: int
    """It covers the orders of the days up to this one …"""
    upto_order_key: int
    """… with keys up to this one."""


NOTHING_SEALED = Seal(0, -1, 0)
_LAST = sa.text(
    "SELECT after_order_key, business_day, upto_order_key FROM business_days"
    " WHERE merchant_id = '' AND store_id = '' ORDER BY business_day DESC LIMIT 1"
)


def last_seal(connection: sa.Connection) -> Seal:
    """Return the last seal of the whole database."""
    row = connection.execute(_LAST).first()
    return Seal(*row) if row else NOTHING_SEALED
