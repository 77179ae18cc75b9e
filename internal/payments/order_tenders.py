"""The tenders of an order: each is a payment, with its amounts and its state.

Amounts are minor units of the order's currency. A token stands in private_values only.
"""

import sqlalchemy as sa

from internal.infra import columns, db

ORDER_TENDERS = sa.Table(
    "order_tenders",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("tender_no", primary_key=True),
    columns.ident("tender_ref"),
    columns.code("kind"),
    columns.code("state"),
    columns.number("amount_minor"),
    columns.number("given_minor", default=0),
    columns.number("change_minor", default=0),
    columns.number("tip_minor", default=0),
    columns.number("rounding_minor", default=0),
    columns.code("capture_mode", default="AUTOMATIC"),
    columns.number("authorized_minor", default=0),
    columns.number("captured_minor", default=0),
    columns.number("voided_minor", default=0),
    columns.number("refunded_minor", default=0),
    columns.number("pending_minor", default=0),
    columns.number("disputed_minor", default=0),
    columns.number("dispute_lost_minor", default=0),
    columns.number("authorized_until_us", nullable=True),
    columns.number("account_key", nullable=True),
    columns.number("gateway_account_key", nullable=True),
    columns.words("token_name", 96),
    columns.words("brand", 32),
    columns.words("funding", 16),
    columns.words("country", 2),
    columns.words("last4", 4),
    columns.words("entry_mode", 16),
    columns.words("external_reference", 128),
    columns.words("authorization_code", 32),
    columns.optional_ident("device_id"),
    columns.number("business_day", default=0),
    columns.number("version", default=1),
    columns.number("at_us"),
    columns.number("updated_at_us"),
)
