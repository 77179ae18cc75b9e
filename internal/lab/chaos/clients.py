"""Tills that send orders whatever happens to the engine, and keep a log of what they were told.

A till repeats an order under the same id until it is answered, as a good till does; now and then
one gives up, so that orders of unknown fate occur too. Some wait for the end, some cancel.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator

from internal.client import client, sender
from internal.client.access import Access
from internal.lab.workload import generator, scenarios
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2, order_service_pb2

TILLS = 12
BATCH_ORDERS_MAX = 20
CALL_S = 30.0
GIVES_UP_ONE_IN = 20
WAITS_ONE_IN = 10
CANCELS_ONE_IN = 10
LOOK_EVERY_S = 0.003
RETRIED = sender.RETRIED
FINALIZED = order_service_pb2.WAIT_FOR_FINALIZED
NO_WAIT = order_service_pb2.WAIT_FOR_UNSPECIFIED

TERMINAL = frozenset(
    {
        order_pb2.ORDER_STATE_FINALIZED,
        order_pb2.ORDER_STATE_REJECTED,
        order_pb2.ORDER_STATE_CANCELLED,
    }
)
CANCEL_TRIES_MAX = 200

Parcel = list[generator.Submission]


class Log:
    """What the tills know. An order is in `placed` from its first OK on, for ever."""

    def __init__(self) -> None:
        self.placed: dict[str, Kind] = {}
        self.given_up: set[str] = set()
        """The till's last answer was an error: these may or may not exist."""
        self.refused: set[str] = set()
        self.drafts: dict[str, dict[bytes, order_pb2.OrderDraft]] = {}
        """All bodies that were sent under an id, by their bytes."""
        self.retries: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.told: dict[str, int] = {}
        """The terminal state that a till was told: an order_pb2.OrderState."""
        self.wished_away: set[str] = set()
        self.cancelled: set[str] = set()
        self.not_cancelled: set[str] = set()
        """Wishes that came too late."""
        self.versions: dict[str, int] = {}
        """The newest version of an order that anybody saw."""
        self.answers = 0

    @property
    def unsure(self) -> set[str]:
        """Orders of which there may be one or none."""
        return self.given_up - self.placed.keys()

    def sent(self, made: generator.Submission) -> None:
        """Note an order before it goes out."""
        bodies = self.drafts.setdefault(made.draft.order_id, {})
        bodies[made.draft.SerializeToString(deterministic=True)] = made.draft

    def answered(self, made: generator.Submission, answer: client.Answer) -> None:
        """Note the door's last word on an order."""
        self.answers += 1
        order_id = made.draft.order_id
        if answer.is_ok:
            kind = Kind.ORDINARY if made.kind in scenarios.REPEATS else made.kind
            self.placed.setdefault(order_id, kind)
            if answer.state in TERMINAL:
                self.told[order_id] = answer.state
        elif answer.code in RETRIED:
            self.given_up.add(order_id)
        elif self._may_refuse(made, answer.code):
            self.refused.add(order_id)
        else:
            self.surprises.append(f"{order_id} ({made.kind}): {answer.code} {answer.text}")

    def cancel_answered(self, order_id: str, code: str) -> bool:
        """Note the door's word on a wish to cancel; tell whether it was one."""
        if code == client.OK:
            self.cancelled.add(order_id)
        elif code == "FAILED_PRECONDITION":
            self.not_cancelled.add(order_id)
        elif code in RETRIED or code == "NOT_FOUND":
            return False  # after a crash an order may be unknown until it is recorded again
        else:
            self.surprises.append(f"cancelling {order_id}: {code}")
        return True

    def _may_refuse(self, made: generator.Submission, code: str) -> bool:
        """Tell what an honest door may refuse: also the later one of two bodies under one id."""
        if code == "ALREADY_EXISTS":
            return len(self.drafts[made.draft.order_id]) > 1
        return code == "INVALID_ARGUMENT" and made.kind is Kind.INVALID

    def looked(self, order: order_pb2.Order) -> None:
        """Note an order as somebody saw it; it must never be older than what was seen before."""
        before = self.versions.get(order.order_id, 0)
        if order.version < before:
            self.surprises.append(f"{order.order_id} went from {before} back to {order.version}")
        self.versions[order.order_id] = max(before, order.version)


