"""The tables of requests, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

REQUESTS = sa.Table(
    "requests",
    METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.code("method", primary_key=True),
    columns.ident("request_id", primary_key=True),
    columns.code("body_hash", chars_max=32),
    columns.code("subject_kind"),
    columns.ident("subject"),
    columns.code("state"),
    columns.code("status", chars_max=64),
    columns.document("answer"),
    columns.number("actor_key", nullable=True),
    columns.number("at_us"),
    sa.Index("requests_by_subject", "merchant_id", "subject_kind", "subject", "state"),
    sa.Index("requests_by_state", "merchant_id", "state"),
    sa.Index("requests_by_time", "state", "at_us"),
)
