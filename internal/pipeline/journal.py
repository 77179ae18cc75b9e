"""The journal of documents other than orders: returns, transfers, counts, shifts, purchase orders.

It has the shape of the order log, so the same code claims, publishes and tells its story. Keys come
from one growing sequence; rows are only appended.
"""

import sqlalchemy as sa

from internal.infra import columns, db

DOCUMENTS = sa.Table(
    "documents",
    db.METADATA,
    columns.growing_key("document_key"),
    columns.code("kind"),
    columns.ident("merchant_id"),
    columns.ident("document_id"),
    columns.code("state"),
    columns.number("version"),
    columns.number("business_day"),
    columns.number("at_us"),
    columns.number("updated_at_us"),
    sa.UniqueConstraint("merchant_id", "kind", "document_id", name="documents_by_merchant"),
)

JOURNAL = sa.Table(
    "journal",
    db.METADATA,
    columns.number("document_key", primary_key=True),
    columns.code("stage", primary_key=True),
    columns.code("event_id", primary_key=True, chars_max=96),
    columns.number("version"),
    columns.code("state"),
    columns.words("reason", 64),
    columns.document("fact"),
    columns.number("digest"),
    columns.number("actor_key", nullable=True),
    columns.words("made_by", 32),
    columns.optional_ident("request_id"),
    columns.number("at_us"),
)
