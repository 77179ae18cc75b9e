"""Every movement of money, for cash as for cards: finance's transaction table. Only appended.

An amount is signed: what came in is positive, what went out is negative.
"""

import sqlalchemy as sa

from internal.infra import columns, db

PAYMENT_TRANSACTIONS = sa.Table(
    "payment_transactions",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("transaction_no", primary_key=True),
    columns.number("tender_no"),
    columns.number("attempt_no", default=0),
    columns.code("operation"),
    columns.number("amount_minor"),
    columns.code("currency", chars_max=3),
    columns.number("account_key", nullable=True),
    columns.words("reference", 128),
    columns.number("is_external", default=0),
    columns.number("business_day"),
    columns.number("actor_key", nullable=True),
    columns.words("reason", 64),
    columns.optional_ident("request_id"),
    columns.number("at_us"),
    sa.Index("payment_transactions_by_day", "business_day", "order_key"),
    info=columns.APPEND_ONLY,
)
