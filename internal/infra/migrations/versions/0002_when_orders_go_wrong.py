"""Tables for orders that go wrong: crash counts, sources of dead letters, the operators' log.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from internal.infra import columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPERATOR_LOG, BY_ORDER = "operator_log", "operator_log_by_order"


def upgrade() -> None:
    """Create the missing tables; those of an interrupted run are kept."""
    op.create_table(
        "stage_attempts",
        columns.code("stage", primary_key=True),
        columns.ident("merchant_id", primary_key=True),
        columns.ident("order_id", primary_key=True),
        columns.number("attempts"),
        columns.number("first_at_us"),
        columns.number("last_at_us"),
        if_not_exists=True,
    )
    op.create_table(
        "dead_letter_sources",
        columns.code("source", primary_key=True, chars_max=64),
        columns.number("letter_key"),
        columns.words("message_id", 200),
        if_not_exists=True,
    )
    _create_operator_log()


def _create_operator_log() -> None:
    op.create_table(
        OPERATOR_LOG,
        columns.growing_key("action_key"),
        columns.number("at_us"),
        columns.words("actor", 64),
        columns.code("action"),
        columns.words("merchant_id", 64),
        columns.words("order_id", 64),
        columns.number("subject"),
        columns.words("detail"),
        columns.words("reason"),
        if_not_exists=True,
    )
    existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(OPERATOR_LOG)}
    if BY_ORDER not in existing:
        op.create_index(BY_ORDER, OPERATOR_LOG, ["merchant_id", "order_id"])


def downgrade() -> None:
    """Drop them with all their rows."""
    for table in (OPERATOR_LOG, "dead_letter_sources", "stage_attempts"):
        op.drop_table(table, if_exists=True)