class Pace:
    """How fast a crew sends new orders and looks at old ones; as fast as it can by itself."""

    def __init__(
        self, orders_per_s: float | None = None, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self.look_every_s = look_every_s
        self._order_s = 1 / orders_per_s if orders_per_s else 0.0
        self._next_s = 0.0

    async def turn(self, orders_at_once: int) -> None:
        """Wait until so many orders may go out. Time that was missed is not made up for."""
        now_s = time.perf_counter()
        wait_s = max(0.0, self._next_s - now_s)
        self._next_s = max(self._next_s, now_s) + orders_at_once * self._order_s
        await asyncio.sleep(wait_s)


class Crew:
    """All tills of a run. They send while they are connected, and wait while they are not."""

    def __init__(
        self, dealt: Iterator[generator.Submission], seed: int, pace: Pace | None = None
    ) -> None:
        self.log = Log()
        self._pace = pace or Pace()
        self._chance = random.Random(seed)  # noqa: S311 - no secrets: when a till does what
        self._dealt, self._again = dealt, deque[Parcel]()
        self._connections: list[client.Client] = []
        self._is_open = asyncio.Event()
        self._progress = asyncio.Condition()

    def connect(self, access: Access) -> None:
        """Let the tills send there."""
        self._connections.append(client.Client(access))
        self._is_open.set()

    def disconnect(self) -> None:
        """Hold the tills back: nobody is there."""
        self._is_open.clear()

    async def aclose(self) -> None:
        """Close every connection there was."""
        await asyncio.gather(*(connection.aclose() for connection in self._connections))

    def finish(self, more: int) -> None:
        """Send so many orders more, and those that wait for a repetition, and no others."""
        self._dealt = itertools.islice(self._dealt, more)

    async def answered(self, answers: int) -> None:
        """Wait until the tills have had so many last words."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.log.answers >= answers)

    async def work(self) -> None:
        """Send everything."""
        await asyncio.gather(*(self._serve() for _ in range(TILLS)))

    async def look(self) -> None:
        """Look at orders that were answered OK, at any of them at any time, until cancelled."""
        while True:
            await asyncio.sleep(self._pace.look_every_s)
            await self._is_open.wait()
            if self.log.placed:
                order_id = self._chance.choice(list(self.log.placed))
                order = await self._connections[-1].get(order_id, CALL_S)
                if not isinstance(order, client.Failure):
                    self.log.looked(order)

    async def _serve(self) -> None:
        while parcel := self._next():
            await self._pace.turn(len(parcel))
            await self._is_open.wait()
            answers = await self._submit(parcel)
            left = [
                made
                for made, answer in zip(parcel, answers, strict=True)
                if not self._is_settled(made, answer)
            ]
            if len(parcel) == 1 and answers[0].is_ok and self._one_in(CANCELS_ONE_IN):
                await self._cancel(parcel[0].draft.order_id)
            if left:
                self._again.append(left)
                await asyncio.sleep(self._chance.uniform(0.01, 0.05))
            async with self._progress:
                self._progress.notify_all()

    async def _submit(self, parcel: Parcel) -> list[client.Answer]:
        is_waiting = len(parcel) == 1 and self._one_in(WAITS_ONE_IN)
        drafts = [made.draft for made in parcel]
        wait_for = FINALIZED if is_waiting else NO_WAIT
        return await sender.submit(self._connections[-1], drafts, CALL_S, wait_for)

    async def _cancel(self, order_id: str) -> None:
        """Wish an order away until there is an answer, or until it seems to be unknown for good."""
        self.log.wished_away.add(order_id)
        request = order_service_pb2.CancelOrderRequest(order_id=order_id, request_id="undo")
        for _ in range(CANCEL_TRIES_MAX):
            await self._is_open.wait()
            reply = await self._connections[-1].cancel(request, CALL_S)
            code = reply.code if isinstance(reply, client.Failure) else client.OK
            if self.log.cancel_answered(order_id, code):
                return
            await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    def _is_settled(self, made: generator.Submission, answer: client.Answer) -> bool:
        if answer.code in RETRIED and not self._one_in(GIVES_UP_ONE_IN):
            self.log.retries[answer.code] += 1
            return False
        self.log.answered(made, answer)
        return True

    def _one_in(self, times: int) -> bool:
        return not self._chance.randrange(times)

    def _next(self) -> Parcel:
        if self._again and self._is_open.is_set():
            return self._again.popleft()
        size = self._chance.choice((1, 1, 1, self._chance.randint(2, BATCH_ORDERS_MAX)))
        parcel = list(itertools.islice(self._dealt, size))
        for made in parcel:
            self.log.sent(made)
        return parcel or (self._again.popleft() if self._again else [])


@contextlib.asynccontextmanager
async def working(crew: Crew) -> AsyncIterator[asyncio.Task[None]]:
    """Let a crew work and look; yields the task that ends when all orders are answered."""
    looking, work = asyncio.create_task(crew.look()), asyncio.create_task(crew.work())
    try:
        yield work
    finally:
        for task in (looking, work):
            task.cancel()
        await asyncio.gather(looking, work, return_exceptions=True)
        await crew.aclose()
