"""Recent orders: how many are kept, how many bytes of them, and what is kept of each."""

from hypothesis import given
from hypothesis import strategies as st

from internal.api.orders import recent_orders
from internal.kernel import ids
from internal.orders.messages import Submission
from tests.unit.api.orders import waiting

PLENTY = 2**30


def large(order_id: str, note_chars: int = 5_000) -> Submission:
    return waiting.submission(order_id, "x" * note_chars)


def test_the_oldest_fall_out() -> None:
    recent = recent_orders.RecentOrders(2, PLENTY)
    for order_id in ("a", "b", "c"):
        recent.add(waiting.submission(order_id))
    assert recent.hash_of(ids.OrderRef("m1", "a")) is None
    assert recent.unrecorded(ids.OrderRef("m1", "a")) is None
    assert recent.unrecorded(ids.OrderRef("m1", "c")) == waiting.submission("c")


def test_only_the_hash_of_a_recorded_order_stays() -> None:
    recent = recent_orders.RecentOrders(2, PLENTY)
    recent.add(waiting.submission())
    recent.saw_recorded(waiting.REF, "h")
    assert recent.unrecorded(waiting.REF) is None
    assert recent.hash_of(waiting.REF) == "h"


def test_the_hash_is_that_of_the_recorded_order() -> None:
    """Another server took another order under this id, and that one was recorded."""
    recent = recent_orders.RecentOrders(2, PLENTY)
    recent.add(waiting.submission())
    recent.saw_recorded(waiting.REF, "another")
    assert recent.hash_of(waiting.REF) == "another"
    recent.saw_recorded(ids.OrderRef("m1", "unknown"), "h")
    assert recent.hash_of(ids.OrderRef("m1", "unknown")) is None


def test_large_orders_fall_out_earlier_except_for_their_hashes() -> None:
    recent = recent_orders.RecentOrders(100, 20_000)
    for number in range(10):
        recent.add(large(f"o-{number}"))
    kept = [number for number in range(10) if recent.unrecorded(ids.OrderRef("m1", f"o-{number}"))]
    assert kept == [7, 8, 9]
    assert recent.bytes_kept <= 20_000
    assert all(recent.hash_of(ids.OrderRef("m1", f"o-{number}")) for number in range(10))


def test_there_is_room_as_long_as_all_that_wait_are_kept() -> None:
    recent = recent_orders.RecentOrders(100, 40_000)
    recent.add(large("o-0"))
    assert recent.has_room(50)
    for number in range(10):
        recent.add(large(f"o-{number}"))
    assert recent.has_room(5)
    assert not recent.has_room(6)
    for number in range(10):
        recent.saw_recorded(ids.OrderRef("m1", f"o-{number}"), "h")
    assert recent.has_room(50)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "saw"]), st.integers(0, 5), st.integers(0, 3_000))
    )
)
def test_bytes_are_counted_and_bounded(steps: list[tuple[str, int, int]]) -> None:
    recent = recent_orders.RecentOrders(4, 8_000)
    for step, number, chars in steps:
        if step == "add":
            recent.add(large(f"o-{number}", chars))
        else:
            recent.saw_recorded(ids.OrderRef("m1", f"o-{number}"), "h")
        assert 0 <= recent.bytes_kept <= 8_000
    for number in range(6):
        recent.saw_recorded(ids.OrderRef("m1", f"o-{number}"), "h")
    assert recent.bytes_kept == 0
