"""What the tests of waiting calls share: a notifier, a loader and a follower over memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from internal.api import options
from internal.api.orders import notifier, order_loader, recent_orders, watch
from internal.flow import topics
from internal.kernel import ids
from internal.orders.messages import OrderPlaced, Submission
from internal.privacy.messages import Private
from tests.unit.api import memory

REF = ids.OrderRef("m1", "o-1")


def fact(order_id: str = "o-1") -> OrderPlaced:
    return OrderPlaced("m1", order_id, "s-1", "EUR", (), (), "h", 0)


def submission(order_id: str = "o-1", note: str = "") -> Submission:
    return Submission(fact(order_id), Private(note))


class Rig:
    """A notifier that listens, and a follower on top of it."""

    def __init__(self, reread_s: float, kind: type[memory.MemoryOrders]) -> None:
        self.bus = memory.MemoryBus()
        self.orders = kind(self.bus)
        self.recent = recent_orders.RecentOrders(100, 2**20)
        self.notifier = notifier.OrderNotifier(self.bus)
        self.loader = order_loader.OrderLoader(self.orders, self.orders, self.recent)
        limits = options.Limits(reread_s=reread_s)
        self.follower = watch.Follower(self.loader, self.notifier, limits)
        self.task = asyncio.create_task(self.notifier.run())

    def follow(
        self, timeout_s: float = 5, *, look_at_once: bool = True
    ) -> asyncio.Task[watch.Known]:
        return asyncio.create_task(self._follow(timeout_s, look_at_once=look_at_once))

    async def _follow(self, timeout_s: float, *, look_at_once: bool) -> watch.Known:
        by_s = asyncio.get_running_loop().time() + timeout_s
        with self.follower.listen(REF, topics.ENDED) as listener:
            assert listener
            return await listener.until(watch.is_ended, by_s, look_at_once=look_at_once)


@asynccontextmanager
async def running_rig(
    reread_s: float = 60, kind: type[memory.MemoryOrders] = memory.MemoryOrders
) -> AsyncIterator[Rig]:
    built = Rig(reread_s, kind)
    await asyncio.sleep(0)
    try:
        yield built
    finally:
        built.task.cancel()
        await asyncio.wait([built.task])


async def turns(count: int = 20) -> None:
    """Let all other tasks run."""
    for _ in range(count):
        await asyncio.sleep(0)
