"""The business days of a store's orders."""

import sqlalchemy as sa

from internal.orders import days
from tests.support import shop, staged_orders


def test_the_newest_day_is_found(any_database: sa.Connection) -> None:
    shop.open_for_business(any_database)
    assert days.newest(any_database, shop.MERCHANT, shop.STORE) is None
    staged_orders.StagedOrders(any_database).carry(shop.placed("o"), shop.placed("p"))
    any_database.exec_driver_sql("UPDATE orders SET business_day = 20231101 WHERE order_id = 'p'")
    assert days.newest(any_database, shop.MERCHANT, shop.STORE) == 20231114
    assert days.newest(any_database, shop.MERCHANT, "elsewhere") is None
