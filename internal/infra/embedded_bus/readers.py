"""The readers of the embedded bus: a consumer of subscriptions, or a tail.

Both wait on the loop for messages that other modules hand them. They must not know the file or its
writer.
"""

import asyncio
import itertools
import operator
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from internal.infra import bus, failpoints
from internal.infra.embedded_bus import dispatch, values
from internal.kernel import errors


class Hooks(msgspec.Struct, frozen=True):
    """Called when a consumer took messages, acknowledged a number of them, or left."""

    took: Callable[[dispatch.Dispatcher], None]
    acknowledged: Callable[[dispatch.Dispatcher, int], None]
    left: Callable[["Consumer"], None]


class Consumer:
    """A consumer of the durable subscriptions of one name on its topics."""

    def __init__(
        self, dispatchers: Sequence[dispatch.Dispatcher], unacked_messages_max: int, hooks: Hooks
    ) -> None:
        self._arrival = asyncio.Event()
        self._members = {each: each.join(self._arrival.set) for each in dispatchers}
        self._by_topic = {each.topic: each for each in dispatchers}
        self._turns = deque(dispatchers)
        self._unacked_messages_max = unacked_messages_max
        self._hooks = hooks
        self._end = ""
        for dispatcher in dispatchers:
            hooks.took(dispatcher)

    async def receive(self, messages_max: int) -> list[bus.Delivery]:
        """See Subscription.receive."""
        while True:
            if self._end:
                raise errors.BusAway(self._end)
            if taken := self._take(messages_max):
                return [message.delivery for message in taken]
            self._arrival.clear()
            await self._arrival.wait()

    async def acknowledge(self, deliveries: Sequence[bus.Delivery]) -> None:
        """See Subscription.acknowledge. Stored with the next publication, or soon alone."""
        try:
            failpoints.hit("bus.before_ack")
        except errors.DatabaseAway as error:
            raise errors.BusAway(str(error)) from error
        if self._end:
            return
        for topic, some in itertools.groupby(deliveries, operator.attrgetter("topic")):
            if dispatcher := self._by_topic.get(topic):
                ids = (delivery.message_id for delivery in some)
                count = dispatcher.acknowledge(self._members[dispatcher], ids)
                self._hooks.acknowledged(dispatcher, count)
        self._arrival.set()

    def reads(self, dispatcher: dispatch.Dispatcher) -> bool:
        """Tell whether it gets messages from this dispatcher."""
        return dispatcher in self._members

    async def close(self) -> None:
        """See Subscription.close."""
        self.end("the subscription was closed")

    def end(self, why: str) -> None:
        """Leave, and wake waiting callers."""
        if self._end:
            return
        self._end = why
        for dispatcher, member in self._members.items():
            dispatcher.leave(member)
        self._arrival.set()
        self._hooks.left(self)

    def _take(self, messages_max: int) -> list[values.Stored]:
        out = sum(len(member.out) for member in self._members.values())
        room = min(messages_max, self._unacked_messages_max - out)
        taken: list[values.Stored] = []
        for dispatcher in self._turns:
            if room > len(taken):
                taken += dispatcher.take(self._members[dispatcher], room - len(taken))
                self._hooks.took(dispatcher)
        if len(self._turns) > 1:
            self._turns.rotate(-1)  # a topic that is always full does not starve the others
            taken.sort(key=operator.attrgetter("seq"))
        return taken


class Tail:
    """A live reader. `dropped_messages` counts the messages it was too slow for."""

    def __init__(self, messages_max: int, wants: bus.Wants, left: Callable[["Tail"], None]) -> None:
        self.dropped_messages = 0
        self._waiting: deque[bus.Delivery] = deque()
        self._arrival = asyncio.Event()
        self._messages_max = messages_max
        self._wants = wants
        self._left = left
        self._end = ""

    def hand(self, messages: Sequence[values.Stored]) -> None:
        """Add those that are wanted, dropping the oldest that do not fit."""
        for message in messages:
            if self._wants(message.delivery.topic, message.delivery.key):
                self._waiting.append(message.delivery)
        while len(self._waiting) > self._messages_max:
            self._waiting.popleft()
            self.dropped_messages += 1
        if self._waiting:
            self._arrival.set()

    async def receive(self, messages_max: int) -> list[bus.Delivery]:
        """See Subscription.receive."""
        while True:
            if self._end:
                raise errors.BusAway(self._end)
            if self._waiting:
                count = min(messages_max, len(self._waiting))
                return [self._waiting.popleft() for _ in range(count)]
            self._arrival.clear()
            await self._arrival.wait()

    async def acknowledge(self, deliveries: Sequence[bus.Delivery]) -> None:
        """Do nothing: a tail's messages are not kept."""

    async def close(self) -> None:
        """See Subscription.close."""
        self.end("the tail was closed")

    def end(self, why: str) -> None:
        """Leave, and wake waiting callers."""
        if self._end:
            return
        self._end = why
        self._arrival.set()
        self._left(self)
