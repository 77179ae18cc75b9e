"""What every table must keep, so that history can be archived and no personal text lasts."""

import importlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra import columns, db
from tests.support import plans, shop, staged_orders

ROOT = Path(__file__).resolve().parents[2]
for path in sorted((ROOT / "internal").rglob("*.py")):
    if "\n    db.METADATA,\n" in path.read_text():
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
TABLES = dict(db.METADATA.tables)

BY_ORDER = {
    "disputes",
    "order_line_parts",
    "order_lines",
    "order_log",
    "order_refusals",
    "order_tenders",
    "payment_attempts",
    "payment_transactions",
    "refund_lines",
    "refunds",
    "return_line_parts",
    "return_lines",
    "returns",
}
"""They grow with orders, and can be partitioned and archived by the keys of orders."""
BY_DAY = {"ledger_entries", "stock_movements"}
"""They grow with orders, and can be partitioned and archived by business days."""
ALONE = {"orders"}
"""It grows with orders and cannot be partitioned: its unique name is the claim. So it is narrow."""
BY_DOCUMENT = {"documents", "journal"}
"""They grow with the other documents, whose keys come from one sequence."""
EMPTIED = {
    "appointments",
    "dead_letter_sources",
    "dead_letters",
    "gateway_events",
    "gateway_references",
    "outbox",
    "private_values",
    "requests",
    "stage_attempts",
}
"""They grow with work, and rows are deleted when it is done or after a stated time."""
SMALL = plans.SMALL - EMPTIED
"""They grow with shops, articles, days and people."""
TEXTS_OF_PEOPLE = {
    ("operator_log", "actor"),
    ("operator_log", "detail"),
    ("operator_log", "reason"),
    ("private_values", "content"),
}
"""Columns that may hold what a person wrote or is called; none of their tables is append-only."""
ORDER_COLUMNS_MAX = 40
ORDER_BYTES_MAX = 400
NUMBER_BYTES = 8
TEXT_LENGTH_BYTES = 1


def test_every_table_is_known_here() -> None:
    groups = (BY_ORDER, BY_DAY, ALONE, BY_DOCUMENT, EMPTIED, SMALL)
    known = [name for group in groups for name in group]
    assert len(known) == len(set(known))
    assert set(TABLES) <= set(known)


def unique_keys(table: sa.Table) -> list[list[str]]:
    """Return the columns of each unique key besides the primary one."""
    of_constraints = [
        [column.name for column in constraint.columns]
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    of_indexes = [[c.name for c in index.columns] for index in table.indexes if index.unique]
    return of_constraints + of_indexes


@pytest.mark.parametrize("name", sorted(BY_ORDER & set(TABLES)))
def test_tables_that_grow_with_orders_can_be_partitioned_by_order(name: str) -> None:
    """MySQL partitions by a column that is in every unique key."""
    table = TABLES[name]
    assert next(iter(table.primary_key.columns)).name == "order_key"
    assert unique_keys(table) == []
    assert not table.foreign_keys


@pytest.mark.parametrize("name", sorted(BY_DAY & set(TABLES)))
def test_tables_that_grow_with_days_can_be_partitioned_by_day(name: str) -> None:
    table = TABLES[name]
    assert next(iter(table.primary_key.columns)).name == "business_day"
    assert unique_keys(table) == []
    assert not table.foreign_keys


def test_the_journal_of_documents_can_be_partitioned() -> None:
    assert next(iter(TABLES["journal"].primary_key.columns)).name == "document_key"
    assert unique_keys(TABLES["journal"]) == []


def test_an_order_has_few_columns() -> None:
    orders = TABLES["orders"]
    assert len(orders.columns) <= ORDER_COLUMNS_MAX


def test_an_order_takes_few_bytes() -> None:
    """On average, as InnoDB stores them: 8 bytes a number, one more than its length a text."""
    placed = [
        shop.placed(f"till-17-2026-{n:06}", ("tea", 2), ("cup", 1), tenders=(tender,))
        for n, tender in enumerate([shop.cash(), shop.card()] * 10)
    ]
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        staged_orders.StagedOrders(connection).carry(*placed)
        orders = TABLES["orders"]
        rows = connection.execute(sa.select(orders)).mappings().all()
    assert len(rows) == len(placed)
    taken = sum(_bytes_of(row[name]) for row in rows for name in row)
    assert taken / len(rows) <= ORDER_BYTES_MAX


def _bytes_of(value: object) -> int:
    if value is None:
        return 0
    return len(value.encode()) + TEXT_LENGTH_BYTES if isinstance(value, str) else NUMBER_BYTES


def append_only() -> list[sa.Table]:
    return [table for table in TABLES.values() if table.info == columns.APPEND_ONLY]


def test_what_was_booked_is_append_only() -> None:
    assert {table.name for table in append_only()} == {
        "journal",
        "ledger_entries",
        "order_log",
        "payment_transactions",
        "stock_movements",
        "tax_rates",
    }


@pytest.mark.parametrize("table", append_only(), ids=lambda table: table.name)
def test_append_only_rows_hold_codes_and_keys_only(table: sa.Table) -> None:
    """A text that may hold a sentence is longer than an id; facts are searched by canaries."""
    assert not {name for name, _ in TEXTS_OF_PEOPLE} & {table.name}
    longest = {
        column.name: column.type.length or 0
        for column in table.columns
        if isinstance(column.type, sa.String) and column.name != "fact"
    }
    assert max(longest.values(), default=0) <= 2 * columns.ID_CHARS_MAX


def test_a_wide_or_second_key_would_be_found() -> None:
    other = sa.Table(
        "other",
        sa.MetaData(),
        sa.Column("order_key", sa.BigInteger),
        sa.UniqueConstraint("order_key"),
    )
    assert unique_keys(other) == [["order_key"]]
