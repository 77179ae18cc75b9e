"""The tables of the pipeline, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

APPOINTMENTS = sa.Table(
    "appointments",
    METADATA,
    columns.code("kind", primary_key=True),
    columns.code("subject", primary_key=True, chars_max=200),
    columns.number("shard"),
    columns.number("due_at_us"),
    columns.number("leased_until_us", nullable=True),
    columns.number("tries", default=0),
    columns.words("reason", 64),
    sa.Index("appointments_due", "shard", "due_at_us"),
)

STAGE_ATTEMPTS = sa.Table(
    "stage_attempts",
    METADATA,
    columns.code("stage", primary_key=True),
    columns.code("subject_kind", primary_key=True),
    columns.ident("merchant_id", primary_key=True),
    columns.ident("subject", primary_key=True),
    columns.number("attempts"),
    columns.number("first_at_us"),
    columns.number("last_at_us"),
)

DEAD_LETTERS = sa.Table(
    "dead_letters",
    METADATA,
    columns.growing_key("letter_key"),
    columns.code("stage"),
    columns.code("topic", chars_max=200),
    columns.code("code", chars_max=64),
    columns.words("explanation"),
    columns.words("subject_kind", 32),
    columns.words("merchant_id", 64),
    columns.words("subject", 200),
    columns.document("payload"),
    columns.code("held", chars_max=16, default=""),
    columns.number("at_us"),
    columns.number("closed_at_us", nullable=True),
    columns.words("closed_by", 16),
    sa.Index("dead_letters_open", "closed_at_us", "letter_key"),
    sa.Index("dead_letters_by_subject", "subject_kind", "merchant_id", "subject"),
)

SOURCES = sa.Table(
    "dead_letter_sources",
    METADATA,
    columns.code("source", primary_key=True, chars_max=64),
    columns.number("letter_key"),
    columns.words("message_id", 200),
    sa.Index("dead_letter_sources_by_letter", "letter_key"),
)

DOCUMENTS = sa.Table(
    "documents",
    METADATA,
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
    METADATA,
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
    info=columns.APPEND_ONLY,
)

OUTBOX = sa.Table(
    "outbox",
    METADATA,
    columns.growing_key("outbox_key"),
    columns.number("shard"),
    columns.code("subject", chars_max=300),
    columns.code("topic", chars_max=200),
    columns.code("event_id", chars_max=64),
    columns.document("fact"),
    columns.number("leased_until_us", nullable=True),
    columns.number("created_at_us"),
    sa.Index("outbox_by_shard", "shard", "outbox_key"),
)
