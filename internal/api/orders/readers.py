"""Recorded orders from the database."""

from collections.abc import Sequence
from typing import TypeVar

from internal.api.orders import ports
from internal.infra import bulk, db
from internal.kernel import ids
from internal.orders import store
from internal.requests import store as requests_store
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
        return _recorded(await self._read(lambda c: store.find(c, refs), len(refs)))

    async def get_many(self, refs: Sequence[ids.OrderRef]) -> list[order_view.OrderView]:
        """See ports.OrderViews."""
        return await self._read(lambda c: order_view.get_many(c, refs), len(refs))

    async def find_commands(
        self, refs: Sequence[ports.CommandRef]
    ) -> dict[ports.CommandRef, ports.KnownCommand]:
        """See ports.OrderViews."""
        orders = store.query_of(list({ref.order for ref in refs}))
        requests = requests_store.query_of([ref.request for ref in refs])
        found, asked = await self._read(
            lambda c: bulk.select_many(c, [orders, requests]), len(refs)
        )
        recorded = _recorded(store.found_in(found))
        commands = requests_store.found_in(asked)
        return {
            ref: ports.KnownCommand(recorded.get(ref.order), commands.get(ref.request))
            for ref in refs
        }

    async def count_waiting(self, merchant_id: str, most: int) -> int:
        """See ports.OrderViews."""
        return await self._database.read(
            lambda c: requests_store.count_waiting(c, merchant_id, most), limit_s=self._limit_s
        )

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


def _recorded(
    found: dict[ids.OrderRef, store.OrderSnapshot],
) -> dict[ids.OrderRef, ports.RecordedOrder]:
    return {
        ref: ports.RecordedOrder(order.body_hash, order.state, order.version)
        for ref, order in found.items()
    }
