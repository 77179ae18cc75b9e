"""Recent orders: how many are kept, and what is kept of each."""

from internal.api.orders import recent_orders
from internal.kernel import ids
from tests.unit.api.orders import waiting


def test_the_oldest_fall_out() -> None:
    recent = recent_orders.RecentOrders(2)
    for order_id in ("a", "b", "c"):
        recent.add(waiting.fact(order_id))
    assert recent.hash_of(ids.OrderRef("m1", "a")) is None
    assert recent.unrecorded(ids.OrderRef("m1", "a")) is None
    assert recent.unrecorded(ids.OrderRef("m1", "c")) == waiting.fact("c")


def test_only_the_hash_of_a_recorded_order_stays() -> None:
    recent = recent_orders.RecentOrders(2)
    recent.add(waiting.fact())
    recent.saw_recorded(waiting.REF)
    assert recent.unrecorded(waiting.REF) is None
    assert recent.hash_of(waiting.REF) == "h"
