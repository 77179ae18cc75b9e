"""The desk between calls and the bus: natural batching, and the word on retries.

Whatever waits goes out together, one message per shard; nobody waits for company. An order is
answered OK only after the broker's receipt. Two drafts under one id are told apart by their body's
hash: here for orders under way, in memory and in the database for earlier ones. The order stage has
the final word, so a look-up that fails holds nothing up.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec
from loguru import logger

from internal.api import metrics, options
from internal.api.orders import ports, recent_orders
from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors, ids
from internal.kernel.states import OrderState
from internal.orders.messages import OrderPlaced


class Placed(msgspec.Struct, frozen=True):
    """The broker has it. Version 0: no more is known than that."""

    replayed: bool = False
    state: OrderState = OrderState.PLACED
    version: int = 0


class Conflicting(msgspec.Struct, frozen=True):
    """Another order stands under this id; it is untouched."""


class Unplaced(msgspec.Struct, frozen=True):
    """No receipt came; the id is free for another try."""

    error: errors.Temporary


Verdict = Placed | Conflicting | Unplaced

LOOKUP_PAUSE_S = 1.0
"""After a look-up without an answer, the next batches go without one for this long."""


class PendingCall:
    """One call's orders: its future is done when the last of them has a verdict."""

    def __init__(self, orders: int) -> None:
        self.verdicts: list[Verdict | None] = [None] * orders
        self.open_orders = orders
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, verdict: Verdict) -> None:
        """Note the verdict on one order."""
        self.verdicts[place] = verdict
        self.open_orders -= 1
        if self.open_orders == 0 and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        if not self.future.done():
            self.future.set_exception(error)


class PendingOrder:
    """One order at the desk, and those that came under the same name while it was there."""

    __slots__ = ("fact", "followers", "name", "place", "settled", "ticket")

    def __init__(self, fact: OrderPlaced, ticket: PendingCall, place: int) -> None:
        self.fact, self.ticket, self.place = fact, ticket, place
        self.name = ids.OrderRef(fact.merchant_id, fact.order_id)
        self.followers: list[PendingOrder] = []
        self.settled = False


class SubmissionBatcher:
    """Takes orders from calls and puts them on the bus."""

    def __init__(
        self,
        publisher: bus.Publisher,
        recorded: ports.RecordedOrders,
        remembered: recent_orders.RecentOrders,
        limits: options.Limits,
    ) -> None:
        self._publisher, self._recorded, self._recent = publisher, recorded, remembered
        self._limits = limits
        self._queue: deque[PendingOrder] = deque()
        self._open: dict[ids.OrderRef, PendingOrder] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._is_called = False
        self._no_lookup_until_s = 0.0

    @property
    def open_orders(self) -> int:
        """Count the orders that wait or are on their way to the broker."""
        return len(self._open)

    async def submit(self, facts: Sequence[OrderPlaced]) -> list[Verdict]:
        """Return a verdict per order, in their order, once the broker has those that are new.

        A caller that gives up in between leaves it open whether its orders were placed.

        Raises:
            Overloaded: too many wait already; none of these was taken.
        """
        if len(self._queue) + len(facts) > self._limits.queue_orders_max:
            what = f"{len(self._queue)} orders wait for the broker"
            raise errors.Overloaded(what, self._limits.retry_after_s)
        ticket = PendingCall(len(facts))
        for place, fact in enumerate(facts):
            self._enqueue(PendingOrder(fact, ticket, place))
        self._call()
        await ticket.future
        return [verdict for verdict in ticket.verdicts if verdict is not None]

    def _enqueue(self, slot: PendingOrder) -> None:
        first = self._open.setdefault(slot.name, slot)
        if first is slot:
            self._queue.append(slot)
        else:
            first.followers.append(slot)

    async def drain(self) -> None:
        """Return when nothing waits or is on its way any more."""
        while self._flights or self._queue:
            await asyncio.wait(self._flights) if self._flights else await asyncio.sleep(0)

    def _call(self) -> None:
        """See to it that a batch leaves, once everybody who has something now has queued up."""
        is_free = len(self._flights) < self._limits.batches_in_flight_max
        if self._queue and is_free and not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._leave)

    def _leave(self) -> None:
        self._is_called = False
        batch = self._take()
        if batch:
            flight = asyncio.create_task(self._place(batch))
            self._flights.add(flight)
            flight.add_done_callback(partial(self._landed, batch))
        self._call()

    def _take(self) -> list[PendingOrder]:
        batch: list[PendingOrder] = []
        while self._queue and len(batch) < self._limits.batch_orders_max:
            slot = self._queue.popleft()
            if slot.ticket.future.cancelled() and not slot.followers:
                del self._open[slot.name]
            else:
                batch.append(slot)
        return batch

    async def _place(self, batch: Sequence[PendingOrder]) -> None:
        known = await self._look_up([slot.name for slot in batch])
        fresh = [slot for slot in batch if not self._is_replay(slot, known.get(slot.name))]
        if fresh:
            facts = [slot.fact for slot in fresh]
            await self._publisher.publish(topics.ENVELOPE.pack(facts))
            metrics.DESK_BATCH_ORDERS.observe(len(facts))
            for slot in fresh:
                self._recent.add(slot.fact)
                self._settle(slot, slot.fact.body_hash, Placed())

    async def _look_up(self, names: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, ports.Known]:
        if time.monotonic() < self._no_lookup_until_s:
            return {}
        try:
            async with asyncio.timeout(self._limits.lookup_s):
                return await self._recorded.find(names)
        except (errors.DatabaseAway, TimeoutError) as error:
            self._no_lookup_until_s = time.monotonic() + LOOKUP_PAUSE_S
            logger.warning("orders are taken without a look at those recorded: {!r}", error)
            return {}

    def _is_replay(self, slot: PendingOrder, known: ports.Known | None) -> bool:
        """Settle an order that was placed before; tell whether it was."""
        if known:
            self._recent.saw_recorded(slot.name)
            self._settle(
                slot,
                known.body_hash,
                Placed(replayed=True, state=known.state, version=known.version),
            )
            return True
        remembered = self._recent.hash_of(slot.name)
        if remembered:
            self._settle(slot, remembered, Placed(replayed=True))
        return remembered is not None

    def _settle(self, slot: PendingOrder, body_hash: str, placed: Placed) -> None:
        """Give an order and its followers their verdicts; `body_hash` stands under the id."""
        slot.settled = True
        del self._open[slot.name]
        same = slot.fact.body_hash == body_hash
        slot.ticket.settle(slot.place, placed if same else Conflicting())
        again = msgspec.structs.replace(placed, replayed=True)
        for follower in slot.followers:
            same = follower.fact.body_hash == body_hash
            follower.ticket.settle(follower.place, again if same else Conflicting())

    def _landed(self, batch: Sequence[PendingOrder], task: asyncio.Task[None]) -> None:
        """Make way for the next batch; answer those that this one leaves without a verdict."""
        self._flights.discard(task)
        self._call()
        error = None if task.cancelled() else task.exception()
        for slot in _with_followers(slot for slot in batch if not slot.settled):
            self._open.pop(slot.name, None)
            if isinstance(error, errors.Temporary):
                slot.ticket.settle(slot.place, Unplaced(error))
            else:
                slot.ticket.fail(error or asyncio.CancelledError())


def _with_followers(slots: Iterable[PendingOrder]) -> Iterable[PendingOrder]:
    for slot in slots:
        yield slot
        yield from slot.followers
