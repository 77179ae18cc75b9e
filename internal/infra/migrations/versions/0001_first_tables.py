"""The first tables: those of a whole shop.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from internal.infra import columns
from internal.infra.migrations import append_only
from internal.infra.migrations.first_tables import (
    auth,
    catalogue,
    infra,
    inventory,
    ledger,
    orders,
    payments,
    pipeline,
    privacy,
    requests,
    returns,
)
from internal.kernel import money

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROOMS = (
    auth,
    catalogue,
    infra,
    inventory,
    ledger,
    orders,
    payments,
    pipeline,
    privacy,
    requests,
    returns,
)


def upgrade() -> None:
    """Create the tables, their indexes and triggers; those of an interrupted run are kept.

    MySQL commits each statement by itself.
    """
    bind = op.get_bind()
    for table in _tables():
        table.create(bind, checkfirst=True)
        existing = {index["name"] for index in sa.inspect(bind).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in existing:
                index.create(bind)
        if table.info == columns.APPEND_ONLY:
            append_only.protect(bind, table)
    _fill_currencies(bind)


def _fill_currencies(bind: sa.Connection) -> None:
    """Write down the decimals of every currency, for reports that read the tables themselves."""
    table = catalogue.CURRENCIES
    known = set(bind.execute(sa.select(table.c.currency)).scalars())
    missing = [
        {"currency": code, "exponent": exponent}
        for code, exponent in sorted(money.EXPONENTS.items())
        if code not in known
    ]
    if missing:
        bind.execute(table.insert(), missing)


def downgrade() -> None:
    """Drop the tables with all their rows."""
    for table in reversed(_tables()):
        op.drop_table(table.name, if_exists=True)


def _tables() -> list[sa.Table]:
    return [table for room in ROOMS for table in room.METADATA.sorted_tables]
