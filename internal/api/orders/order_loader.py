"""What is known of an order now: the database's word, or else what this door answered OK lately.

Looks that come while one is under way go together in the next one.
"""

import asyncio
from functools import partial

from internal.api.orders import ports, recent_orders
from internal.kernel import ids
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView

NAMES_MAX = 200
"""Orders in one read: a few milliseconds of the database's time."""

Waiting = dict[ids.OrderRef, asyncio.Future[OrderView | None]]


class OrderLoader:
    """Reads orders for the calls that ask for them."""

    def __init__(self, views: ports.OrderViews, remembered: recent_orders.RecentOrders) -> None:
        self._views, self._recent = views, remembered
        self._waiting: Waiting = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, name: ids.OrderRef) -> OrderView | OrderPlaced | None:
        """Return an order as it is recorded; as it was placed, if it is not; None if unknown.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        before = self._recent.unrecorded(name)
        view = await self.recorded(name)
        if view and before:
            self._recent.saw_recorded(name)
        return view or before

    async def recorded(self, name: ids.OrderRef) -> OrderView | None:
        """Return an order as it is recorded.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        future = self._waiting.get(name)
        if future is None:
            future = self._waiting[name] = asyncio.get_running_loop().create_future()
        self._start()
        return await asyncio.shield(future)

    def _start(self) -> None:
        if self._task or not self._waiting:
            return
        names = list(self._waiting)[:NAMES_MAX]
        batch = {name: self._waiting.pop(name) for name in names}
        self._task = asyncio.create_task(self._read(batch))
        self._task.add_done_callback(partial(self._done, batch))

    async def _read(self, batch: Waiting) -> None:
        views = await self._views.get_many(list(batch))
        found = {(view.merchant_id, view.order_id): view for view in views}
        for name, future in batch.items():
            future.set_result(found.get(name))

    def _done(self, batch: Waiting, task: asyncio.Task[None]) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        for future in batch.values():
            if error and not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting any more
        self._start()
