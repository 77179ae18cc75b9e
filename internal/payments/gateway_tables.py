"""The tables of gateway accounts, of what gateways report, and of disputes and refunds.

A secret is never here: a row names the file or the variable that holds it. A gateway's event is
kept without personal data and deleted after a stated time.
"""

import sqlalchemy as sa

from internal.infra import columns, db

GATEWAY_ACCOUNTS = sa.Table(
    "gateway_accounts",
    db.METADATA,
    columns.growing_key("gateway_account_key"),
    columns.ident("merchant_id"),
    columns.code("gateway"),
    columns.ident("name"),
    columns.words("currencies"),
    columns.number("priority", default=0),
    columns.words("capabilities"),
    columns.words("secret_ref", 200),
    columns.words("webhook_secret_refs", 400),
    columns.number("valid_from_us"),
    columns.number("valid_to_us", nullable=True),
    sa.UniqueConstraint("merchant_id", "name", name="gateway_accounts_by_name"),
)

GATEWAY_REFERENCES = sa.Table(
    "gateway_references",
    db.METADATA,
    columns.number("gateway_account_key", primary_key=True),
    columns.code("reference", primary_key=True, chars_max=128),
    columns.code("kind", primary_key=True),
    columns.number("order_key", primary_key=True),
    columns.number("attempt_no"),
    sa.Index("gateway_references_by_order", "order_key"),
)

GATEWAY_EVENTS = sa.Table(
    "gateway_events",
    db.METADATA,
    columns.number("gateway_account_key", primary_key=True),
    columns.code("event_id", primary_key=True, chars_max=128),
    columns.code("event_type", chars_max=96),
    columns.words("reference", 128),
    columns.document("body"),
    columns.code("state"),
    columns.number("tries", default=0),
    columns.number("received_at_us"),
    columns.number("next_try_at_us", nullable=True),
    sa.Index("gateway_events_by_state", "state", "next_try_at_us"),
    sa.Index("gateway_events_by_reference", "reference"),
    sa.Index("gateway_events_by_time", "received_at_us"),
)

DISPUTES = sa.Table(
    "disputes",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("dispute_no", primary_key=True),
    columns.number("tender_no"),
    columns.number("gateway_account_key", nullable=True),
    columns.words("reference", 128),
    columns.code("kind"),
    columns.code("state"),
    columns.words("reason", 64),
    columns.number("amount_minor"),
    columns.number("taken_minor", default=0),
    columns.number("fee_minor", default=0),
    columns.code("currency", chars_max=3),
    columns.number("evidence_due_at_us", nullable=True),
    columns.number("version", default=1),
    columns.number("opened_at_us"),
    columns.number("closed_at_us", nullable=True),
    sa.Index("disputes_by_state", "state", "evidence_due_at_us"),
)

REFUNDS = sa.Table(
    "refunds",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.ident("refund_id", primary_key=True),
    columns.number("return_no", nullable=True),
    columns.code("state"),
    columns.code("reason", chars_max=64),
    columns.number("amount_minor"),
    columns.code("currency", chars_max=3),
    columns.number("business_day"),
    columns.number("actor_key", nullable=True),
    columns.number("version", default=1),
    columns.number("at_us"),
    columns.number("updated_at_us"),
    sa.Index("refunds_by_state", "state", "updated_at_us"),
)

REFUND_LINES = sa.Table(
    "refund_lines",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.ident("refund_id", primary_key=True),
    columns.number("refund_line_no", primary_key=True),
    columns.number("tender_no"),
    columns.number("line_no", nullable=True),
    columns.number("amount_minor"),
    columns.number("tax_minor", default=0),
)
