"""Currencies with the number of their decimals."""

import sqlalchemy as sa

from internal.infra import columns, db

CURRENCIES = sa.Table(
    "currencies",
    db.METADATA,
    columns.code("currency", primary_key=True, chars_max=3),
    columns.number("exponent"),
)
