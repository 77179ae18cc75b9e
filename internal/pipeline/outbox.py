"""Facts that wait for their way onto a topic, written in the transaction that made them true.

A row is there until the broker has its receipt: rows are found by presence, since a key that is
committed late would be lost by "above the last one".
"""

import sqlalchemy as sa

from internal.infra import columns, db

OUTBOX = sa.Table(
    "outbox",
    db.METADATA,
    columns.growing_key("outbox_key"),
    columns.number("shard"),
    columns.code("subject", chars_max=200),
    columns.code("topic", chars_max=200),
    columns.code("event_id", chars_max=64),
    columns.document("fact"),
    columns.number("leased_until_us", nullable=True),
    columns.number("created_at_us"),
    sa.Index("outbox_by_shard", "shard", "outbox_key"),
)
