"""A bus with Pulsar's semantics in this process, durable in the file that holds everything else.

`store` has the tables, `dispatch` assigns messages to consumers, `readers` has the consumers and
tails, `switchboard` announces commits, `writer` is the group commit. This module puts them together
on one event loop, without threads. Other processes may publish into the same file; this one notices
within Limits.notice_every_s. But only one process at a time may serve a subscription; a second one
would get the same messages again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa
from loguru import logger

from internal.infra import bus, db, retry, settings
from internal.infra import clock as system_clock
from internal.infra.embedded_bus import dispatch, readers, store, switchboard, values, writer
from internal.kernel import errors
from internal.kernel.clock import Clock

T = TypeVar("T")

TOPICS = settings.TopicSettings()


class EmbeddedBus:
    """The bus in one file. `open` it before anything else, `close` it before the database."""

    def __init__(
        self,
        database: db.Database,
        clock: Clock | None = None,
        limits: values.Limits | None = None,
        topics: settings.TopicSettings = TOPICS,
    ) -> None:
        self.shard_keys = topics.shard_keys
        self._database = database
        self._limits = limits or values.Limits()
        self._clock = clock or system_clock.SystemClock()
        self._switchboard = switchboard.Switchboard(0, values.NOTHING, self._read)
        self._writer = writer.Writer(database, self._switchboard, self._limits)
        self._readers: set[readers.Consumer | readers.Tail] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None
        self._end = "the bus is not open"

    async def open(self) -> None:
        """Create the tables that are missing, and start to serve.

        Raises:
            Misconfigured: a newer Souk wrote this file.
            BusAway: the database cannot be reached.
        """
        await _or_away(self._database.write(store.open_tables))
        head, catalog = await self._look_up(store.look)
        self._switchboard = switchboard.Switchboard(head, catalog, self._read)
        self._writer = writer.Writer(self._database, self._switchboard, self._limits)
        self._end = ""
        self._writing = self._spawn(self._writer.run())
        self._spawn(self._look_around())

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish. A batch above the writer's limits takes several transactions."""
        self._require_open()
        now_us = self._clock.now_us()
        prepared = [values.prepare(message, now_us) for message in messages]
        for batch in _in_batches(prepared, self._limits):
            await self._writer.publish(batch)

    async def ensure(self, subscriptions: Mapping[str, Sequence[str]]) -> None:
        """See Bus.ensure. A new subscription starts with the oldest message kept for another."""
        self._require_open()
        wanted = [(topic, name) for topic, names in subscriptions.items() for name in names]
        for topic, name in wanted:
            values.require_text(topic)
            values.require_text(name)
        async with self._switchboard.step:
            if set(wanted) <= self._switchboard.catalog.subscriptions.keys():
                return
            self._switchboard.catalog = await _or_away(
                self._database.write(lambda connection: store.ensure(connection, wanted))
            )

    async def subscribe(
        self, topics: Sequence[str], name: str, *, unacked_messages_max: int = 1_000
    ) -> readers.Consumer:
        """See Bus.subscribe."""
        topics = tuple(dict.fromkeys(topics))
        await self.ensure({topic: [name] for topic in topics})
        dispatchers = [await self._dispatcher(topic, name) for topic in topics]
        self._require_open()
        hooks = readers.Hooks(
            took=self._switchboard.advance,
            acknowledged=self._writer.acknowledged,
            left=self._readers.discard,
        )
        consumer = readers.Consumer(dispatchers, unacked_messages_max, hooks)
        self._readers.add(consumer)
        return consumer

    async def tail(self, topics: Sequence[str], wants: bus.Wants = bus.everything) -> readers.Tail:
        """See Bus.tail. It only sees messages of this process; each tail costs, so share one."""
        self._require_open()
        tail = readers.Tail(self._limits.tail_messages_max, wants, self._forget_tail)
        self._switchboard.add_tail(tail, topics)
        self._readers.add(tail)
        return tail

    async def backlog(self, topic: str, subscription: str) -> int:
        """See Bus.backlog. It costs nothing if this process serves the subscription."""
        return (await self._count_backlog(topic, subscription)).messages

    async def subscriptions(self, topics: Sequence[str]) -> list[bus.Subscribed]:
        """See Bus.subscriptions. It only sees consumers of this process."""
        self._require_open()
        _, self._switchboard.catalog = await self._look_up(store.look)
        found = [pair for pair in self._switchboard.catalog.subscriptions if pair[0] in topics]
        return [await self._subscribed(topic, name) for topic, name in found]

    async def drop(self, topic: str, subscription: str) -> None:
        """See Bus.drop. Its consumers in this process end."""
        self._require_open()
        async with self._switchboard.step:
            catalog = self._switchboard.catalog
            dispatcher = self._switchboard.dispatchers.pop((topic, subscription), None)
            self._switchboard.catalog = await _or_away(
                self._database.write(lambda connection: store.drop(connection, topic, subscription))
            )
        for reader in tuple(self._readers):
            if isinstance(reader, readers.Consumer) and dispatcher and reader.reads(dispatcher):
                reader.end(f"the subscription {subscription} was dropped")
        if topic in catalog.topics:
            self._writer.left_over(catalog.topics[topic])

    async def reopen(self, topic: str, partition: int) -> None:
        """Do nothing: the embedded bus has no partitions. See Bus.reopen."""
        del topic, partition

    async def close(self) -> None:
        """See Bus.close. It writes pending messages and acknowledgements first."""
        if self._writing is None:
            return
        self._shut(self._end or "the bus was closed")
        await asyncio.wait({self._writing})
        others = tuple(self._tasks)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _require_open(self) -> None:
        if self._end:
            raise errors.BusAway(self._end)

    def _shut(self, why: str) -> None:
        self._end = why
        for reader in tuple(self._readers):
            reader.end(why)
        self._writer.finish(why)

    def _forget_tail(self, tail: readers.Tail) -> None:
        self._switchboard.remove_tail(tail)
        self._readers.discard(tail)

    async def _look_up(self, work: Callable[[sa.Connection], T]) -> T:
        return await _or_away(self._database.read(work))

    async def _dispatcher(self, topic: str, name: str) -> dispatch.Dispatcher:
        async with self._switchboard.step:
            if found := self._switchboard.dispatchers.get((topic, name)):
                return found
            number, head = self._subscription_id(topic, name), self._switchboard.head
            attached = await self._look_up(lambda it: store.attach(it, number, head))
            self._switchboard.noticed(attached.noticed)
            dispatcher = dispatch.Dispatcher(topic, attached.cursor, attached.backlog, self._limits)
            self._switchboard.dispatchers[topic, name] = dispatcher
            return dispatcher

    async def _subscribed(self, topic: str, name: str) -> bus.Subscribed:
        dispatcher = self._switchboard.dispatchers.get((topic, name))
        waiting = await self._count_backlog(topic, name)
        age_us = await self._oldest_age_us(topic, name)
        members = dispatcher.members if dispatcher else 0
        return bus.Subscribed(topic, name, waiting.messages, waiting.orders, age_us, members)

    async def _oldest_age_us(self, topic: str, name: str) -> int:
        dispatcher = self._switchboard.dispatchers.get((topic, name))
        if dispatcher and not dispatcher.backlog().messages:
            return 0
        at_us = dispatcher.oldest_at_us() if dispatcher else None
        if at_us is None:
            number = self._subscription_id(topic, name)
            at_us = await self._look_up(lambda it: store.oldest_at_us(it, number))
        return 0 if at_us is None else max(self._clock.now_us() - at_us, 0)

    def _subscription_id(self, topic: str, name: str) -> int:
        try:
            return self._switchboard.catalog.subscriptions[topic, name]
        except KeyError:
            text = f"the topic {topic!r} has no subscription called {name!r}"
            raise errors.Misconfigured(text) from None

    async def _count_backlog(self, topic: str, name: str) -> values.Count:
        if dispatcher := self._switchboard.dispatchers.get((topic, name)):
            return dispatcher.backlog()
        number = self._subscription_id(topic, name)
        return await self._look_up(lambda it: store.backlog(it, number))

    def _read(self, dispatcher: dispatch.Dispatcher, request: values.PageRequest) -> None:
        self._spawn(self._read_page(dispatcher, request))

    async def _read_page(
        self, dispatcher: dispatch.Dispatcher, request: values.PageRequest
    ) -> None:
        page = await retry.until_it_works(
            "embedded bus", lambda: self._database.read(lambda it: store.read_page(it, request))
        )
        dispatcher.loaded(request, page)
        self._switchboard.advance(dispatcher)

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(self._limits.notice_every_s)
            with contextlib.suppress(errors.DatabaseAway):
                await self._notice()
            self._writer.tidy()

    async def _notice(self) -> None:
        async with self._switchboard.step:
            head = self._switchboard.head
            self._switchboard.noticed(await self._database.read(lambda it: store.notice(it, head)))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the bus when a task dies of a bug, so that every waiting caller learns of it."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.opt(exception=error).error("the embedded bus ends")
            self._shut(f"the bus has ended: {error!r}")
            self._writer.abandon(self._end)


async def _or_away(call: Awaitable[T]) -> T:
    try:
        return await call
    except errors.DatabaseAway as error:
        raise errors.BusAway(str(error)) from error


def _in_batches(
    messages: Sequence[values.Prepared], limits: values.Limits
) -> Iterator[Sequence[values.Prepared]]:
    """Cut the messages into batches of one transaction each."""
    start = size_bytes = 0
    for end, message in enumerate(messages):
        size_bytes += message.size_bytes
        is_full = end - start == limits.batch_messages_max or size_bytes > limits.batch_bytes_max
        if is_full and end > start:
            yield messages[start:end]
            start, size_bytes = end, message.size_bytes
    if messages:
        yield messages[start:]
