"""Personal texts and tokens, apart from everything that is hashed or only appended.

Erasing a row changes no digest: facts and other tables never repeat these values.
"""

import sqlalchemy as sa

from internal.infra import columns, db

PRIVATE_VALUES = sa.Table(
    "private_values",
    db.METADATA,
    columns.code("subject_kind", primary_key=True, chars_max=16),
    columns.number("subject_key", primary_key=True),
    columns.code("name", primary_key=True, chars_max=96),
    columns.ident("merchant_id"),
    columns.document("content"),
    columns.number("at_us"),
)
