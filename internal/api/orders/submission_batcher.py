"""Collects the orders of many calls, publishes them in batches, and recognises repeated ones.

All orders that wait leave together, one message per shard; no order waits for others to come. An
order is answered OK only after the broker's receipt. Two drafts with the same id are compared by
their body's hash: with open orders here, with earlier ones in memory and in the database. The order
stage decides in the end, so a failed look-up delays nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec
from loguru import logger

from internal.api import options
from internal.api.orders import metrics, ports, recent_orders
from internal.flow import topics
from internal.infra import bus
from internal.infra import metrics as infra_metrics
from internal.kernel import errors, ids
from internal.kernel.states import OrderState
from internal.orders.messages import Submission


class Placed(msgspec.Struct, frozen=True):
    """The broker has the order. At version 0 nothing more is known."""

    replayed: bool = False
    state: OrderState = OrderState.PLACED
    version: int = 0


class Conflicting(msgspec.Struct, frozen=True):
    """The id is taken by another order, which stays as it is."""


class Unplaced(msgspec.Struct, frozen=True):
    """No receipt came; the id is free for another try."""

    error: errors.Temporary


Verdict = Placed | Conflicting | Unplaced

LOOKUP_PAUSE_S = 1.0
"""After a look-up without an answer, batches leave without one for this long."""


class PendingCall:
    """One call's orders: its future is done when the last of them has a verdict."""

    def __init__(self, orders: int) -> None:
        self.verdicts: list[Verdict | None] = [None] * orders
        self.open_orders = orders
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, index: int, verdict: Verdict) -> None:
        """Note the verdict on one order."""
        self.verdicts[index] = verdict
        self.open_orders -= 1
        if self.open_orders == 0 and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        if not self.future.done():
            self.future.set_exception(error)


class PendingOrder:
    """One order without a verdict yet, and those that came later under the same id."""

    __slots__ = ("call", "fact", "index", "is_answered", "later", "ref", "submission")

    def __init__(self, submission: Submission, call: PendingCall, index: int) -> None:
        self.submission, self.call, self.index = submission, call, index
        self.fact = submission.placed
        self.ref = ids.OrderRef(self.fact.merchant_id, self.fact.order_id)
        self.later: list[PendingOrder] = []
        self.is_answered = False


