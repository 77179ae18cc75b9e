"""The SQL of stock: reservations are guarded, and every change of on_hand has a movement."""

import sqlite3
from collections.abc import Callable

import msgspec
import pytest
import sqlalchemy as sa

from internal.inventory import exceptions, store
from internal.inventory.messages import Movement, Reason, StockKey, StockLevel
from internal.kernel import errors
from internal.kernel.quantities import MILLI
from tests.support import skus, staged_orders, stock
from tests.support.stock import moved

TEA, CUP = StockKey("m-1", "main", "tea"), StockKey("m-1", "main", "cup")


def move(connection: sa.Connection, *movements: Movement) -> dict[StockKey, StockLevel]:
    return store.move(connection, movements, stock.OWNER)


@pytest.fixture
def connection(any_database: sa.Connection) -> sa.Connection:
    move(any_database, moved(TEA, 10), moved(TEA, 5), moved(CUP, 3))
    return any_database


def levels(connection: sa.Connection) -> dict[StockKey, StockLevel]:
    return store.lock_levels(connection, sorted([TEA, CUP]))


def test_received_units_add_up(connection: sa.Connection) -> None:
    move(connection, moved(CUP, 4))
    assert levels(connection) == {TEA: StockLevel(15_000, 0), CUP: StockLevel(7_000, 0)}
    counted = sa.select(sa.func.count()).select_from(store.STOCK_MOVEMENTS)
    assert connection.execute(counted).scalar() == 4


def test_a_reservation_is_committed_or_released(connection: sa.Connection) -> None:
    store.reserve(connection, {TEA: 6_000, CUP: 3_000})
    store.release(connection, {TEA: 2_000})
    store.commit(connection, {TEA: 4_000, CUP: 1_000})
    assert levels(connection) == {TEA: StockLevel(11_000, 0), CUP: StockLevel(2_000, 2_000)}


@pytest.mark.parametrize("change", [store.reserve, store.release, store.commit])
def test_no_more_is_reserved_than_available_or_taken_than_reserved(
    connection: sa.Connection, change: Callable[[sa.Connection, dict[StockKey, int]], None]
) -> None:
    store.reserve(connection, {CUP: 2_001})
    before = levels(connection)
    with pytest.raises(errors.DatabaseAway):
        change(connection, {CUP: 2_002})
    assert levels(connection) == before


def test_a_product_that_is_not_stocked_cannot_be_reserved(connection: sa.Connection) -> None:
    with pytest.raises(errors.DatabaseAway):
        store.reserve(connection, {StockKey("m-1", "main", "ghost"): 1})


def test_a_movement_is_known_by_its_source(connection: sa.Connection) -> None:
    sale = moved(TEA, -1, Reason.SALE)
    store.add_movements(connection, [sale])
    with pytest.raises(sa.exc.IntegrityError):
        store.add_movements(connection, [sale])
    store.add_movements(connection, [msgspec.structs.replace(sale, movement_no=2)])


def test_a_lot_has_stock_of_its_own(connection: sa.Connection) -> None:
    lot = StockKey("m-1", "main", "tea", "spring")
    move(connection, moved(lot, 0.125))
    found = dict(store.list_levels(connection, "m-1", sku="tea"))
    assert found == {TEA: StockLevel(15_000, 0), lot: StockLevel(125, 0)}


def test_levels_are_listed_by_location_and_product(connection: sa.Connection) -> None:
    move(connection, moved(StockKey("m-1", "annex", "tea"), 1))
    move(connection, moved(StockKey("m-2", "main", "tea"), 1))
    names = [(key.location_id, key.sku) for key, _ in store.list_levels(connection, "m-1")]
    assert names == [("annex", "tea"), ("main", "cup"), ("main", "tea")]
    assert len(store.list_levels(connection, "m-1", sku="tea")) == 2
    assert len(store.list_levels(connection, "m-1", location_id="main")) == 2


def test_stock_may_fall_below_what_is_reserved_and_opens_one_exception(
    connection: sa.Connection,
) -> None:
    store.reserve(connection, {TEA: 15_000, CUP: 1_000})
    move(connection, moved(TEA, -16, Reason.WRITE_OFF), moved(CUP, -2, Reason.WRITE_OFF))
    assert levels(connection) == {TEA: StockLevel(-1_000, 15_000), CUP: StockLevel(1_000, 1_000)}
    move(connection, moved(TEA, 0.5))
    (opened,) = exceptions.list_all(connection, "m-1")
    assert (opened.key, opened.owner, opened.closed_at_us) == (TEA, stock.OWNER, None)


