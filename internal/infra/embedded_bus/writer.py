"""The embedded bus's one writer: group commit.

All waiting messages go into one transaction, and while that runs the next ones gather; no caller is
delayed to fill a batch. Acknowledgements share these transactions, or get their own a little later.
It must not know who receives a message: it tells the switchboard what a transaction did.
"""

import asyncio
import operator
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec
import sqlalchemy as sa
from loguru import logger

from internal.infra import db, failpoints
from internal.infra.embedded_bus import dispatch, store, switchboard, values
from internal.kernel import errors


class Entry(msgspec.Struct, eq=False):
    """The messages of one caller; the receipt is for all of them."""

    messages: Sequence[values.Prepared]
    size_bytes: int
    receipt: asyncio.Future[None]


class Writer:
    """Owns the queue of publications and everything else that waits to be written."""

    def __init__(
        self, database: db.Database, switchboard: switchboard.Switchboard, limits: values.Limits
    ) -> None:
        self._database = database
        self._switchboard = switchboard
        self._limits = limits
        self._queue: deque[Entry] = deque()
        self._queued_messages = self._queued_bytes = 0
        self._moved: set[dispatch.Dispatcher] = set()
        topic_ids = switchboard.catalog.topics.values()
        self._trimmable = Counter(dict.fromkeys(topic_ids, limits.trim_messages))
        self._trim_from = limits.trim_messages
        self._timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._end = ""

    async def publish(self, messages: Sequence[values.Prepared]) -> None:
        """Return when all of the messages are committed, in one transaction.

        Raises:
            BusAway: they may or may not be committed.
        """
        while self._is_full() and not self._end:
            self._room.clear()
            await self._room.wait()
        if self._end:
            raise errors.BusAway(self._end)
        size_bytes = sum(message.size_bytes for message in messages)
        entry = Entry(messages, size_bytes, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self._count(entry, 1)
        self._wake.set()
        await entry.receipt

    def acknowledged(self, dispatcher: dispatch.Dispatcher, messages: int) -> None:
        """Store a subscription's position within a short delay."""
        if not messages:
            return
        self._moved.add(dispatcher)
        self._trimmable[dispatcher.topic_id] += messages
        self._within(self._limits.acknowledge_after_s)

    def left_over(self, topic_id: int) -> None:
        """Look for messages of this topic that no subscription needs any more."""
        self._trimmable[topic_id] += self._limits.trim_messages
        self._wake.set()

    def tidy(self) -> None:
        """Delete leftover messages, if there are any; called now and then."""
        if any(self._trimmable.values()):
            self._trim_from = 1
            self._wake.set()

    async def run(self) -> None:
        """Write until `finish` is called, then the rest. Only a bug's exception ends it earlier."""
        while not self._end:
            await self._wake.wait()
            self._wake.clear()
            await self._write()
        while self._queue:
            await self._write()
        await self._write()

    def finish(self, why: str) -> None:
        """Accept no more messages; later publishers get `why` as an error."""
        self._end = self._end or why
        self._wake.set()
        self._room.set()

    def abandon(self, why: str) -> None:
        """Drop the unwritten messages, and raise an error for their publishers."""
        self.finish(why)
        _answer(self._queue, why)
        self._queue.clear()

    async def _write(self) -> None:
        entries = self._take()
        messages = [message for entry in entries for message in entry.messages]
        moved, self._moved = self._moved, set()
        self._stop_timer()
        trim = self._next_trim(len(messages))
        if not (messages or moved or trim):
            return
        try:
            await self._commit(messages, moved, trim)
        except (errors.Temporary, sa.exc.SQLAlchemyError) as error:
            logger.bind(seldom="bus").warning("the bus could not write: {error!r}", error=error)
            self._moved |= moved
            self._within(self._limits.try_again_after_s)
            _answer(entries, f"not written: {error}", getattr(error, "told", ""))
        except BaseException:
            _answer(entries, "the bus's writer has ended")
            raise
        else:
            _answer(entries, "")

    async def _commit(
        self,
        messages: Sequence[values.Prepared],
        moved: Iterable[dispatch.Dispatcher],
        trim: values.Trim | None,
    ) -> None:
        async with self._switchboard.step:
            if messages:
                failpoints.hit("bus.before_publish")
            work = values.Work(
                messages=messages,
                cursors=[dispatcher.cursor() for dispatcher in moved],
                trim=trim,
                catalog=self._switchboard.catalog,
                head=self._switchboard.head,
            )
            counted = self._trimmable[trim.topic_id] if trim else 0
            done = await self._database.write(partial(store.commit, work=work), is_quick=True)
            self._switchboard.committed(messages, done)
            if trim:
                self._trimmed(trim, counted, done.trimmed_messages)
            if messages:
                failpoints.hit("bus.after_publish")

    def _take(self) -> list[Entry]:
        """Take queued entries up to the limits, at least one."""
        entries: list[Entry] = []
        messages = size_bytes = 0
        while (
            self._queue
            and messages < self._limits.batch_messages_max
            and size_bytes < self._limits.batch_bytes_max
        ):
            entry = self._queue.popleft()
            self._count(entry, -1)
            messages += len(entry.messages)
            size_bytes += entry.size_bytes
            entries.append(entry)
        if self._queue:
            self._wake.set()
        if not self._is_full():
            self._room.set()
        return entries

    def _count(self, entry: Entry, sign: int) -> None:
        self._queued_messages += sign * len(entry.messages)
        self._queued_bytes += sign * entry.size_bytes

    def _is_full(self) -> bool:
        return (
            self._queued_messages >= self._limits.queue_messages_max
            or self._queued_bytes >= self._limits.queue_bytes_max
        )

    def _within(self, delay_s: float) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._wake.set)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_trim(self, appended_messages: int) -> values.Trim | None:
        """Return what to delete in the next transaction, None if it is not worth it yet."""
        trim_from, self._trim_from = self._trim_from, self._limits.trim_messages
        topic_id, messages = max(
            self._trimmable.items(), key=operator.itemgetter(1), default=(0, 0)
        )
        if messages < trim_from:
            return None
        return values.Trim(topic_id, self._limits.trim_messages + appended_messages)

    def _trimmed(self, trim: values.Trim, counted: int, messages: int) -> None:
        """Subtract deleted messages. If fewer went than asked, a subscription needs the rest."""
        is_more = messages == trim.messages_max
        left = self._trimmable[trim.topic_id] - (messages if is_more else counted)
        self._trimmable[trim.topic_id] = max(left, self._limits.trim_messages if is_more else 0)
        if is_more:
            self._wake.set()


def _answer(entries: Iterable[Entry], problem: str, told: str = "") -> None:
    for entry in entries:
        if entry.receipt.done():
            continue
        if problem:
            away = errors.BusAway(problem)
            away.told = told
            entry.receipt.set_exception(away)
        else:
            entry.receipt.set_result(None)
