"""The six steps of every stage, for a batch at a time.

Open, claim, decide, record, send, acknowledge. A handler (functions/*.py) gives claim, decide and
record as one function of a database connection; everything else is here: natural batching, retries
while a part is away, effects outside the transaction, dead letters for one fact only.

Redelivery cures a crash at any point: the claim finds the order done, and sending is repeated from
what was recorded. Only an order that itself causes the crash would come back forever: see
crash_counts.py.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from loguru import logger

from internal.infra import bus, db, failpoints, metrics, retry, schema
from internal.kernel import errors, ids
from internal.pipeline import breaker, crash_counts, crash_suspects, dead_letters, telemetry
from internal.pipeline.handler import (
    Incoming,
    Limits,
    Outcome,
    Ports,
    Settled,
    StageHandler,
    Waiting,
    Work,
)

T = TypeVar("T")

SENDING_BATCHES_MAX = 4
"""Batches whose receipts may be outstanding while the next one is recorded."""
WHOLE_MESSAGE = -1
"""The place of an error that concerns the message as a whole."""


class Runner:
    """Runs one stage on one event loop. `offer` and everything else is called on that loop."""

    def __init__(self, handler: StageHandler, ports: Ports, limits: Limits) -> None:
        self._handler, self._ports, self._limits = handler, ports, limits
        self._spec, self._name = handler.spec, handler.spec.name
        self._envelope = handler.spec.envelope
        self._inbox: deque[Incoming] = deque()
        self._resumed: deque[Work] = deque()
        self._arrival = asyncio.Event()
        self._sending = asyncio.Semaphore(SENDING_BATCHES_MAX)
        self._effects = asyncio.Semaphore(limits.effects_max)
        self._suspects = crash_suspects.CrashSuspects(
            self._name, ports.clock, limits.suspect_messages
        )
        self._telemetry = telemetry.StageTelemetry(
            self._name, logs_every_fact=limits.logs_every_fact
        )
        self._breaker = breaker.Breaker()

    def offer(self, incoming: Incoming) -> None:
        """Take a message; it is acknowledged when all its facts are done."""
        incoming.is_suspect = self._suspects.offered(incoming.redeliveries)
        self._inbox.append(incoming)
        self._arrival.set()

    def drop_waiting(self) -> int:
        """Drop the messages that are not begun, and return their number: they come again."""
        count = len(self._inbox)
        self._inbox.clear()
        return count

    async def run(self) -> None:
        """Work until cancelled, which leaves nothing half done: unacknowledged messages come again.

        Raises:
            Misconfigured: the database is not the one that this Souk expects.
            DatabaseDamaged: it, or the gateway's ledger on this machine, is damaged.
            BaseExceptionGroup: a bug; the process must end and be started again.
        """
        wrong: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                self._spawn = group.create_task
                while True:
                    await self._arrival.wait()
                    self._arrival.clear()
                    while work := await self._take():
                        await self._process(work)
                        await self._pause()
        except* (errors.Misconfigured, errors.DatabaseDamaged) as found:
            wrong = found.exceptions[0]  # one group: no task of ours has groups of its own
        finally:
            await self._take_back()
        if wrong is not None:
            raise wrong

    async def _take_back(self) -> None:
        """Count no crash for what is held: this process does not end because of an order."""
        try:
            await self._suspects.take_back(self._ports.database.write)
        except Exception as error:  # noqa: BLE001 - the process ends, for a reason of its own
            logger.warning("the orders of this batch stay counted: {error!r}", error=error)

    async def _take(self) -> list[Work]:
        """Open messages until a batch is full or the inbox is empty: batches grow with backlog."""
        work = [self._resumed.popleft() for _ in range(len(self._resumed))]
        size_bytes = 0
        while self._inbox and len(work) < self._limits.batch_orders_max:
            if work and size_bytes >= self._limits.batch_bytes_max:
                break
            size_bytes += len(self._inbox[0].payload)
            work.extend(await self._open(self._inbox.popleft()))
        return self._breaker.merge(work)

    async def _open(self, incoming: Incoming) -> list[Work]:
        failpoints.hit(f"{self._name}.received")
        try:
            opened = self._envelope.open(incoming.payload)
        except errors.Poison as poison:
            incoming.open_facts = 1
            await self._dead_letter(Work(None, incoming, None, WHOLE_MESSAGE), poison)
            return []
        incoming.open_facts = len(opened)
        if not opened:
            await self._acknowledge([incoming.handle])
        work = [
            Work(fact, incoming, None, place, raw, private)
            for place, (fact, raw, private) in enumerate(opened)
        ]
        takes = self._spec.takes
        return [it for it in work if isinstance(it.fact, takes) or await self._refuse(it)]

    async def _refuse(self, item: Work) -> bool:
        """Make a dead letter of what is unreadable or on the wrong topic; return False."""
        if isinstance(item.fact, errors.Poison):
            await self._dead_letter(msgspec.structs.replace(item, fact=None), item.fact)
        else:
            what = f"{type(item.fact).__name__} does not belong on {item.source.topic}"
            await self._dead_letter(item, errors.Poison("WRONG_TOPIC", what))
        return False

    async def _process(self, work: list[Work]) -> None:
        is_watched = self._suspects.looks_for_repetitions
        if is_watched or any(item.source.is_suspect for item in work):
            work = await self._process_suspects(work)
        if not work:
            return
        settled, waiting = await self._commit(work)
        if settled:  # first: what is done does not wait behind a slow gateway
            await self._sending.acquire()
            self._spawn(self._send(settled))
        for item, outcome in waiting:
            await self._effects.acquire()
            self._spawn(self._resume(item, outcome))

    async def _process_suspects(self, work: list[Work]) -> list[Work]:
        """Process the orders that have crashed a process, the worst last; return the others."""
        subjects = dict.fromkeys(item.subject for item in work if item.source.is_suspect)
        others: dict[ids.Subject, None] = {}
        if self._suspects.looks_for_repetitions:
            others = dict.fromkeys(item.subject for item in work if item.subject not in subjects)
        crashes = await self._suspects.begin(self._write, subjects, others)
        by_subject: dict[ids.Subject, list[Work]] = {subject: [] for subject in crashes}
        for item in work:
            by_subject.get(item.subject, []).append(item)
        for trial in crash_counts.trial_batches(crashes, self._limits.batch_orders_max):
            suspected = [item for subject in trial for item in by_subject[subject]]
            if crashes[trial[0]] < crash_counts.COUNTED_MAX:
                await self._process_trial(suspected, trial)
                continue
            for item in suspected:
                await self._dead_letter(item, crash_counts.poison(crashes[trial[0]]))
        rest = [item for item in work if item.subject not in crashes]
        self._suspects.hold(rest)
        return rest

    async def _process_trial(self, work: list[Work], subjects: Sequence[ids.Subject]) -> None:
        """Process a trial batch, and nothing else meanwhile: it is small."""
        async with self._ports.quarantine:
            await self._suspects.count(self._write, subjects)
            self._suspects.hold(work)
            while work:
                settled, waiting = await self._commit(work)
                if settled:
                    await self._sending.acquire()
                    await self._send(settled)
                resumed = await asyncio.gather(*(self._perform_in_turn(*each) for each in waiting))
                work = [item for item in resumed if item]

    async def _commit(
        self, work: Sequence[Work]
    ) -> tuple[list[tuple[Work, Settled]], list[tuple[Work, Waiting]]]:
        began_us = self._ports.clock.now_us()
        with metrics.STAGE_BATCH_SECONDS.labels(self._name).time():
            done = await self._record(work)
        self._telemetry.transacted([it.fact for it in work], began_us, self._ports.clock.now_us())
        metrics.STAGE_BATCH_ORDERS.labels(self._name).observe(len(work))
        failpoints.hit(f"{self._name}.after_commit")
        settled = [(item, outcome) for item, outcome in done if isinstance(outcome, Settled)]
        waiting = [(item, outcome) for item, outcome in done if isinstance(outcome, Waiting)]
        return settled, waiting

    async def _record(self, work: Sequence[Work]) -> list[tuple[Work, Outcome]]:
        """Record a batch; a fact that fails alone is a dead letter, or held if all fail."""
        tried = self._breaker.begin()
        done = await self._try(work, tried)
        while True:
            probes, others = tried.take_skipped()
            found = [each for item in probes for each in await self._try([item], tried)]
            done += found
            if not found:
                tried.skip(others)
                break
            done += await self._try(others, tried)
        verdict = self._breaker.end(tried)
        for item, error in verdict.dead:
            await self._dead_letter(item, error)
        self._resumed.extendleft(reversed(verdict.again))
        return done

    async def _try(self, work: Sequence[Work], tried: breaker.Round) -> list[tuple[Work, Outcome]]:
        """Record facts in one transaction, or halve them until the bad ones are alone."""
        work = tried.ready(work)
        if not work:
            return []
        try:
            outcomes = await self._write(partial(self._transact, work), is_whole=len(work) > 1)
        except (errors.Misconfigured, errors.DatabaseDamaged):
            raise
        except Exception as error:  # noqa: BLE001 - it must not stop the other orders, whatever it is
            return await self._isolate(work, error, tried)
        tried.note_recorded(work)
        return list(zip(work, outcomes, strict=True))

    async def _isolate(
        self, work: Sequence[Work], error: Exception, tried: breaker.Round
    ) -> list[tuple[Work, Outcome]]:
        if len(work) > 1:
            middle = len(work) // 2
            first = await self._try(work[:middle], tried)
            return first + await self._try(work[middle:], tried)
        if isinstance(error, errors.Poison):  # known to be about this fact
            await self._dead_letter(work[0], error)
        else:
            tried.note_failed(work[0], error)
        return []

    async def _pause(self) -> None:
        """Wait after a round in which nothing could be recorded: no order is at fault then."""
        stop = self._breaker.stop
        if stop is None:
            return
        self._telemetry.stopped(stop.cause, stop.error, stop.orders, stop.pause_s)
        await asyncio.sleep(stop.pause_s)

    async def _write(self, transaction: db.Work[T], *, is_whole: bool = False) -> T:
        """Run a transaction as soon as the database is there.

        Raises:
            Misconfigured: the tables are not ours; that is not the fault of any order.
            DatabaseDamaged: nor is that.
            TooMuchAtOnce: only if it `is_whole`, and halves of it may be tried.
        """
        ends_at = (errors.Conflict, errors.TooMuchAtOnce) if is_whole else (errors.Conflict,)
        try:
            return await retry.until_it_works(
                self._name, partial(self._ports.database.write, transaction, is_quick=True), ends_at
            )
        except sa.exc.DBAPIError as error:
            if schema.is_foreign(error):
                raise errors.Misconfigured(schema.explain(error)) from error
            raise

    def _transact(self, work: Sequence[Work], connection: sa.Connection) -> list[Outcome]:
        failpoints.hit(f"{self._name}.after_begin")
        outcomes = self._handler.record(connection, work, self._ports.clock.now_us())
        failpoints.hit(f"{self._name}.before_commit")
        return outcomes

    async def _resume(self, item: Work, waiting: Waiting) -> None:
        """Perform an effect and queue its order again; its place was acquired before."""
        try:
            resumed = await self._perform(item, waiting)
        finally:
            self._effects.release()
        if resumed:
            self._resumed.append(resumed)
            self._arrival.set()

    async def _perform_in_turn(self, item: Work, waiting: Waiting) -> Work | None:
        async with self._effects:
            return await self._perform(item, waiting)

    async def _perform(self, item: Work, waiting: Waiting) -> Work | None:
        """Perform an effect. A bug in it makes a dead letter of this order only: None."""
        perform = partial(self._handler.perform, waiting.effect)
        try:
            result = await retry.until_it_works(self._name, perform)
        except errors.DatabaseDamaged:
            raise
        except Exception as error:  # noqa: BLE001 - as in _record
            await self._dead_letter(item, error)
            return None
        return msgspec.structs.replace(item, result=result)

    async def _send(self, settled: Sequence[tuple[Work, Settled]]) -> None:
        try:
            facts = [fact for _, outcome in settled for fact in outcome.facts]
            shard_keys = self._ports.publisher.shard_keys
            await self._publish(self._envelope.pack(facts, shard_keys))
            self._telemetry.sent(facts, self._ports.clock.now_us())
            if self._suspects.are_watched:
                await self._suspects.done(self._write, [item for item, _ in settled])
            failpoints.hit(f"{self._name}.before_ack")
            await self._finish([item.source for item, _ in settled])
        finally:
            self._sending.release()

    async def _publish(self, messages: Sequence[bus.Outgoing]) -> None:
        await retry.until_it_works(self._name, lambda: self._ports.publisher.publish(messages))

    async def _finish(self, sources: Sequence[Incoming]) -> None:
        """Count down each message's facts; acknowledge those that have none left."""
        done = []
        for source in sources:
            source.open_facts -= 1
            if source.open_facts == 0:
                done.append(source.handle)
        if done:
            await self._acknowledge(done)

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await retry.until_it_works(self._name, lambda: self._ports.acknowledge(handles))

    async def _dead_letter(self, item: Work, error: Exception) -> None:
        """Store one fact (or one unreadable message) with its reason, and go on."""
        source, fact, now_us = item.source, item.fact, self._ports.clock.now_us()
        at = dead_letters.Place(self._name, source.topic)
        if fact is None:
            new = dead_letters.of_unreadable(at, bytes(item.raw) or source.payload, error, now_us)
        else:
            new = dead_letters.of_fact(at, fact, item.private, error, now_us)
        letter = new.letter
        about = {telemetry.name_of(letter.subject_kind): letter.subject, "code": letter.code}
        logger.bind(**about).opt(exception=error).error("dead letter at {stage}", stage=self._name)
        letter_key = await self._write(partial(self._store, new, item))
        await self._publish([dead_letters.copy_of(letter, letter_key)])
        metrics.DEAD_LETTERS.labels(self._name, letter.code).inc()
        await self._suspects.done(self._write, [item])
        await self._finish([source])

    def _store(self, new: dead_letters.NewLetter, item: Work, connection: sa.Connection) -> int:
        source = dead_letters.Source(item.source.message_id, item.place)
        letter_key = dead_letters.store(connection, new, source)
        if isinstance(item.fact, self._spec.takes):
            self._handler.abandon(connection, item.fact)
        return letter_key
