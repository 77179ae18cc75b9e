"""The switchboard of the embedded bus: passes committed messages to every reader.

Its `head` is the number of the newest message it knows about. A task that looks for newer messages
in the file, or adds some, holds the lock `step` meanwhile: so every message is announced exactly
once, whichever process published it. It does no I/O itself.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from internal.infra import bus
from internal.infra.embedded_bus import dispatch, readers, values


class Switchboard:
    """Dispatchers and tails by topic, and what is known about the file."""

    def __init__(
        self,
        head: int,
        catalog: values.Catalog,
        read: Callable[[dispatch.Dispatcher, values.PageRequest], None],
    ) -> None:
        self.step = asyncio.Lock()
        self.head = head
        self.catalog = catalog
        self.dispatchers: dict[tuple[str, str], dispatch.Dispatcher] = {}
        self._read = read
        self._tails: defaultdict[str, list[readers.Tail]] = defaultdict(list)
        self._unkept = (f"live-{head}-{number}" for number in itertools.count())

    def add_tail(self, tail: readers.Tail, topics: Sequence[str]) -> None:
        """Hand the tail all messages published on these topics from now on."""
        for topic in topics:
            self._tails[topic].append(tail)

    def remove_tail(self, tail: readers.Tail) -> None:
        """Forget the tail."""
        for tails in self._tails.values():
            if tail in tails:
                tails.remove(tail)

    def advance(self, dispatcher: dispatch.Dispatcher) -> None:
        """Have the dispatcher's next page read, if it wants one."""
        if request := dispatcher.wanted(self.head):
            dispatcher.is_reading = True
            self._read(dispatcher, request)

    def noticed(self, noticed: values.Noticed) -> None:
        """Count messages that other processes published, up to `head`; they are in the file."""
        self._count(noticed.others)
        self._move(noticed.head)

    def committed(self, messages: Sequence[values.Prepared], done: values.Done) -> None:
        """Hand out the messages that a transaction of this process appended."""
        self.catalog = done.catalog
        self._count(done.others)
        by_topic = self._by_topic(messages, done)
        for dispatcher in self.dispatchers.values():
            dispatcher.committed(done.before, done.after, by_topic.get(dispatcher.topic, ()))
        for topic, stored in by_topic.items():
            for tail in self._tails.get(topic, ()):
                tail.hand(stored)
        self._move(done.after)

    def _count(self, others: Mapping[int, values.Count]) -> None:
        for dispatcher in self.dispatchers.values():
            if count := others.get(dispatcher.topic_id):
                dispatcher.noticed(count)

    def _move(self, head: int) -> None:
        self.head = head
        for dispatcher in self.dispatchers.values():
            self.advance(dispatcher)

    def _by_topic(
        self, messages: Sequence[values.Prepared], done: values.Done
    ) -> Mapping[str, list[values.Stored]]:
        by_topic: defaultdict[str, list[values.Stored]] = defaultdict(list)
        numbers = itertools.count(done.before + 1)
        for prepared in messages:
            topic = prepared.message.topic
            if topic in done.catalog.topics:
                seq = next(numbers)
                by_topic[topic].append(_stored(prepared, seq, str(seq)))
            elif self._tails.get(topic):
                by_topic[topic].append(_stored(prepared, 0, next(self._unkept)))
        return by_topic


def _stored(prepared: values.Prepared, seq: int, message_id: str) -> values.Stored:
    message = prepared.message
    delivery = bus.Delivery(
        message.topic, message_id, message.key, message.payload, dict(message.properties)
    )
    return values.Stored(
        seq, delivery, prepared.orders, prepared.published_at_us, prepared.size_bytes
    )
