"""The door's ports to recorded orders, over the database."""

from collections.abc import Sequence

from internal.api.orders import ports
from internal.infra import db
from internal.kernel import ids
from internal.orders import store
from internal.views import order as order_view

QUICK_NAMES_MAX = 10
"""So many orders are looked up on the spot: within a millisecond."""


class DatabaseOrders:
    """Reads orders. Implements ports.RecordedOrders and ports.OrderViews."""

    def __init__(self, database: db.Database) -> None:
        self._database = database

    async def find(self, names: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, ports.Known]:
        """See ports.RecordedOrders."""
        is_quick = len(names) <= QUICK_NAMES_MAX
        found = await self._database.read(lambda c: store.find(c, names), is_quick=is_quick)
        return {
            name: ports.Known(order.body_hash, order.state, order.version)
            for name, order in found.items()
        }

    async def get_many(self, names: Sequence[ids.OrderRef]) -> list[order_view.OrderView]:
        """See ports.OrderViews."""
        is_quick = len(names) <= QUICK_NAMES_MAX
        return await self._database.read(lambda c: order_view.get_many(c, names), is_quick=is_quick)

    async def list_page(
        self,
        merchant_id: str,
        wanted: order_view.Filter,
        page: order_view.Page | None,
        orders_max: int,
    ) -> list[order_view.OrderView]:
        """See ports.OrderViews."""
        return await self._database.read(
            lambda c: order_view.list_page(c, merchant_id, wanted, page, orders_max)
        )
