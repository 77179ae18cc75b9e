"""Stock rows agree with movements and open orders, for any rows and any window size."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import stock
from internal.infra import db
from tests.support import staged_orders
from tests.unit.checks.good_database import Database

SKUS = st.sampled_from(["tea", "cup", "pot"])
MOVEMENTS = st.lists(st.tuples(SKUS, st.integers(1, 5)), max_size=10)
ON_HAND = st.dictionaries(SKUS, st.integers(0, 12))
KEY = {"merchant_id": "m-1", "store_id": "main"}


@given(movements=MOVEMENTS, on_hand=ON_HAND, window=st.integers(1, 12))
def test_stock_on_hand_is_the_sum_of_its_movements(
    empty: sa.Connection, movements: list[tuple[str, int]], on_hand: dict[str, int], window: int
) -> None:
    tables = db.METADATA.tables
    moved: Counter[str] = Counter()
    with staged_orders.undone(empty), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock, "WINDOW_MOVEMENTS", window)
        for sku, quantity in movements:
            row = KEY | {"sku": sku, "kind": "RECEIPT", "quantity": quantity, "at_us": 0}
            empty.execute(tables["stock_movements"].insert().values(row))
            moved[sku] += quantity
        for sku, units in on_hand.items():
            row = KEY | {"sku": sku, "on_hand": units, "reserved": 0}
            empty.execute(tables["stock"].insert().values(row))
        found = stock.check(empty)
    wrong = {sku for sku in moved.keys() | on_hand if moved[sku] != on_hand.get(sku, 0)}
    assert sum(finding.count for finding in found) == len(wrong)
    assert all(f"sku={sku}" in str(found) for sku in wrong)


@pytest.mark.parametrize("window_movements", [1, 3, 7])
def test_windows_change_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, window_movements: int
) -> None:
    monkeypatch.setattr(stock, "WINDOW_MOVEMENTS", window_movements)
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
        "a finalized order's lines have left the stock, and no other order's have",
        stock._AGREES,
    )
    assert moved.examples == ("merchant_id=m-1 order_id=paid state=FINALIZED wanted=4 sold=0",)