def test_a_sale_takes_what_is_reserved_whatever_is_left(connection: sa.Connection) -> None:
    store.reserve(connection, {TEA: 15_000})
    move(connection, moved(TEA, -15, Reason.COUNT))
    store.commit(connection, {TEA: 15_000})
    assert levels(connection)[TEA] == StockLevel(-15_000, 0)
    with pytest.raises(errors.Conflict):
        store.reserve(connection, {TEA: 1})
    assert len(exceptions.list_all(connection, "m-1")) == 1


def test_the_latest_count_is_noted(connection: sa.Connection) -> None:
    for at_us in (2, 3, 1):
        store.note_counts(connection, [TEA], at_us)
    t = store.STOCK.c
    query = sa.select(t.counted_at_us).where(t.sku.in_(["tea", "cup"])).order_by(t.sku)
    assert list(connection.execute(query).scalars()) == [None, 3]


def test_what_moved_since_is_by_the_time_of_the_event(connection: sa.Connection) -> None:
    move(connection, moved(TEA, -1, at_us=10), moved(TEA, -2, at_us=11), moved(CUP, -1, at_us=12))
    assert store.moved_since(connection, [TEA], stock.AT_US - 1)[TEA] == 15_000
    assert store.moved_since(connection, [TEA], 10) == {TEA: 13_000}


def test_a_late_sale_of_an_earlier_day_did_not_happen_since(connection: sa.Connection) -> None:
    counted_at_us = stock.AT_US
    late = msgspec.structs.replace(moved(TEA, -1, at_us=counted_at_us + 1), business_day=20_231_111)
    move(connection, late, moved(TEA, -2, at_us=counted_at_us + 1))
    assert store.moved_since(connection, [TEA], counted_at_us) == {TEA: -2_000}


def test_received_units_do_not_touch_reservations(connection: sa.Connection) -> None:
    store.reserve(connection, {TEA: 15_000})
    move(connection, moved(TEA, 1))
    assert levels(connection)[TEA] == StockLevel(16_000, 15_000)


def test_rows_that_are_not_stocked_are_left_out(connection: sa.Connection) -> None:
    ghost = StockKey("m-1", "main", "ghost")
    other_merchant = StockKey("m-2", "main", "tea")
    wanted = sorted([TEA, ghost, other_merchant])
    assert store.find_levels(connection, wanted) == {TEA: StockLevel(15_000, 0)}
    assert store.levels_for(connection, dict.fromkeys(wanted, 1)) == {TEA: StockLevel(15_000, 0)}
    assert store.find_levels(connection, []) == {}


@pytest.mark.parametrize(("shortfall", "reads"), [(0, 1), (1, 2)])
def test_only_rows_that_may_not_suffice_are_read_again_with_a_lock(
    shortfall: int, reads: int
) -> None:
    enough = 2 * store.PLENTY_BATCHES
    with staged_orders.database() as connection:
        move(connection, moved(TEA, enough - shortfall), moved(CUP, 1_000))
        statements: list[str] = []
        sqlite = connection.connection.driver_connection
        assert isinstance(sqlite, sqlite3.Connection)
        sqlite.set_trace_callback(statements.append)
        found = store.levels_for(connection, {TEA: 2_000, CUP: 2_000})
        sqlite.set_trace_callback(None)
        assert found == levels(connection)
    assert len(statements) == reads
    assert ("cup" in statements[-1]) == (reads == 1)


def test_stock_of_skus_that_look_alike_is_not_shared(connection: sa.Connection) -> None:
    keys = [StockKey("m-1", "main", sku) for sku in skus.ALIKE]
    move(connection, *(moved(key, number) for number, key in enumerate(keys, start=1)))
    store.reserve(connection, dict.fromkeys(keys[::2], MILLI))
    found = store.lock_levels(connection, sorted(keys))
    assert found == {
        key: StockLevel(number * MILLI, number % 2 * MILLI)
        for number, key in enumerate(keys, start=1)
    }
    for number, key in enumerate(keys, start=1):
        [(listed, level)] = store.list_levels(connection, "m-1", "main", key.sku)
        assert (listed, level.on_hand_milli) == (key, number * MILLI)
