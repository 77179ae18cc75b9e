"""The queries of docs/finance.md give what it says, on every database."""

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from internal.payments.messages import MoneyOperation
from internal.payments.order_tenders import ORDER_TENDERS
from internal.payments.transactions import PAYMENT_TRANSACTIONS
from tests.support import shop, staged_orders

FINANCE = (Path(__file__).parents[3] / "docs" / "finance.md").read_text()
DAY = 20_231_114


@pytest.fixture
def traded(any_database: sa.Connection) -> sa.Connection:
    """A shop with cash, cards, change, tips and an order whose card is returned."""
    shop.open_for_business(any_database)
    refused = shop.card(token="tok_declined:no_funds")
    staged_orders.StagedOrders(any_database).carry(
        shop.placed("cash", tenders=(shop.cash(given=2_000),)),
        shop.placed("tip", tenders=(shop.card(tip=150),)),
        shop.placed("both", tenders=(shop.card(400), shop.cash(tip=50))),
        shop.placed("declined", tenders=(shop.card(600), refused)),
        shop.placed("cash", tenders=(shop.cash(),), merchant_id=shop.OTHER_MERCHANT),
    )
    return any_database


def answers(connection: sa.Connection) -> list[list[Any]]:
    queries = re.findall(r"```sql\n(.*?)```", FINANCE, re.DOTALL)
    rows = [connection.exec_driver_sql(query).all() for query in queries]
    return [[(*map(_plain, row),) for row in found] for found in rows]


def _plain(value: Any) -> Any:  # noqa: ANN401 - a column of any type
    return value if isinstance(value, str) else int(value)


def test_the_examples_of_the_docs(traded: sa.Connection) -> None:
    by_tender, drawer, *_ = answers(traded)
    assert by_tender == [
        ("main", DAY, "CARD", "EUR", 1_150 + 400),
        ("main", DAY, "CASH", "EUR", 1_000 + 650),
    ]
    assert drawer == [
        ("CHANGE", "EUR", 1, -1_000),
        ("SALE", "EUR", 2, 2_000 + 600),
        ("TIP", "EUR", 1, 50),
    ]


@pytest.mark.parametrize("table", [PAYMENT_TRANSACTIONS, ORDER_TENDERS], ids=lambda it: it.name)
def test_the_docs_name_existing_columns(table: sa.Table) -> None:
    section = FINANCE.partition(f"## {table.name}")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    columns = {name for name in named if not name.isupper()}
    assert columns
    assert columns <= {column.name for column in table.columns}


def test_the_docs_explain_every_operation() -> None:
    assert {str(it) for it in MoneyOperation} <= set(
        re.findall(r"^\| `([A-Z]+)`", FINANCE, re.MULTILINE)
    )


def test_the_docs_explain_every_column_of_a_movement() -> None:
    section = FINANCE.partition("## payment_transactions")[2].partition("\n## ")[0]
    assert {column.name for column in PAYMENT_TRANSACTIONS.columns} <= set(
        re.findall(r"`(\w+)`", section)
    )
