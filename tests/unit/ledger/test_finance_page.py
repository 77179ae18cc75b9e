"""The ledger's part of docs/finance.md names what exists, and its queries give what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from internal.ledger import accounts, balances, rules, store
from internal.ledger.messages import AccountKind, AccountRef, Sale

FINANCE = (Path(__file__).parents[3] / "docs" / "finance.md").read_text()
PAGE = FINANCE.partition("# The ledger\n")[2]


@pytest.fixture
def booked(any_database: sa.Connection) -> sa.Connection:
    for order_key, kind in enumerate((AccountKind.CASH_DRAWER, AccountKind.CLEARING), start=1):
        sale = Sale(
            order_key=order_key,
            merchant_id="m-1",
            store_id="main",
            currency="EUR",
            business_day=20_231_114,
            at_us=5,
            revenue_minor=100,
            discount_minor=10,
            taxes_minor=(("std", 17),),
            received=((rules.ref(kind, "main"), 107),),
        )
        known = accounts.KnownAccounts()
        store.append(any_database, [rules.book_sale(sale)], known, order_key)
    return any_database


def _plain(value: Any) -> Any:  # noqa: ANN401 - a column of any type
    return value if isinstance(value, str) else int(value)


def test_the_examples_of_the_page(booked: sa.Connection) -> None:
    queries = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    rows = [booked.exec_driver_sql(query).all() for query in queries]
    month, now = [[(*map(_plain, row),) for row in found] for found in rows]
    assert month == [
        ("CASH_DRAWER", "main", "", "EUR", 107),
        ("CLEARING", "", "", "EUR", 107),
        ("DISCOUNT", "main", "", "EUR", 20),
        ("REVENUE", "main", "", "EUR", -200),
        ("TAX", "main", "std", "EUR", -34),
    ]
    assert now == [("CASH_DRAWER", "main", "EUR", 107), ("CLEARING", "", "EUR", 107)]


@pytest.mark.parametrize(
    "table",
    [accounts.ACCOUNTS, store.LEDGER_ENTRIES, balances.ACCOUNT_BALANCES],
    ids=lambda it: it.name,
)
def test_the_page_explains_every_column(table: sa.Table) -> None:
    section = PAGE.partition(f"## {table.name}:")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert named == {column.name for column in table.columns}


def test_labels_are_those_of_the_command_line() -> None:
    for kind, store_id, name in (
        (AccountKind.CASH_DRAWER, "main", ""),
        (AccountKind.TAX, "main", "reduced"),
        (AccountKind.CLEARING, "", ""),
    ):
        assert f"`{rules.label(AccountRef(kind, store_id, name))}`" in PAGE
