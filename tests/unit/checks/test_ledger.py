"""The ledger balances, and its balances follow its entries, for any entries and any seal."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import ledger
from internal.checks.scope import EVERYTHING, Scope
from internal.infra import db
from tests.support import staged_orders
from tests.unit.checks import corruptions
from tests.unit.checks.good_database import Database

WHOLE = "debits equal credits, per merchant and currency"
ACCOUNTS = {1: ("m-1", "EUR"), 2: ("m-1", "EUR"), 3: ("m-1", "JPY"), 4: ("m-2", "EUR")}
"""(merchant, currency) by account_key."""
DAYS = st.sampled_from([20_261_127, 20_261_128, 20_261_129])
ENTRIES = st.lists(st.tuples(DAYS, st.sampled_from([*ACCOUNTS]), st.integers(-3, 3)), max_size=12)
SCOPES = st.sampled_from([EVERYTHING, Scope(7, 20_261_127, 9), Scope(7, 20_261_128, 9)])


def insert(connection: sa.Connection, table: str, **values: object) -> None:
    connection.execute(db.METADATA.tables[table].insert().values(values))


def book(connection: sa.Connection, entries: list[tuple[int, int, int]], sealed_day: int) -> None:
    """Book refunds, whose entries are all of their day, and keep balances and seals in step."""
    debits: Counter[tuple[int, bool]] = Counter()
    credited: Counter[tuple[int, bool]] = Counter()
    for number, (day, account, amount) in enumerate(entries, start=1):
        insert(
            connection,
            "ledger_entries",
            business_day=day,
            source_kind="refund",
            source_key=number,
            transaction_no=1,
            entry_no=1,
            account_key=account,
            amount_minor=amount,
            recorded_at_us=0,
        )
        for is_sealed in {False, day <= sealed_day}:
            sums = debits if amount > 0 else credited
            sums[account, is_sealed] += abs(amount)
    for key, (merchant_id, unit) in ACCOUNTS.items():
        row = {"account_key": key, "merchant_id": merchant_id, "unit": unit, "kind": "REVENUE"}
        sealed = {
            "sealed_debit_minor": debits[key, True],
            "sealed_credit_minor": credited[key, True],
        }
        insert(connection, "accounts", **row, **sealed, name=str(key), created_at_us=0)
        balance = {"debit_minor": debits[key, False], "credit_minor": credited[key, False]}
        insert(connection, "account_balances", account_key=key, shard=0, **balance)


@given(entries=ENTRIES, scope=SCOPES)
def test_balances_are_the_sums_of_entries(
    empty: sa.Connection, entries: list[tuple[int, int, int]], scope: Scope
) -> None:
    differences: Counter[tuple[str, str]] = Counter()
    for _, account, amount in entries:
        differences[ACCOUNTS[account]] += amount
    with staged_orders.undone(empty):
        book(empty, entries, scope.sealed_day)
        found = {it.sentence: it for it in ledger.check(empty, scope)}
    assert ledger.BALANCES_AGREE not in found
    wrong = {
        f"merchant_id={merchant_id} currency={currency} difference={difference}"
        for (merchant_id, currency), difference in differences.items()
        if difference
    }
    assert {
        example for it in found.values() if it.sentence == WHOLE for example in it.examples
    } == (wrong)


@given(entries=ENTRIES.filter(bool), scope=SCOPES, data=st.data())
def test_any_entry_that_is_missing_is_found(
    empty: sa.Connection, entries: list[tuple[int, int, int]], scope: Scope, data: st.DataObject
) -> None:
    """One of a sealed day is found by a check of everything only."""
    place = data.draw(st.integers(0, len(entries) - 1))
    day, _, amount = entries[place]
    with staged_orders.undone(empty):
        book(empty, entries, scope.sealed_day)
        entries_of = db.METADATA.tables["ledger_entries"]
        empty.execute(entries_of.delete().where(entries_of.c.source_key == place + 1))
        since = {it.sentence for it in ledger.check(empty, scope)}
        whole = {it.sentence for it in ledger.check(empty)}
    assert (ledger.BALANCES_AGREE in whole) == bool(amount)
    assert (ledger.BALANCES_AGREE in since) == bool(amount and day > scope.sealed_day)


def test_a_sale_that_arrives_after_the_seal_of_its_day_is_counted(database: Database) -> None:
    """Sealed as it was before the sale; then all is as it should be, and no less is found."""
    connection = database.connection
    day, last = connection.exec_driver_sql(
        "SELECT MAX(business_day), MAX(order_key) FROM orders"
    ).one()
    assert not ledger.check(connection, Scope(0, day - 1, last))
    assert not ledger.check(connection, Scope(0, day, 0))
    assert ledger.check(connection, Scope(0, day, last))


def test_the_same_transaction_may_be_wrong_in_two_ways(database: Database) -> None:
    _, *statements = corruptions.CORRUPTIONS["credits that are wrong but balance in sum"]
    database.corrupt(*statements)
    (found,) = ledger.check(database.connection)
    assert (found.invariant, found.count) == ("I4", 2)


@pytest.mark.parametrize("days", [[], [5], [3, 5, 9]])
def test_days_are_found_one_by_one(empty: sa.Connection, days: list[int]) -> None:
    with staged_orders.undone(empty):
        book(empty, [(day, 1, 1) for day in days for _ in range(3)], -1)
        assert list(ledger.days_after(empty, -1)) == days
        assert list(ledger.days_after(empty, 5)) == [day for day in days if day > 5]