class SubmissionBatcher:
    """Takes orders from calls and publishes them."""

    def __init__(
        self,
        publisher: bus.Publisher,
        recorded: ports.RecordedOrders,
        recent: recent_orders.RecentOrders,
        limits: options.Limits,
    ) -> None:
        self._publisher, self._recorded, self._recent = publisher, recorded, recent
        self._limits = limits
        self._queue: deque[PendingOrder] = deque()
        self._queued_lines = 0
        self._open: dict[ids.OrderRef, PendingOrder] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        self._is_scheduled = False
        self._no_lookup_until_s = 0.0

    @property
    def open_orders(self) -> int:
        """Count the orders that wait or are on their way to the broker."""
        return len(self._open)

    async def submit(self, submissions: Sequence[Submission]) -> list[Verdict]:
        """Return one verdict per order, in the same order, once the broker has the new ones.

        If the caller gives up before that, its orders may or may not be placed.

        Raises:
            Overloaded: too many orders wait already; none of these was taken.
        """
        self._require_room(submissions)
        call = PendingCall(len(submissions))
        for index, submission in enumerate(submissions):
            self._enqueue(PendingOrder(submission, call, index))
        self._schedule()
        await call.future
        return [verdict for verdict in call.verdicts if verdict is not None]

    def _require_room(self, submissions: Sequence[Submission]) -> None:
        """Raise Overloaded if the queue has no room for these orders, or none for their lines."""
        orders = len(self._queue) + len(submissions)
        lines = self._queued_lines + sum(len(it.placed.lines) for it in submissions)
        if orders > self._limits.queue_orders_max or lines > self._limits.queue_lines_max:
            what = f"{len(self._queue)} orders wait for the broker"
            raise errors.Overloaded(what, self._limits.retry_after_s)

    def _enqueue(self, order: PendingOrder) -> None:
        first = self._open.setdefault(order.ref, order)
        if first is order:
            self._queue.append(order)
            self._queued_lines += len(order.fact.lines)
        else:
            first.later.append(order)

    async def drain(self) -> None:
        """Return when no order waits or is on its way any more."""
        while self._in_flight or self._queue:
            await asyncio.wait(self._in_flight) if self._in_flight else await asyncio.sleep(0)

    def _schedule(self) -> None:
        """Let a batch leave, after the calls that can run now have added their orders."""
        is_free = len(self._in_flight) < self._limits.batches_in_flight_max
        if self._queue and is_free and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._start_batch)

    def _start_batch(self) -> None:
        self._is_scheduled = False
        batch = self._take()
        if batch:
            task = asyncio.create_task(self._place(batch))
            self._in_flight.add(task)
            task.add_done_callback(partial(self._end_batch, batch))
        self._schedule()

    def _take(self) -> list[PendingOrder]:
        """Take a batch from the queue; skip the orders that no call waits for any more."""
        batch: list[PendingOrder] = []
        while self._queue and len(batch) < self._limits.batch_orders_max:
            order = self._queue.popleft()
            self._queued_lines -= len(order.fact.lines)
            if order.call.future.cancelled() and not order.later:
                del self._open[order.ref]
            else:
                batch.append(order)
        return batch

    async def _place(self, batch: Sequence[PendingOrder]) -> None:
        recorded = await self._find_recorded([order.ref for order in batch])
        new = [
            order for order in batch if not self._answer_if_replayed(order, recorded.get(order.ref))
        ]
        if new:
            placed, private = zip(*(order.submission for order in new), strict=True)
            messages = topics.ENVELOPE.pack(placed, self._publisher.shard_keys, private)
            await self._publisher.publish(messages)
            metrics.BATCH_ORDERS.observe(len(placed))
            for order in new:
                self._recent.add(order.submission)
                self._answer(order, order.fact.body_hash, Placed())

    async def _find_recorded(
        self, refs: Sequence[ids.OrderRef]
    ) -> dict[ids.OrderRef, ports.RecordedOrder]:
        if time.monotonic() < self._no_lookup_until_s:
            return {}
        try:
            async with asyncio.timeout(self._limits.lookup_s):
                return await self._recorded.find(refs)
        except (errors.DatabaseAway, TimeoutError) as error:
            self._no_lookup_until_s = time.monotonic() + LOOKUP_PAUSE_S
            logger.bind(seldom="recorded").warning(
                "orders are taken without a look at those recorded: {!r}", error
            )
            return {}

    def _answer_if_replayed(
        self, order: PendingOrder, recorded: ports.RecordedOrder | None
    ) -> bool:
        """Answer an order that was placed before; tell whether it was."""
        if recorded:
            self._recent.saw_recorded(order.ref, recorded.body_hash)
            self._answer(
                order,
                recorded.body_hash,
                Placed(replayed=True, state=recorded.state, version=recorded.version),
            )
            return True
        body_hash = self._recent.hash_of(order.ref)
        if body_hash:
            self._answer(order, body_hash, Placed(replayed=True))
        return body_hash is not None

    def _answer(self, order: PendingOrder, body_hash: str, placed: Placed) -> None:
        """Give verdicts to an order and the later ones under its id, which has `body_hash`."""
        order.is_answered = True
        del self._open[order.ref]
        is_same = order.fact.body_hash == body_hash
        order.call.answer(order.index, placed if is_same else Conflicting())
        again = msgspec.structs.replace(placed, replayed=True)
        for later in order.later:
            is_same = later.fact.body_hash == body_hash
            later.call.answer(later.index, again if is_same else Conflicting())

    def _end_batch(self, batch: Sequence[PendingOrder], task: asyncio.Task[None]) -> None:
        """Make way for the next batch; answer the orders that this one left without a verdict."""
        self._in_flight.discard(task)
        self._schedule()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, errors.Temporary):
            _tell_unplaced(len(batch), error)
        for order in _with_later_ones(order for order in batch if not order.is_answered):
            self._open.pop(order.ref, None)
            if isinstance(error, errors.Temporary):
                order.call.answer(order.index, Unplaced(error))
            else:
                order.call.fail(error or asyncio.CancelledError())


def _tell_unplaced(orders: int, error: errors.Temporary) -> None:
    """Say that the broker takes nothing, also when no caller has waited long enough to be told."""
    infra_metrics.RETRIES.labels("intake", type(error).__name__).inc()
    logger.bind(seldom="unplaced", orders=orders).warning("orders are not placed: {!r}", error)


def _with_later_ones(orders: Iterable[PendingOrder]) -> Iterable[PendingOrder]:
    for order in orders:
        yield order
        yield from order.later
