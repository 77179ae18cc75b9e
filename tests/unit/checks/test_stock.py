"""Stock rows agree with movements and open orders, for any rows and any window size."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import stock
from internal.infra import db
from internal.inventory import store
from internal.inventory.messages import Reason, StockKey
from tests.support import staged_orders
from tests.support.stock import OWNER, moved
from tests.unit.checks.good_database import Database

SKUS = st.sampled_from(["tea", "cup", "pot"])
MOVEMENTS = st.lists(st.tuples(SKUS, st.integers(1, 5)), max_size=10)
ON_HAND = st.dictionaries(SKUS, st.integers(0, 12))
KEY = {"merchant_id": "m-1", "location_id": "main", "lot": ""}
MOVEMENT = KEY | {
    "business_day": 20231114,
    "source_kind": "OPENING",
    "movement_no": 1,
    "reason": "RECEIPT",
    "happened_at_us": 0,
    "recorded_at_us": 0,
}


@given(movements=MOVEMENTS, on_hand=ON_HAND, window=st.integers(1, 12))
def test_stock_on_hand_is_the_sum_of_its_movements(
    empty: sa.Connection, movements: list[tuple[str, int]], on_hand: dict[str, int], window: int
) -> None:
    tables = db.METADATA.tables
    moved: Counter[str] = Counter()
    with staged_orders.undone(empty), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock, "WINDOW_SOURCES", window)
        for key, (sku, quantity) in enumerate(movements):
            row = MOVEMENT | {"source_key": key, "sku": sku, "quantity_milli": quantity}
            empty.execute(tables["stock_movements"].insert().values(row))
            moved[sku] += quantity
        for sku, units in on_hand.items():
            row = KEY | {"sku": sku, "on_hand_milli": units, "reserved_milli": 0}
            empty.execute(tables["stock"].insert().values(row))
        found = stock.check(empty)
    wrong = {sku for sku in moved.keys() | on_hand if moved[sku] != on_hand.get(sku, 0)}
    assert sum(finding.count for finding in found) == len(wrong)
    assert all(f"sku={sku}" in str(found) for sku in wrong)


@pytest.mark.parametrize("window_sources", [1, 3, 7])
def test_windows_change_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, window_sources: int
) -> None:
    monkeypatch.setattr(stock, "WINDOW_SOURCES", window_sources)
    assert stock.check(database.connection) == []


@pytest.mark.parametrize(
    ("state", "is_reserved"),
    [
        ("PLACED", False),
        ("ACCEPTED", True),
        ("PAID", True),
        ("REJECTED", False),
        ("CANCELLED", False),
    ],
)
def test_accepted_and_paid_orders_reserve_their_lines(
    database: Database, state: str, *, is_reserved: bool
) -> None:
    """The order called "open" has one tea, and its stock row knows of it."""
    database.corrupt("UPDATE orders SET state = '$state' WHERE order_key = $open", state=state)
    found = stock.check(database.connection)
    assert bool(found) != is_reserved
    if found:
        (example,) = found[0].examples
        assert "sku=tea" in example


def test_a_finalized_order_without_its_movement_is_found(database: Database) -> None:
    database.corrupt("UPDATE orders SET state = 'FINALIZED' WHERE order_key = $paid")
    moved, reserved = stock.check(database.connection)
    assert (moved.sentence, reserved.sentence) == (
        stock._SALES_MOVED.sentence,
        stock._AGREES,
    )
    assert moved.examples == (
        "merchant_id=m-1 order_id=paid state=FINALIZED wanted_milli=4000 sold_milli=0",
    )


def test_negative_stock_with_an_open_exception_is_no_finding(database: Database) -> None:
    key = StockKey("m-2", "main", "rare")
    store.move(database.connection, [moved(key, -5, Reason.WRITE_OFF)], OWNER)
    assert store.find_levels(database.connection, [key])[key].on_hand_milli == -3_000
    assert stock.check(database.connection) == []
