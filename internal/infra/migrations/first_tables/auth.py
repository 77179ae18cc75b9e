"""The tables of merchants, keys, actors and operators, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

ACTORS = sa.Table(
    "actors",
    METADATA,
    columns.growing_key("actor_key"),
    columns.optional_ident("merchant_id"),
    columns.code("kind"),
    columns.ident("actor_id"),
    columns.number("created_at_us"),
    sa.UniqueConstraint("merchant_id", "kind", "actor_id", name="actors_by_id"),
)

OPERATOR_LOG = sa.Table(
    "operator_log",
    METADATA,
    columns.growing_key("action_key"),
    columns.number("at_us"),
    columns.words("actor", 64),
    columns.code("action"),
    columns.words("merchant_id", 64),
    columns.words("order_id", 64),
    columns.number("subject"),
    columns.words("detail"),
    columns.words("reason"),
    sa.Index("operator_log_by_order", "merchant_id", "order_id"),
)

MERCHANTS = sa.Table(
    "merchants",
    METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.words("name", 200),
    columns.number("catalogue_version", default=0),
    columns.number("created_at_us"),
)

API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    columns.code("key_id", primary_key=True),
    columns.ident("merchant_id"),
    columns.code("key_hash", chars_max=64),
    columns.code("kind", default="MERCHANT"),
    columns.words("name", 200),
    columns.optional_ident("store_id"),
    columns.optional_ident("terminal_id"),
    columns.words("scopes"),
    columns.number("expires_at_us", nullable=True),
    columns.number("created_at_us"),
    columns.number("revoked_at_us", nullable=True),
    sa.Index("api_keys_by_merchant", "merchant_id"),
)
