"""Checks since a seal read no table that grows as a whole; each statement's plan shows it.

SQLite chooses its plans without statistics, so they do not depend on the number of rows.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from internal.checks import gateway, invariants, seals
from internal.flow import janitor
from internal.infra import db
from internal.kernel import local_days
from internal.ledger import store as ledger_store
from internal.orders import deadlines
from internal.stages import payment_review
from tests.support import shop, staged_orders
from tests.unit.checks import good_database

GROWING = {
    name
    for name, table in db.METADATA.tables.items()
    if {"order_key", "business_day"} & set(table.c.keys()) and not name.startswith("business_day")
} - {"private_values", "gateway_references", "disputes"}
"""Tables that grow with orders."""
ALIAS = re.compile(r"(?:FROM|JOIN)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?")
SCAN = re.compile(r"SCAN (\w+)")


def statements_of(connection: sa.Connection, work: Callable[[sa.Connection], object]) -> list[str]:
    """Return the SELECT statements of `work`, on one line each and with all values."""
    statements: list[str] = []
    driver: Any = connection.connection.driver_connection
    driver.set_trace_callback(statements.append)
    work(connection)
    driver.set_trace_callback(None)
    return [" ".join(sql.split()) for sql in statements if sql.lstrip().startswith("SELECT")]


def scanned(connection: sa.Connection, work: Callable[[sa.Connection], object]) -> list[str]:
    """Return the statements of `work` that scan a table that grows, with the lines that say so."""
    driver: Any = connection.connection.driver_connection
    found = []
    for sql in statements_of(connection, work):
        tables = {alias or table: table for table, alias in ALIAS.findall(sql)}
        tables |= {table: table for table in tables.values()}
        for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}"):
            scan = SCAN.match(row[3])
            if scan and tables.get(scan[1]) in GROWING:
                found.append(f"{row[3]}: {sql}")
    return found


@pytest.fixture(scope="module")
def sealed() -> Iterator[sa.Connection]:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        good_database.seal_the_day_before(connection)
        good_database.trade(connection)
        yield connection


@pytest.fixture(scope="module")
def ended() -> Iterator[sa.Connection]:
    """A seal, and orders since then that have all ended."""
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        good_database.seal_the_day_before(connection)
        staged_orders.StagedOrders(connection).carry(shop.placed("o-1"), shop.placed("o-2"))
        yield connection


def check(connection: sa.Connection) -> object:
    scope = seals.last(connection)
    invariants.summary(connection, scope)
    gateway.keys_of(connection, scope)
    return invariants.check(connection, captured_at_gateway={}, scope=scope, now_us=shop.NOW_US)


READS: dict[str, Callable[[sa.Connection], object]] = {
    "souk check": check,
    "souk ledger balances": ledger_store.find_balances,
    "souk ledger balances --merchant": lambda c: ledger_store.find_balances(c, shop.MERCHANT),
    "souk payments unknown": payment_review.undecided,
    "due orders": lambda c: [
        deadlines.take(c, it.waiting, shop.NOW_US, shop.NOW_US, 100) for it in janitor.WAYS
    ],
    "whether orders are due": lambda c: [
        deadlines.are_due(c, it.waiting, shop.NOW_US) for it in janitor.WAYS
    ],
    "the oldest unfinished order": deadlines.oldest_unfinished_us,
}


@pytest.mark.parametrize("name", READS)
def test_no_table_that_grows_is_scanned(sealed: sa.Connection, name: str) -> None:
    assert scanned(sealed, READS[name]) == []


def test_a_seal_scans_no_table_that_grows(ended: sa.Connection) -> None:
    later_us = shop.NOW_US + local_days.DAY_US
    assert scanned(ended, lambda c: seals.plan(c, seals.newest_day(c, later_us), later_us)) == []


def test_a_scan_would_be_found(sealed: sa.Connection) -> None:
    (found,) = scanned(sealed, lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM order_log"))
    assert found.startswith("SCAN order_log")


def test_balances_read_no_entries(sealed: sa.Connection) -> None:
    (statement,) = statements_of(sealed, ledger_store.find_balances)
    assert "account_balances" in statement
    assert "ledger_entries" not in statement


def test_tables_that_grow_are_known() -> None:
    assert {"orders", "order_log", "order_tenders", "ledger_entries", "stock_movements"} <= GROWING
