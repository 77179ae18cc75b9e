"""The balance of every account, in shards, so that writers seldom wait for each other.

A guarded account, which must not fall below zero, has a single shard.
"""

import sqlalchemy as sa

from internal.infra import columns, db

ACCOUNT_BALANCES = sa.Table(
    "account_balances",
    db.METADATA,
    columns.number("account_key", primary_key=True),
    columns.number("shard", primary_key=True),
    columns.number("debit_minor", default=0),
    columns.number("credit_minor", default=0),
    columns.number("updated_at_us"),
)
