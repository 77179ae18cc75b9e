"""Clients that send orders whatever happens to the engine, and log every answer.

A client repeats an order under the same id until it is answered, as a good client does; now and
then one gives up, so that orders of unknown fate occur, too. Some wait for the end, some cancel,
some change their order while it is open and pay it then.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

from internal.client import client, sender
from internal.client.access import Access
from internal.lab.workload import generator, scenarios
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2, order_service_pb2, payment_service_pb2

CLIENTS = 12
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
        order_pb2.ORDER_STATE_EXPIRED,
    }
)
TRIES_MAX = 200

Call = list[generator.Submission]


class Log:
    """Everything that the clients know. An order stays in `placed` forever from its first OK on."""

    def __init__(self) -> None:
        self.placed: dict[str, Kind] = {}
        self.given_up: set[str] = set()
        """The client's last answer was an error: these orders may or may not exist."""
        self.refused: set[str] = set()
        self.drafts: dict[str, dict[bytes, order_pb2.OrderDraft]] = {}
        """All bodies that were sent under an id, by their bytes."""
        self.retries: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.ends: dict[str, int] = {}
        """The terminal state that a client was told: an order_pb2.OrderState."""
        self.cancel_requested: set[str] = set()
        self.cancelled: set[str] = set()
        self.not_cancelled: set[str] = set()
        """Cancel requests that came too late."""
        self.paid_later: set[str] = set()
        """Open orders whose tender was taken: they do not expire any more."""
        self.versions: dict[str, int] = {}
        """The newest version of an order that any client saw."""
        self.answers = 0

    @property
    def unsure(self) -> set[str]:
        """Orders that may or may not exist."""
        return self.given_up - self.placed.keys()

    def sent(self, made: generator.Submission) -> None:
        """Note an order before it goes out."""
        bodies = self.drafts.setdefault(made.draft.order_id, {})
        bodies[made.draft.SerializeToString(deterministic=True)] = made.draft

    def answered(self, made: generator.Submission, answer: client.Answer) -> None:
        """Note the server's final answer to an order."""
        self.answers += 1
        order_id = made.draft.order_id
        if answer.is_ok:
            kind = Kind.ORDINARY if made.kind in scenarios.REPEATS else made.kind
            self.placed.setdefault(order_id, kind)
            if answer.state in TERMINAL:
                self.ends[order_id] = answer.state
        elif answer.code in RETRIED:
            self.given_up.add(order_id)
        elif self._may_refuse(made, answer.code):
            self.refused.add(order_id)
        else:
            self.surprises.append(f"{order_id} ({made.kind}): {answer.code} {answer.text}")

    def cancel_answered(self, order_id: str, code: str) -> bool:
        """Note the answer to a cancel request; tell whether it is final."""
        if code == client.OK:
            self.cancelled.add(order_id)
        elif code == "FAILED_PRECONDITION":
            self.not_cancelled.add(order_id)
        elif code in RETRIED:
            return False
        else:
            self.surprises.append(f"cancelling {order_id}: {code}")
        return True

    def request_answered(self, order_id: str, code: str) -> bool:
        """Note the answer to a request about an open order; tell whether it is final."""
        if code in RETRIED or code == "NOT_FOUND":  # it may not be recorded yet
            return False
        if code not in {client.OK, "FAILED_PRECONDITION"}:
            self.surprises.append(f"changing or paying {order_id}: {code}")
        return True

    def looked(self, order: order_pb2.Order) -> None:
        """Note an order as a client saw it; it must never be older than a version seen before."""
        before = self.versions.get(order.order_id, 0)
        if order.version < before:
            self.surprises.append(f"{order.order_id} went from {before} back to {order.version}")
        self.versions[order.order_id] = max(before, order.version)

    def _may_refuse(self, made: generator.Submission, code: str) -> bool:
        """Tell whether the server may refuse this; it also refuses a second body under one id."""
        if code == "ALREADY_EXISTS":
            return len(self.drafts[made.draft.order_id]) > 1
        return code == "INVALID_ARGUMENT" and made.kind is Kind.INVALID


