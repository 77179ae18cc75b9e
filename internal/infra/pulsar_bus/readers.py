"""The readers of Pulsar: a consumer of subscriptions, or a tail.

Both take messages from the client on the event loop; the client holds no more than its queue, all
other messages wait in the broker.
"""

import asyncio
import operator
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from internal.infra import bus, failpoints
from internal.infra.pulsar_bus import driver
from internal.kernel import errors

PUMP_MESSAGES_MAX = 500
"""A tail takes this many before it yields to the loop."""
SAMPLE_EVERY = 7
"""A tail reads the properties of one message in seven; a mean needs no more."""


class Arrived(msgspec.Struct, frozen=True):
    """A message, the id that acknowledges it, and when it was published."""

    delivery: bus.Delivery
    message_id: Any
    published_at_ms: int


class Consumer:
    """A consumer of the durable subscriptions of one name on its topics."""

    def __init__(
        self,
        consumers: Mapping[str, Any],
        unacked_messages_max: int,
        left: Callable[["Consumer"], None],
    ) -> None:
        self._consumers = consumers
        self._arrival = asyncio.Event()
        came = driver.HandOver(self._arrival.set)
        self._pulls = deque(
            (topic, driver.pull_consumer(each, came)) for topic, each in consumers.items()
        )
        self._out: dict[tuple[str, str], Any] = {}
        self._unacked_messages_max = unacked_messages_max
        self._left = left
        self._end = ""

    async def receive(self, messages_max: int) -> list[bus.Delivery]:
        """See Subscription.receive. A message that comes again while it is out is ignored."""
        while True:
            if self._end:
                raise errors.BusAway(self._end)
            self._arrival.clear()
            if taken := self._take(messages_max):
                return [arrived.delivery for arrived in taken]
            await self._arrival.wait()

    async def acknowledge(self, deliveries: Sequence[bus.Delivery]) -> None:
        """See Subscription.acknowledge. The client sends it within 0.1 s, with others."""
        try:
            failpoints.hit("bus.before_ack")
        except errors.DatabaseAway as error:
            raise errors.BusAway(str(error)) from error
        if self._end:
            return
        for delivery in deliveries:
            message_id = self._out.pop((delivery.topic, delivery.message_id), None)
            if message_id is not None:
                driver.acknowledge(self._consumers[delivery.topic], message_id)
        self._arrival.set()

    async def close(self) -> None:
        """See Subscription.close. Pending acknowledgements are sent."""
        if not self.end("the subscription was closed"):
            return
        consumers = self._consumers.values()
        await asyncio.gather(*(asyncio.to_thread(driver.close_quietly, it) for it in consumers))

    def end(self, why: str) -> bool:
        """Hand out nothing more, and wake waiting callers; tell whether it was open before."""
        if self._end:
            return False
        self._end = why
        self._arrival.set()
        self._left(self)
        return True

    def _take(self, messages_max: int) -> list[Arrived]:
        room = min(messages_max, self._unacked_messages_max - len(self._out))
        taken: list[Arrived] = []
        for topic, pull in self._pulls:
            while len(taken) < room and (message := pull.take()) is not None:
                arrived = _arrived(topic, message)
                place = topic, arrived.delivery.message_id
                if place not in self._out:
                    self._out[place] = arrived.message_id
                    taken.append(arrived)
        if len(self._pulls) > 1:
            self._pulls.rotate(-1)  # a topic that is always full does not starve the others
            taken.sort(key=operator.attrgetter("published_at_ms"))
        return taken


class TailHooks(msgspec.Struct, frozen=True):
    """Called when a message comes, now and then with its properties, and when a tail leaves."""

    wants: bus.Wants
    sample: Callable[[str, Mapping[str, str]], None]
    left: Callable[["Tail"], None]


class Tail:
    """A live reader. `dropped_messages` counts the messages it was too slow for."""

    def __init__(self, readers: Mapping[str, Any], messages_max: int, hooks: TailHooks) -> None:
        self.dropped_messages = 0
        self._readers = readers
        self._waiting: deque[bus.Delivery] = deque()
        self._arrival = asyncio.Event()
        self._came = driver.HandOver(self._pump)
        self._pulls = [
            (topic, driver.pull_reader(each, self._came)) for topic, each in readers.items()
        ]
        self._messages_max = messages_max
        self._hooks = hooks
        self._until_sample = 0
        self._end = ""
        self._pump()

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
        if not self.end("the tail was closed"):
            return
        readers = self._readers.values()
        await asyncio.gather(*(asyncio.to_thread(driver.close_quietly, it) for it in readers))

    def end(self, why: str) -> bool:
        """Hand out nothing more, and wake waiting callers; tell whether it was open before."""
        if self._end:
            return False
        self._end = why
        self._arrival.set()
        self._hooks.left(self)
        return True

    def _pump(self) -> None:
        """Take the available messages, dropping the oldest that do not fit."""
        if self._end:
            return
        try:
            for topic, pull in self._pulls:
                self._pump_one(topic, pull)
        except errors.BusAway as error:
            self.end(str(error))
        while len(self._waiting) > self._messages_max:
            self._waiting.popleft()
            self.dropped_messages += 1
        if self._waiting:
            self._arrival.set()

    def _pump_one(self, topic: str, pull: driver.Pull) -> None:
        for _ in range(PUMP_MESSAGES_MAX):
            message = pull.take()
            if message is None:
                return
            self._sample(topic, message)
            if self._hooks.wants(topic, message.partition_key()):
                self._waiting.append(_arrived(topic, message).delivery)
        self._came.wake()

    def _sample(self, topic: str, message: Any) -> None:  # noqa: ANN401 - pulsar ships no types
        if self._until_sample == 0:
            self._hooks.sample(topic, message.properties())
            self._until_sample = SAMPLE_EVERY
        self._until_sample -= 1


def _arrived(topic: str, message: Any) -> Arrived:  # noqa: ANN401 - pulsar ships no types
    message_id = message.message_id()
    delivery = bus.Delivery(
        topic,
        driver.name_of(message_id),
        message.partition_key(),
        message.data(),
        message.properties(),
        message.redelivery_count(),
    )
    return Arrived(delivery, message_id, message.publish_timestamp())
