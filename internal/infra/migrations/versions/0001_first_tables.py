"""The first tables: merchants, catalogue, stock, orders, payments, ledger, dead letters.

Revision ID: 0001
Revises:
"""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from internal.infra import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "merchants",
    "api_keys",
    "stores",
    "tax_rates",
    "products",
    "stock",
    "stock_movements",
    "orders",
    "order_lines",
    "order_log",
    "receipt_counters",
    "payment_attempts",
    "ledger_entries",
    "dead_letters",
)


def upgrade() -> None:
    """Create the tables; those of an interrupted run are kept."""
    _create_merchants()
    _create_api_keys()
    _create_stores()
    _create_tax_rates()
    _create_products()
    _create_stock()
    _create_stock_movements()
    _create_orders()
    _create_order_lines()
    _create_order_log()
    _create_receipt_counters()
    _create_payment_attempts()
    _create_ledger_entries()
    _create_dead_letters()


def downgrade() -> None:
    """Drop them with all their rows."""
    for table in reversed(TABLES):
        op.drop_table(table, if_exists=True)


def _create(
    name: str, *parts: sa.schema.SchemaItem, indexes: Mapping[str, list[str]] | None = None
) -> None:
    """Create a table and its indexes, or the missing ones of them.

    MySQL commits each statement by itself, and cannot be told to create an index if there is none.
    """
    op.create_table(name, *parts, if_not_exists=True)
    existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(name)}
    for index, names in (indexes or {}).items():
        if index not in existing:
            op.create_index(index, name, names)


def _create_merchants() -> None:
    _create(
        "merchants",
        columns.ident("merchant_id", primary_key=True),
        columns.words("name", 200),
        columns.number("created_at_us"),
    )


def _create_api_keys() -> None:
    _create(
        "api_keys",
        columns.code("key_id", primary_key=True),
        columns.ident("merchant_id"),
        columns.code("key_hash", chars_max=64),
        columns.number("created_at_us"),
        columns.number("revoked_at_us", nullable=True),
        indexes={"api_keys_by_merchant": ["merchant_id"]},
    )


def _create_stores() -> None:
    _create(
        "stores",
        columns.ident("merchant_id", primary_key=True),
        columns.ident("store_id", primary_key=True),
        columns.words("name", 200),
        columns.code("currency", chars_max=3),
        columns.code("rounding_mode"),
        columns.code("rounding_point"),
    )


def _create_tax_rates() -> None:
    _create(
        "tax_rates",
        columns.ident("merchant_id", primary_key=True),
        columns.ident("tax_code", primary_key=True),
        columns.words("name", 200),
        columns.number("rate_ppm"),
        columns.number("inclusive"),
    )


def _create_products() -> None:
    _create(
        "products",
        columns.ident("merchant_id", primary_key=True),
        columns.ident("sku", primary_key=True),
        columns.words("name", 200),
        columns.number("price_minor"),
        columns.code("currency", chars_max=3),
        columns.ident("tax_code"),
        columns.number("active"),
    )


def _create_stock() -> None:
    _create(
        "stock",
        columns.ident("merchant_id", primary_key=True),
        columns.ident("store_id", primary_key=True),
        columns.ident("sku", primary_key=True),
        columns.number("on_hand", default=0),
        columns.number("reserved", default=0),
        sa.CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
        sa.CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
    )


def _create_stock_movements() -> None:
    _create(
        "stock_movements",
        columns.growing_key("movement_key"),
        columns.ident("merchant_id"),
        columns.ident("store_id"),
        columns.ident("sku"),
        columns.code("kind"),
        columns.number("quantity"),
        columns.number("order_key", nullable=True),
        columns.number("at_us"),
        sa.UniqueConstraint("order_key", "sku", name="stock_movements_once_per_order"),
    )