class Pace:
    """How fast clients send new orders and look at old ones; as fast as possible by default."""

    def __init__(
        self, orders_per_s: float | None = None, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self.look_every_s = look_every_s
        self._order_s = 1 / orders_per_s if orders_per_s else 0.0
        self._next_s = 0.0

    async def turn(self, orders: int) -> None:
        """Wait until this many orders may go out. Missed time is not made up for."""
        now_s = time.perf_counter()
        wait_s = max(0.0, self._next_s - now_s)
        self._next_s = max(self._next_s, now_s) + orders * self._order_s
        await asyncio.sleep(wait_s)


class ClientPool:
    """All clients of a run. They send while they are connected, and wait while they are not."""

    def __init__(
        self, orders: Iterator[generator.Submission], seed: int, pace: Pace | None = None
    ) -> None:
        self.log = Log()
        self._pace = pace or Pace()
        self._rng = random.Random(seed)  # noqa: S311 - no secrets: when a client does what
        self._orders, self._retries = orders, deque[Call]()
        self._connections: list[client.Client] = []
        self._is_open = asyncio.Event()
        self._progress = asyncio.Condition()

    def connect(self, access: Access) -> None:
        """Let the clients send to this server."""
        self._connections.append(client.Client(access))
        self._is_open.set()

    def disconnect(self) -> None:
        """Hold the clients back: no server runs."""
        self._is_open.clear()

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(connection.aclose() for connection in self._connections))

    def finish(self, more: int) -> None:
        """Send `more` further orders and all repetitions, then stop."""
        self._orders = itertools.islice(self._orders, more)

    async def answered(self, answers: int) -> None:
        """Wait until the clients have had this many final answers."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.log.answers >= answers)

    async def work(self) -> None:
        """Send everything."""
        await asyncio.gather(*(self._serve() for _ in range(CLIENTS)))

    async def look(self) -> None:
        """Read random orders that were answered OK, at any time, until cancelled."""
        while True:
            await asyncio.sleep(self._pace.look_every_s)
            await self._is_open.wait()
            if self.log.placed:
                order_id = self._rng.choice(list(self.log.placed))
                order = await self._connections[-1].get(order_id, CALL_S)
                if not isinstance(order, client.Failure):
                    self.log.looked(order)

    async def _serve(self) -> None:
        while call := self._next():
            await self._pace.turn(len(call))
            await self._is_open.wait()
            answers = await self._submit(call)
            left = [
                made
                for made, answer in zip(call, answers, strict=True)
                if not self._is_final(made, answer)
            ]
            if len(call) == 1 and answers[0].is_ok and self._one_in(CANCELS_ONE_IN):
                await self._cancel(call[0].draft.order_id)
            opened = (
                made
                for made, answer in zip(call, answers, strict=True)
                if made.kind is Kind.OPEN and answer.is_ok
            )
            await asyncio.gather(*map(self._sell_open, opened))
            if left:
                self._retries.append(left)
                await asyncio.sleep(self._rng.uniform(0.01, 0.05))
            async with self._progress:
                self._progress.notify_all()

    async def _submit(self, call: Call) -> list[client.Answer]:
        is_waiting = len(call) == 1 and self._one_in(WAITS_ONE_IN)
        drafts = [made.draft for made in call]
        wait_for = FINALIZED if is_waiting else NO_WAIT
        return await sender.submit(self._connections[-1], drafts, CALL_S, wait_for)

    async def _cancel(self, order_id: str) -> None:
        """Request a cancellation until there is a final answer."""
        self.log.cancel_requested.add(order_id)
        request = order_service_pb2.CancelOrderRequest(order_id=order_id, request_id=order_id)
        await self._repeat(
            lambda on: on.cancel(request, CALL_S), partial(self.log.cancel_answered, order_id)
        )

    async def _sell_open(self, made: generator.Submission) -> None:
        """Sell one more of an open order's first line; then pay all of it."""
        order_id, currency = made.draft.order_id, made.draft.currency
        changed = order_pb2.OrderDraft()
        changed.CopyFrom(made.draft)
        changed.lines[0].quantity_milli += 1_000
        self.log.sent(generator.Submission(made.kind, changed))
        update = order_service_pb2.UpdateOrderRequest(
            order_id=order_id,
            request_id=f"{order_id}.u",
            currency=currency,
            lines=changed.lines,
            adjustments=changed.adjustments,
        )
        tender = order_pb2.Tender(card=order_pb2.CardTender(token="tok_ok"))  # noqa: S106 - the simulator's
        pay = payment_service_pb2.AddTenderRequest(
            order_id=order_id, request_id=f"{order_id}.t", currency=currency, tender=tender
        )
        is_final = partial(self.log.request_answered, order_id)
        await self._repeat(lambda on: on.update(update, CALL_S), is_final)
        if await self._repeat(lambda on: on.add_tender(pay, CALL_S), is_final) == client.OK:
            self.log.paid_later.add(order_id)

    async def _repeat(
        self,
        call: Callable[[client.Client], Awaitable[object]],
        is_final: Callable[[str], bool],
    ) -> str:
        """Send a request until its answer is final; return its code."""
        code = ""
        for _ in range(TRIES_MAX):
            await self._is_open.wait()
            reply = await call(self._connections[-1])
            code = reply.code if isinstance(reply, client.Failure) else client.OK
            if is_final(code):
                break
            await asyncio.sleep(self._rng.uniform(0.01, 0.1))
        return code

    def _is_final(self, made: generator.Submission, answer: client.Answer) -> bool:
        if answer.code in RETRIED and not self._one_in(GIVES_UP_ONE_IN):
            self.log.retries[answer.code] += 1
            return False
        self.log.answered(made, answer)
        return True

    def _one_in(self, times: int) -> bool:
        return not self._rng.randrange(times)

    def _next(self) -> Call:
        if self._retries and self._is_open.is_set():
            return self._retries.popleft()
        size = self._rng.choice((1, 1, 1, self._rng.randint(2, BATCH_ORDERS_MAX)))
        call = list(itertools.islice(self._orders, size))
        for made in call:
            self.log.sent(made)
        return call or (self._retries.popleft() if self._retries else [])


@contextlib.asynccontextmanager
async def working(pool: ClientPool) -> AsyncIterator[asyncio.Task[None]]:
    """Let the clients send and look; yield the task that ends once all orders are answered."""
    looking, work = asyncio.create_task(pool.look()), asyncio.create_task(pool.work())
    try:
        yield work
    finally:
        for task in (looking, work):
            task.cancel()
        await asyncio.gather(looking, work, return_exceptions=True)
        await pool.aclose()
