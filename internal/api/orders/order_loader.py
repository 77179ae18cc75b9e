"""Loads what is known of an order now: from the database, or else from the recent submissions.

Requests that come while a read is under way share the next read. A call that waits looks at an
order's version, which costs little, and loads the whole order only when there is news.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from internal.api.orders import ports, recent_orders
from internal.kernel import ids
from internal.orders.messages import Submission
from internal.views.order import OrderView

READ_ORDERS_MAX = 200
"""Orders in one read: a few milliseconds of the database's time."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """Reads of one kind, one at a time; each takes all keys that were asked for meanwhile."""

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return what a read that begins after this call finds under the key.

        Raises:
            DatabaseAway: as the read does.
        """
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._start()
        return await asyncio.shield(future)

    def _start(self) -> None:
        if self._task or not self._waiting:
            return
        keys = list(self._waiting)[:READ_ORDERS_MAX]
        batch = {key: self._waiting.pop(key) for key in keys}
        self._task = asyncio.create_task(self._run(batch))
        self._task.add_done_callback(partial(self._done, batch))

    async def _run(self, batch: Mapping[K, "asyncio.Future[V | None]"]) -> None:
        found = await self._read(list(batch))
        for key, future in batch.items():
            future.set_result(found.get(key))

    def _done(
        self, batch: Mapping[K, "asyncio.Future[V | None]"], task: asyncio.Task[None]
    ) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        for future in batch.values():
            if error and not future.done():
                future.set_exception(error)
                future.exception()  # no call may be waiting any more
        self._start()


class OrderLoader:
    """Loads orders for the calls that ask for them."""

    def __init__(
        self,
        views: ports.OrderViews,
        orders: ports.RecordedOrders,
        recent: recent_orders.RecentOrders,
    ) -> None:
        self._views, self._recent = views, recent
        self._whole = SharedReads(self._get_many)
        self._current = SharedReads(orders.find)
        self._commands = SharedReads(views.find_commands)

    async def get(self, ref: ids.OrderRef) -> OrderView | Submission | None:
        """Return an order as it is recorded; as it was placed, if it is not; None if unknown.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        before = self._recent.unrecorded(ref)
        view = await self.recorded(ref)
        if view and before:
            self._recent.saw_recorded(ref, view.body_hash)
        return view or before

    def is_recent(self, ref: ids.OrderRef) -> bool:
        """Tell whether an order was answered OK here lately; it may not be recorded yet."""
        return self._recent.has(ref)

    async def recorded(self, ref: ids.OrderRef) -> OrderView | None:
        """Return an order as it is recorded.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        return await self._whole.get(ref)

    async def current(self, ref: ids.OrderRef) -> ports.RecordedOrder | None:
        """Return a recorded order's state and version.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        return await self._current.get(ref)

    async def command(self, ref: ports.CommandRef) -> ports.KnownCommand:
        """Return what is recorded of a command and of its order.

        Raises:
            DatabaseAway: they cannot be read now.
        """
        return await self._commands.get(ref) or ports.KnownCommand()

    async def _get_many(self, refs: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, OrderView]:
        views = await self._views.get_many(refs)
        return {ids.OrderRef(view.merchant_id, view.order_id): view for view in views}