def _create_orders() -> None:
    _create(
        "orders",
        columns.growing_key("order_key"),
        columns.ident("merchant_id"),
        columns.ident("order_id"),
        columns.ident("store_id"),
        columns.ident("terminal_id"),
        columns.code("body_hash", chars_max=64),
        columns.code("state"),
        columns.code("charge_state"),
        columns.code("stock_state"),
        columns.number("version"),
        columns.code("currency", chars_max=3),
        columns.number("gross_minor"),
        columns.number("discount_minor"),
        columns.number("net_minor"),
        columns.number("tax_minor"),
        columns.number("total_minor"),
        columns.words("reason", 64),
        columns.words("explanation"),
        columns.number("receipt_no", nullable=True),
        columns.number("placed_at_us"),
        columns.number("updated_at_us"),
        columns.number("due_at_us", nullable=True),
        columns.words("trace_id", 64),
        columns.document("price_trace"),
        sa.UniqueConstraint("merchant_id", "order_id", name="orders_by_merchant"),
        sa.UniqueConstraint("merchant_id", "store_id", "receipt_no", name="orders_by_receipt"),
        indexes={
            "orders_by_time": ["merchant_id", "placed_at_us"],
            "orders_due": ["due_at_us", "placed_at_us"],
        },
    )


def _create_order_lines() -> None:
    _create(
        "order_lines",
        columns.number("order_key", primary_key=True),
        columns.number("line_no", primary_key=True),
        columns.ident("sku"),
        columns.words("name", 200),
        columns.number("quantity"),
        columns.number("unit_price_minor"),
        columns.number("gross_minor"),
        columns.number("discount_minor"),
        columns.ident("tax_code"),
        columns.number("tax_rate_ppm"),
        columns.number("tax_inclusive"),
        columns.number("tax_minor"),
        columns.number("total_minor"),
    )


def _create_order_log() -> None:
    _create(
        "order_log",
        columns.number("order_key", primary_key=True),
        columns.code("stage", primary_key=True),
        columns.code("event_id", primary_key=True, chars_max=96),
        columns.number("version"),
        columns.code("state"),
        columns.words("reason", 64),
        columns.document("fact"),
        columns.number("digest"),
        columns.number("at_us"),
    )


def _create_receipt_counters() -> None:
    _create(
        "receipt_counters",
        columns.ident("merchant_id", primary_key=True),
        columns.ident("store_id", primary_key=True),
        columns.number("last_no", default=0),
    )


def _create_payment_attempts() -> None:
    _create(
        "payment_attempts",
        columns.number("order_key", primary_key=True),
        columns.number("attempt_no", primary_key=True),
        columns.code("kind"),
        columns.number("tender_no"),
        columns.code("tender_kind"),
        columns.number("amount_minor"),
        columns.code("currency", chars_max=3),
        columns.code("attempt_key", chars_max=160),
        columns.code("state"),
        columns.words("card_token", 128),
        columns.words("voids_key", 160),
        columns.words("gateway_reference", 128),
        columns.words("decline_code", 64),
        columns.number("checks", default=0),
        columns.number("updated_at_us"),
    )


def _create_ledger_entries() -> None:
    _create(
        "ledger_entries",
        columns.code("source_kind", primary_key=True, chars_max=16),
        columns.number("source_key", primary_key=True),
        columns.number("entry_no", primary_key=True),
        columns.ident("merchant_id"),
        columns.code("account", chars_max=96),
        columns.code("currency", chars_max=3),
        columns.number("debit_minor"),
        columns.number("credit_minor"),
        columns.number("at_us"),
    )


def _create_dead_letters() -> None:
    _create(
        "dead_letters",
        columns.growing_key("letter_key"),
        columns.code("stage"),
        columns.code("topic", chars_max=200),
        columns.code("code", chars_max=64),
        columns.words("explanation"),
        columns.words("merchant_id", 64),
        columns.words("order_id", 64),
        columns.document("payload"),
        columns.number("at_us"),
        columns.number("closed_at_us", nullable=True),
        columns.words("closed_by", 16),
        indexes={"dead_letters_open": ["closed_at_us", "letter_key"]},
    )
