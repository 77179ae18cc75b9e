"""The tables of the ledger, as the first revision makes them."""

import sqlalchemy as sa

from internal.infra import columns

METADATA = sa.MetaData()

ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    columns.number("account_key", primary_key=True),
    columns.ident("merchant_id"),
    columns.optional_ident("store_id"),
    columns.code("kind"),
    columns.code("name", chars_max=96, default=""),
    columns.code("unit", chars_max=8),
    columns.words("external_number", 64),
    columns.number("is_guarded", default=0),
    columns.number("sealed_debit_minor", default=0),
    columns.number("sealed_credit_minor", default=0),
    columns.number("created_at_us"),
    sa.UniqueConstraint("merchant_id", "store_id", "kind", "name", "unit", name="accounts_by_name"),
)

ACCOUNT_BALANCES = sa.Table(
    "account_balances",
    METADATA,
    columns.number("account_key", primary_key=True),
    columns.number("shard", primary_key=True),
    columns.number("debit_minor", default=0),
    columns.number("credit_minor", default=0),
)

BUSINESS_DAYS = sa.Table(
    "business_days",
    METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.optional_ident("store_id", primary_key=True),
    columns.number("business_day", primary_key=True),
    columns.code("state"),
    columns.number("orders", default=0),
    columns.number("entries", default=0),
    columns.code("digest", chars_max=64, default=""),
    columns.number("sealed_at_us", nullable=True),
    columns.number("after_order_key", default=0),
    columns.number("upto_order_key", default=0),
)

BUSINESS_DAY_SUMS = sa.Table(
    "business_day_sums",
    METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.optional_ident("store_id", primary_key=True),
    columns.number("business_day", primary_key=True),
    columns.number("account_key", primary_key=True),
    columns.number("debit_minor"),
    columns.number("credit_minor"),
)

LEDGER_ENTRIES = sa.Table(
    "ledger_entries",
    METADATA,
    columns.number("business_day", primary_key=True),
    columns.code("source_kind", primary_key=True, chars_max=16),
    columns.number("source_key", primary_key=True),
    columns.number("transaction_no", primary_key=True),
    columns.number("entry_no", primary_key=True),
    columns.number("account_key"),
    columns.number("amount_minor"),
    columns.number("recorded_at_us"),
    columns.words("corrects", 96),
    columns.number("is_supplement", default=0),
    columns.given_once("journal_no"),
    sa.Index("ledger_entries_by_account", "account_key", "business_day"),
    info=columns.APPEND_ONLY,
)
