"""The tables of private values, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

PRIVATE_VALUES = sa.Table(
    "private_values",
    METADATA,
    columns.code("subject_kind", primary_key=True, chars_max=16),
    columns.number("subject_key", primary_key=True),
    columns.code("name", primary_key=True, chars_max=96),
    columns.ident("merchant_id"),
    columns.document("content"),
    columns.number("at_us"),
)
