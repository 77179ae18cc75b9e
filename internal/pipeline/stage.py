"""The six steps of every stage, for a batch at a time.

Open, claim, decide, record, send, acknowledge. A station (functions/*.py) gives claim, decide and
record as one function of a database connection; everything else is here: natural batching, retries
while a part is away, effects outside the transaction, dead letters for one order only.

A crash anywhere is cured by redelivery: the claim finds the order done, and sending is repeated
from what was recorded.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import msgspec
import prometheus_client
import sqlalchemy as sa
from loguru import logger

from internal.infra import bus, db, failpoints, metrics, retry
from internal.kernel import cards, errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.orders import cancelling, due
from internal.orders.messages import Fact, OrderCancelled, OrderRejected
from internal.pipeline import dead_letters, envelope, flow

SENDING_BATCHES_MAX = 4
"""Batches whose receipts may be outstanding while the next one is recorded."""


class Incoming(msgspec.Struct):
    """A message at hand; `handle` is what its host wants back to acknowledge it."""

    topic: str
    payload: bytes
    handle: Any
    open_orders: int = 0


class Work(msgspec.Struct):
    """One order's fact, and on its second coming what its effect resulted in."""

    fact: Any
    """One of those that the stage takes; the station narrows it."""
    source: Incoming
    result: Any = None


