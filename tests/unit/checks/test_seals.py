"""A seal takes over what has ended, a check after it finds the rest, and --all finds everything."""

import datetime
from collections.abc import Iterator

import hypothesis
import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Store
from internal.checks import findings, invariants, seals
from internal.checks.scope import EVERYTHING, Scope
from internal.infra import db
from internal.kernel import errors, local_days
from internal.orders import messages
from tests.support import shop, staged_orders

DAY = local_days.business_day(shop.NOW_US, datetime.UTC, 0)
DAY_BEFORE = local_days.day_before(DAY)
LATER_US = shop.NOW_US + seals.RECORDED_BEFORE_US
"""When a seal covers the orders of now."""


class Shop:
    """A shop that trades for some days, and seals them."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.line = staged_orders.StagedOrders(connection)
        self._placed = 0

    def placed(self, days_ago: int) -> messages.OrderPlaced:
        self._placed += 1
        order = shop.placed(f"o-{self._placed}", tenders=(shop.cash(500), shop.card()))
        at_us = shop.NOW_US - days_ago * local_days.DAY_US
        return msgspec.structs.replace(order, placed_at_us=at_us)

    def sell(self, *days_ago: int) -> None:
        self.line.carry(*(self.placed(days) for days in days_ago))

    def seal(self, business_day: int) -> None:
        planned = seals.plan(self.connection, business_day, LATER_US)
        seals.write(self.connection, planned, shop.NOW_US)

    def check(self) -> list[findings.Finding]:
        return invariants.check(self.connection, scope=seals.last(self.connection))

    @property
    def keys(self) -> list[int]:
        return sorted(
            row[0] for row in self.connection.exec_driver_sql("SELECT order_key FROM orders")
        )

    def change_amount(self, order_key: int, by: int) -> None:
        entries = db.METADATA.tables["ledger_entries"]
        changed = entries.update().where(entries.c.source_key == order_key)
        self.connection.execute(changed.values(amount_minor=entries.c.amount_minor + by))

    def rows(self, table: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.connection.execute(sa.select(db.METADATA.tables[table]))]


@pytest.fixture
def trading(any_database: sa.Connection) -> Iterator[Shop]:
    shop.open_for_business(any_database)
    opened = Shop(any_database)
    yield opened
    assert not opened.check()
    assert not invariants.check(any_database)


def test_without_a_seal_everything_is_checked(trading: Shop) -> None:
    assert seals.last(trading.connection) == EVERYTHING
    assert EVERYTHING.is_everything


def test_what_is_sealed_is_left_out(trading: Shop) -> None:
    trading.sell(1, 1, 1, 0)
    trading.seal(DAY_BEFORE)
    scope = seals.last(trading.connection)
    assert scope == Scope(trading.keys[2], DAY_BEFORE, trading.keys[3])
    (left,) = invariants.summary(trading.connection, scope)
    assert left.orders == 1


def test_a_day_has_its_orders_entries_and_sums(trading: Shop) -> None:
    trading.sell(1, 1, 0)
    trading.seal(DAY_BEFORE)
    columns = ["merchant_id", "store_id", "business_day", "state", "orders", "entries"]
    table = db.METADATA.tables["business_days"].c
    rows = trading.connection.execute(sa.select(*(table[name] for name in columns)))
    assert sorted(map(tuple, rows)) == [
        ("", "", DAY_BEFORE, "SEALED", 0, 0),
        ("m-1", "", DAY_BEFORE, "SEALED", 0, 2),
        ("m-1", "main", DAY_BEFORE, "SEALED", 2, 6),
    ]
    sums = sorted(row[4:] for row in trading.rows("business_day_sums"))
    assert sums == [(0, 320), (0, 1_680), (1_000, 0), (1_000, 0)]


def test_a_day_is_sealed_once(trading: Shop) -> None:
    trading.sell(1)
    trading.seal(DAY_BEFORE)
    with pytest.raises(errors.InvalidInput, match="sealed already"):
        trading.seal(DAY_BEFORE)


def test_a_day_with_an_open_order_is_not_sealed(trading: Shop) -> None:
    trading.sell(1)
    trading.line.step(trading.placed(1))
    with pytest.raises(errors.InvalidInput, match="m-1/o-2 ACCEPTED"):
        trading.seal(DAY_BEFORE)
    trading.seal(local_days.day_before(DAY_BEFORE))


def test_an_order_that_was_just_recorded_is_not_sealed(trading: Shop) -> None:
    """One with a smaller key may be in a transaction that has not committed."""
    trading.sell(1)
    planned = seals.plan(trading.connection, DAY_BEFORE, LATER_US - 1)
    assert planned.scope == Scope(0, DAY_BEFORE, 0)
    assert not planned.days
    seals.write(trading.connection, planned, LATER_US)
    assert seals.last(trading.connection) == planned.scope


def test_of_two_seals_at_the_same_time_one_is_written(trading: Shop) -> None:
    trading.sell(1)
    planned = seals.plan(trading.connection, DAY_BEFORE, LATER_US)
    trading.seal(DAY_BEFORE)
    with pytest.raises(errors.InvalidInput, match="at the same time"):
        seals.write(trading.connection, planned, shop.NOW_US)


def test_a_sale_that_arrives_after_the_seal_is_checked_and_sealed_next(trading: Shop) -> None:
    trading.sell(2, 1)
    trading.seal(DAY_BEFORE)
    trading.sell(2, 1, 0)
    scope = seals.last(trading.connection)
    assert sum(it.orders for it in invariants.summary(trading.connection, scope)) == 3
    trading.change_amount(trading.keys[2], 1)
    assert {it.invariant for it in trading.check()} == {"I3", "I4"}
    trading.change_amount(trading.keys[2], -1)
    trading.seal(DAY)
    rows = trading.rows("business_days")
    assert {row[2]: row[4] for row in rows if row[1]} == {
        local_days.day_before(DAY_BEFORE): 2,
        DAY_BEFORE: 2,
        DAY: 1,
    }


CHANGES = {
    "an amount": "UPDATE ledger_entries SET amount_minor = amount_minor + 1",
    "an account": "UPDATE ledger_entries SET account_key = (SELECT MIN(account_key) FROM accounts)",
    "an entry": "DELETE FROM ledger_entries WHERE entry_no = 1",
    "a day": "DELETE FROM business_days WHERE store_id <> ''",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_a_sealed_day_is_found_by_a_check_of_everything(
    trading: Shop, what: str
) -> None:
    trading.sell(1)
    trading.seal(DAY_BEFORE)
    with staged_orders.undone(trading.connection):
        trading.connection.exec_driver_sql(CHANGES[what])
        assert not trading.check()
        found = {it.sentence for it in invariants.check(trading.connection)}
        assert seals.SEALED_AGREES in found


@hypothesis.settings(max_examples=15)
@given(days=st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=3), st.integers(0, 2))))
def test_any_trade_and_any_seals_hold_every_invariant(days: list[tuple[list[int], int]]) -> None:
    """Orders of any of four days arrive between seals of any of three."""
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        trading = Shop(connection)
        for sold, sealed in days[:4]:
            trading.sell(*sold)
            day = (DAY, DAY_BEFORE, local_days.day_before(DAY_BEFORE))[sealed]
            if day > seals.last(connection).sealed_day:
                trading.seal(day)
            assert not trading.check()
            assert not invariants.check(connection)


@pytest.mark.parametrize(
    ("zones", "newest"),
    [
        ([], DAY_BEFORE),
        ([("", 0)], DAY_BEFORE),
        ([("Asia/Tokyo", 0)], DAY),
        ([("Asia/Tokyo", 0), ("", 0)], DAY_BEFORE),
        ([("", 23 * 60)], local_days.day_before(DAY_BEFORE)),
    ],
)
def test_a_day_can_be_sealed_when_it_is_over_in_every_store(
    zones: list[tuple[str, int]], newest: int
) -> None:
    """It is 22:13 in London, and the next day in Tokyo."""
    with staged_orders.database() as connection:
        stores = [
            Store("m", str(n), "", "EUR", time_zone=zone, day_cut_off_minutes=cut)
            for n, (zone, cut) in enumerate(zones)
        ]
        catalogue_store.save_stores(connection, stores)
        assert seals.newest_day(connection, shop.NOW_US) == newest
