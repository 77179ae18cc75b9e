"""The SQL of stock is guarded: no quantity becomes negative, and every change has a movement."""

import sqlite3
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from internal.inventory import store
from internal.inventory.messages import Movement, MovementKind, StockKey, StockLevel
from internal.kernel import errors
from tests.support import skus, staged_orders

TEA, CUP = StockKey("m-1", "main", "tea"), StockKey("m-1", "main", "cup")


@pytest.fixture
def connection(any_database: sa.Connection) -> sa.Connection:
    store.receive(any_database, [received(TEA, 10), received(TEA, 5), received(CUP, 3)])
    return any_database


def received(key: StockKey, quantity: int) -> Movement:
    return Movement(key, MovementKind.RECEIPT, quantity, 1)


def levels(connection: sa.Connection) -> dict[StockKey, StockLevel]:
    return store.lock_levels(connection, sorted([TEA, CUP]))


def test_received_units_add_up(connection: sa.Connection) -> None:
    store.receive(connection, [received(CUP, 4)])
    assert levels(connection) == {TEA: StockLevel(15, 0), CUP: StockLevel(7, 0)}
    moved = sa.select(sa.func.count()).select_from(store.STOCK_MOVEMENTS)
    assert connection.execute(moved).scalar() == 4


def test_a_reservation_is_committed_or_released(connection: sa.Connection) -> None:
    store.reserve(connection, {TEA: 6, CUP: 3})
    store.release(connection, {TEA: 2})
    store.commit(connection, {TEA: 4, CUP: 1})
    assert levels(connection) == {TEA: StockLevel(11, 0), CUP: StockLevel(2, 2)}


@pytest.mark.parametrize("change", [store.reserve, store.release, store.commit])
def test_no_quantity_becomes_negative(
    connection: sa.Connection, change: Callable[[sa.Connection, dict[StockKey, int]], None]
) -> None:
    store.reserve(connection, {CUP: 2})
    before = levels(connection)
    with pytest.raises(errors.DatabaseAway):
        change(connection, {CUP: 3})
    assert levels(connection) == before


def test_a_product_that_is_not_stocked_cannot_be_reserved(connection: sa.Connection) -> None:
    with pytest.raises(errors.DatabaseAway):
        store.reserve(connection, {StockKey("m-1", "main", "ghost"): 1})


def test_a_sale_moves_a_product_once(connection: sa.Connection) -> None:
    sale = Movement(TEA, MovementKind.SALE, -1, 1, order_key=7)
    store.add_movements(connection, [sale])
    with pytest.raises(sa.exc.IntegrityError):
        store.add_movements(connection, [sale])


def test_levels_are_listed_by_store_and_product(connection: sa.Connection) -> None:
    store.receive(connection, [received(StockKey("m-1", "annex", "tea"), 1)])
    store.receive(connection, [received(StockKey("m-2", "main", "tea"), 1)])
    names = [(key.store_id, key.sku) for key, _ in store.list_levels(connection, "m-1")]
    assert names == [("annex", "tea"), ("main", "cup"), ("main", "tea")]
    assert len(store.list_levels(connection, "m-1", sku="tea")) == 2
    assert len(store.list_levels(connection, "m-1", store_id="main")) == 2


def test_a_correction_may_take_units_away_but_not_more_than_there_are(
    connection: sa.Connection,
) -> None:
    store.receive(connection, [Movement(TEA, MovementKind.ADJUSTMENT, -15, 2)])
    assert levels(connection)[TEA] == StockLevel(0, 0)
    with pytest.raises(errors.DatabaseAway):
        store.receive(connection, [Movement(TEA, MovementKind.ADJUSTMENT, -1, 2)])
    assert levels(connection)[TEA] == StockLevel(0, 0)


def test_received_units_do_not_touch_reservations(connection: sa.Connection) -> None:
    store.reserve(connection, {TEA: 15})
    store.receive(connection, [received(TEA, 1)])
    assert levels(connection)[TEA] == StockLevel(16, 15)


def test_rows_that_are_not_stocked_are_left_out(connection: sa.Connection) -> None:
    ghost = StockKey("m-1", "main", "ghost")
    other_merchant = StockKey("m-2", "main", "tea")
    wanted = sorted([TEA, ghost, other_merchant])
    assert store.find_levels(connection, wanted) == {TEA: StockLevel(15, 0)}
    assert store.levels_for(connection, dict.fromkeys(wanted, 1)) == {TEA: StockLevel(15, 0)}
    assert store.find_levels(connection, []) == {}


@pytest.mark.parametrize(("shortfall", "reads"), [(0, 1), (1, 2)])
def test_only_rows_that_may_not_suffice_are_read_again_with_a_lock(
    shortfall: int, reads: int
) -> None:
    enough = 2 * store.PLENTY_BATCHES
    with staged_orders.database() as connection:
        store.receive(connection, [received(TEA, enough - shortfall), received(CUP, 1_000)])
        statements: list[str] = []
        sqlite = connection.connection.driver_connection
        assert isinstance(sqlite, sqlite3.Connection)
        sqlite.set_trace_callback(statements.append)
        found = store.levels_for(connection, {TEA: 2, CUP: 2})
        sqlite.set_trace_callback(None)
        assert found == levels(connection)
    assert len(statements) == reads
    assert ("cup" in statements[-1]) == (reads == 1)


def test_stock_of_skus_that_look_alike_is_not_shared(connection: sa.Connection) -> None:
    keys = [StockKey("m-1", "main", sku) for sku in skus.ALIKE]
    store.receive(connection, [received(key, number) for number, key in enumerate(keys, start=1)])
    store.reserve(connection, dict.fromkeys(keys[::2], 1))
    found = store.lock_levels(connection, sorted(keys))
    assert found == {
        key: StockLevel(number, number % 2) for number, key in enumerate(keys, start=1)
    }
    for number, key in enumerate(keys, start=1):
        [(listed, level)] = store.list_levels(connection, "m-1", "main", key.sku)
        assert (listed, level.on_hand) == (key, number)
