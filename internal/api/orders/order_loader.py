"""Loads what is known of an order now: from the database, or else from the recent submissions.

Requests that come while a read is under way share the next read.
"""

import asyncio
from functools import partial

from internal.api.orders import ports, recent_orders
from internal.kernel import ids
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView

READ_ORDERS_MAX = 200
"""Orders in one read: a few milliseconds of the database's time."""

Waiting = dict[ids.OrderRef, asyncio.Future[OrderView | None]]


class OrderLoader:
    """Loads orders for the calls that ask for them."""

    def __init__(self, views: ports.OrderViews, recent: recent_orders.RecentOrders) -> None:
        self._views, self._recent = views, recent
        self._waiting: Waiting = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, ref: ids.OrderRef) -> OrderView | OrderPlaced | None:
        """Return an order as it is recorded; as it was placed, if it is not; None if unknown.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        before = self._recent.unrecorded(ref)
        view = await self.recorded(ref)
        if view and before:
            self._recent.saw_recorded(ref, view.body_hash)
        return view or before

    async def recorded(self, ref: ids.OrderRef) -> OrderView | None:
        """Return an order as it is recorded.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        future = self._waiting.get(ref)
        if future is None:
            future = self._waiting[ref] = asyncio.get_running_loop().create_future()
        self._start()
        return await asyncio.shield(future)

    def _start(self) -> None:
        if self._task or not self._waiting:
            return
        refs = list(self._waiting)[:READ_ORDERS_MAX]
        batch = {ref: self._waiting.pop(ref) for ref in refs}
        self._task = asyncio.create_task(self._read(batch))
        self._task.add_done_callback(partial(self._done, batch))

    async def _read(self, batch: Waiting) -> None:
        views = await self._views.get_many(list(batch))
        found = {(view.merchant_id, view.order_id): view for view in views}
        for ref, future in batch.items():
            future.set_result(found.get(ref))

    def _done(self, batch: Waiting, task: asyncio.Task[None]) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        for future in batch.values():
            if error and not future.done():
                future.set_exception(error)
                future.exception()  # no call may be waiting any more
        self._start()