class Settled(msgspec.Struct, frozen=True):
    """Recorded; these facts go on their way (also on a repetition)."""

    facts: tuple[Fact, ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """Recorded so far; something outside must be done before the order can go on."""

    effect: Any


Outcome = Settled | Waiting


class Station(Protocol):
    """What makes a stage this stage and no other."""

    spec: flow.Stage

    def record(self, connection: sa.Connection, work: Sequence[Work], now_us: int) -> list[Outcome]:
        """Claim, decide and record a batch in one transaction; one outcome per work, in its order.

        It may run several times for one batch (a deadlock, a lost connection): it keeps nothing
        between runs.

        Raises:
            Temporary: repeat the whole transaction.
            Exception: anything else is a bug or poison; the batch is halved until the one order is
            found.
        """
        ...

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the station's own type
        """Do what a Waiting asked for, and return what is known then.

        Raises:
            Temporary: nothing is known yet; it is tried again.
            Exception: anything else is a bug; it costs this one order a dead letter.
        """
        ...


class Ports(msgspec.Struct, frozen=True):
    """What a stage works with. Its host decides which implementations these are."""

    database: db.Database
    publisher: bus.Publisher
    clock: Clock
    acknowledge: Callable[[Sequence[Any]], Awaitable[None]]
    """Takes the handles of messages that are done."""


class Limits(msgspec.Struct, frozen=True):
    """How much at a time."""

    batch_orders_max: int = 400
    effects_max: int = 1_024
    logs_every_fact: bool = False
    """A DEBUG line for each order that went on its way; refusals are always told."""


class Runner:
    """Runs one station on one event loop. `offer` and everything else is called on that loop."""

    def __init__(self, station: Station, ports: Ports, limits: Limits) -> None:
        self._station, self._ports, self._limits = station, ports, limits
        self._name = station.spec.name
        self._inbox: deque[Incoming] = deque()
        self._resumed: deque[Work] = deque()
        self._arrival = asyncio.Event()
        self._sending = asyncio.Semaphore(SENDING_BATCHES_MAX)
        self._effects = asyncio.Semaphore(limits.effects_max)

    def offer(self, incoming: Incoming) -> None:
        """Take a message; it is acknowledged when all its orders are done."""
        self._inbox.append(incoming)
        self._arrival.set()

    async def run(self) -> None:
        """Work for ever.

        Cancelling it leaves nothing half done: what is not acknowledged comes again.
        """
        async with asyncio.TaskGroup() as group:
            self._spawn = group.create_task
            while True:
                await self._arrival.wait()
                self._arrival.clear()
                while work := await self._take():
                    await self._process(work)

    async def _take(self) -> list[Work]:
        """Open messages until a batch is full or nothing more is at hand.

        Batches grow only with backlog.
        """
        work = [self._resumed.popleft() for _ in range(len(self._resumed))]
        while self._inbox and len(work) < self._limits.batch_orders_max:
            work.extend(await self._open(self._inbox.popleft()))
        return work

    async def _open(self, incoming: Incoming) -> list[Work]:
        failpoints.hit(f"{self._name}.received")
        try:
            facts = envelope.open_payload(incoming.payload)
        except errors.Poison as poison:
            incoming.open_orders = 1
            await self._bury(incoming, poison, None)
            return []
        incoming.open_orders = len(facts)
        if not facts:
            await self._acknowledge([incoming.handle])
        return [
            Work(fact, incoming)
            for fact in facts
            if isinstance(fact, self._station.spec.takes) or await self._refuse(incoming, fact)
        ]

    async def _refuse(self, incoming: Incoming, fact: Fact | errors.Poison) -> bool:
        """Bury what is unreadable or on the wrong topic; return False."""
        if isinstance(fact, errors.Poison):
            await self._bury(incoming, fact, None)
        else:
            what = f"{type(fact).__name__} does not belong on {incoming.topic}"
            await self._bury(incoming, errors.Poison("WRONG_TOPIC", what), fact)
        return False

    async def _process(self, work: list[Work]) -> None:
        with metrics.STAGE_BATCH_SECONDS.labels(self._name).time():
            done = await self._record(work)
        metrics.STAGE_BATCH_ORDERS.labels(self._name).observe(len(work))
        failpoints.hit(f"{self._name}.after_commit")
        settled = [(item, outcome) for item, outcome in done if isinstance(outcome, Settled)]
        if settled:  # first: what is done does not wait behind a slow gateway
            await self._sending.acquire()
            self._spawn(self._send(settled))
        for item, outcome in done:
            if isinstance(outcome, Waiting):
                await self._effects.acquire()
                self._spawn(self._perform(item, outcome))

    async def _record(self, work: Sequence[Work]) -> list[tuple[Work, Outcome]]:
        transaction = partial(self._transact, work)
        try:
            outcomes = await retry.until_it_works(
                self._name, lambda: self._ports.database.write(transaction)
            )
            return list(zip(work, outcomes, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the other orders
            return await self._isolate(work, error)

    def _transact(self, work: Sequence[Work], connection: sa.Connection) -> list[Outcome]:
        failpoints.hit(f"{self._name}.after_begin")
        outcomes = self._station.record(connection, work, self._ports.clock.now_us())
        failpoints.hit(f"{self._name}.before_commit")
        return outcomes

    async def _isolate(self, work: Sequence[Work], error: Exception) -> list[tuple[Work, Outcome]]:
        """Halve a batch that cannot be recorded until the one order that spoils it is alone.

        Bury that one.
        """
        if len(work) == 1:
            await self._bury(work[0].source, error, work[0].fact)
            return []
        middle = len(work) // 2
        return await self._record(work[:middle]) + await self._record(work[middle:])

    async def _perform(self, item: Work, waiting: Waiting) -> None:
        """Do what an order waits for, and take it up again; a bug there costs this order only."""
        perform = partial(self._station.perform, waiting.effect)
        try:
            result = await retry.until_it_works(self._name, perform)
        except Exception as error:  # noqa: BLE001 - as in _record
            await self._bury(item.source, error, item.fact)
            return
        finally:
            self._effects.release()
        self._resumed.append(Work(item.fact, item.source, result))
        self._arrival.set()

    async def _send(self, settled: Iterable[tuple[Work, Settled]]) -> None:
        try:
            facts = [fact for _, outcome in settled for fact in outcome.facts]
            await self._publish(envelope.pack(facts))
            self._observe(facts)
            failpoints.hit(f"{self._name}.before_ack")
            await self._finish([item.source for item, _ in settled])
        finally:
            self._sending.release()

    async def _publish(self, messages: Sequence[bus.Outgoing]) -> None:
        await retry.until_it_works(self._name, lambda: self._ports.publisher.publish(messages))

    async def _finish(self, sources: Sequence[Incoming]) -> None:
        """Count down each message's orders; acknowledge those that have none left."""
        done = []
        for source in sources:
            source.open_orders -= 1
            if source.open_orders == 0:
                done.append(source.handle)
        if done:
            await self._acknowledge(done)

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await retry.until_it_works(self._name, lambda: self._ports.acknowledge(handles))

    def _observe(self, facts: Sequence[Fact]) -> None:
        now_us = self._ports.clock.now_us()
        for fact in facts:
            kind, reason = type(fact).__name__, _reason_of(fact)
            _sent(kind, reason).inc()
            _age(kind).observe((now_us - getattr(fact, "placed_at_us", now_us)) / US_PER_SECOND)
            if reason:
                self._tell("INFO", fact, reason)
            elif self._limits.logs_every_fact:
                self._tell("DEBUG", fact, "")

    def _tell(self, level: str, fact: Fact, reason: str) -> None:
        logger.log(
            level,
            "{kind} {reason}",
            kind=type(fact).__name__,
            reason=reason,
            stage=self._name,
            order_id=fact.order_id,
            event_id=envelope.event_id(fact),
            trace_id=fact.trace_id,
        )

    async def _bury(self, source: Incoming, error: Exception, fact: Fact | None) -> None:
        """Put one order (or one unreadable message) aside with its reason, and go on."""
        code = error.code if isinstance(error, errors.Poison) else type(error).__name__.upper()
        payload = source.payload if fact is None else envelope.encode([fact])
        letter = dead_letters.DeadLetter(
            stage=self._name,
            topic=source.topic,
            code=code,
            explanation=cards.redact(str(error)),
            merchant_id=getattr(fact, "merchant_id", ""),
            order_id=getattr(fact, "order_id", ""),
            payload=cards.redact(dead_letters.as_text(payload)),
            at_us=self._ports.clock.now_us(),
        )
        is_ours = isinstance(fact, self._station.spec.takes)
        order_key = getattr(fact, "order_key", 0) if is_ours else 0
        logger.bind(order_id=letter.order_id, code=code).opt(exception=error).error(
            "dead letter at {stage}", stage=self._name
        )
        await retry.until_it_works(
            self._name,
            lambda: self._ports.database.write(lambda c: _put_aside(c, letter, order_key)),
        )
        topic = flow.dead_letter_topic(source.topic)
        properties = {"code": code, "orders": "1"}
        message = bus.Outgoing(topic, self._name, letter.payload.encode(), properties)
        await self._publish([message])
        metrics.DEAD_LETTERS.labels(self._name, code).inc()
        await self._finish([source])


def _put_aside(connection: sa.Connection, letter: dead_letters.DeadLetter, order_key: int) -> None:
    """Keep the letter, and take the order off the janitor's list: only a replay drives it on."""
    dead_letters.add(connection, letter)
    if order_key:
        due.clear(connection, order_key, (letter.merchant_id, letter.order_id))


def _reason_of(fact: Fact) -> str:
    """Return why, in one of our own words: what a merchant wrote belongs in no metric."""
    if isinstance(fact, OrderRejected):
        return fact.reason
    return cancelling.BY_MERCHANT if isinstance(fact, OrderCancelled) else ""


@lru_cache(maxsize=1_024)
def _sent(kind: str, reason: str) -> prometheus_client.Counter:
    return metrics.FACTS.labels(kind, reason)


@lru_cache(maxsize=64)
def _age(kind: str) -> prometheus_client.Histogram:
    return metrics.FACT_AGE_SECONDS.labels(kind)
