"""Ledger accounts: rows of a declared kind, per merchant and store."""

import sqlalchemy as sa

from internal.infra import columns, db

ACCOUNTS = sa.Table(
    "accounts",
    db.METADATA,
    columns.growing_key("account_key"),
    columns.ident("merchant_id"),
    columns.optional_ident("store_id"),
    columns.code("kind"),
    columns.code("name", chars_max=96, default=""),
    columns.code("unit", chars_max=8),
    columns.words("external_number", 64),
    columns.number("is_guarded", default=0),
    columns.number("created_at_us"),
    sa.UniqueConstraint("merchant_id", "store_id", "kind", "name", "unit", name="accounts_by_name"),
)
