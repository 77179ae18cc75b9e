"""The tables of fixed settings, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

FIXED_SETTINGS = sa.Table(
    "fixed_settings", METADATA, columns.code("name", primary_key=True), columns.number("value")
)
