"""Recorded orders from the database."""

from collections.abc import Sequence
from typing import TypeVar

from internal.api.orders import ports
from internal.infra import db
from internal.kernel import ids
from internal.orders import store
from internal.views import order as order_view
from internal.views import order_list

T = TypeVar("T")

QUICK_ORDERS_MAX = 10
"""Up to this many orders are looked up on the spot: within a millisecond."""


class DatabaseOrders:
    """Reads orders. Implements ports.RecordedOrders and ports.OrderViews."""

    def __init__(self, database: db.Database, limit_s: float) -> None:
        self._database, self._limit_s = database, limit_s

    async def find(self, refs: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, ports.RecordedOrder]:
        """See ports.RecordedOrders."""
        found = await self._read(lambda c: store.find(c, refs), len(refs))
        return {
            ref: ports.RecordedOrder(order.body_hash, order.state, order.version)
            for ref, order in found.items()
        }

    async def get_many(self, refs: Sequence[ids.OrderRef]) -> list[order_view.OrderView]:
        """See ports.OrderViews."""
        return await self._read(lambda c: order_view.get_many(c, refs), len(refs))

    async def find_cancellations(
        self, requests: Sequence[ports.CancelRef]
    ) -> dict[ports.CancelRef, order_view.TimelineEntry]:
        """See ports.OrderViews."""
        found = await self._read(
            lambda c: order_view.find_cancellations(c, requests), len(requests)
        )
        return {ports.CancelRef(*names): entry for names, entry in found.items()}

    async def list_page(
        self,
        merchant_id: str,
        wanted: order_list.Filter,
        page: order_list.Page | None,
        orders_max: int,
    ) -> order_list.Listing:
        """See ports.OrderViews."""
        return await self._database.read(
            lambda c: order_list.list_page(c, merchant_id, wanted, page, orders_max),
            limit_s=self._limit_s,
        )

    async def _read(self, work: db.Work[T], orders: int) -> T:
        is_quick = orders <= QUICK_ORDERS_MAX
        return await self._database.read(work, is_quick=is_quick, limit_s=self._limit_s)
