"""Puts messages on Pulsar's topics and waits for the receipts, from one event loop.

One producer per topic, made when it is first needed. It sends, and fails, in the order of
publishing, so that messages repeated after a failure precede the next ones of their publisher.
"""

import asyncio
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pulsar

from internal.infra import bus, failpoints, settings
from internal.infra.pulsar_bus import driver, partitions
from internal.kernel import errors

MESSAGE_BYTES_MAX = 5 * 1024 * 1024 - 1024
"""Pulsar's default `maxMessageSize`, the limit of payload, key, properties and the client's own
bytes together. A message that the client accepts and the broker does not costs the connection, and
with it the receipts of all callers.
"""

PROPERTY_BYTES_MAX = 12
"""Bytes of a property on the wire beside its name and value."""

TOPIC = re.compile(r"[\w.=:-]+", re.ASCII)

RECEIPT_GRACE_S = 2.0
"""The client gives up after send_timeout_s; this much later Souk gives up on the client."""

DEAD = frozenset(
    {
        driver.Result.Timeout,  # it may never connect again: decision 0022
        driver.Result.AlreadyClosed,
        driver.Result.ProducerNotInitialized,
        driver.Result.ProducerFenced,
        driver.Result.TopicTerminated,
        driver.Result.TopicNotFound,
        driver.Result.NotAllowedError,
        driver.Result.AuthenticationError,
        driver.Result.AuthorizationError,
        driver.Result.ProducerBlockedQuotaExceededError,
        driver.Result.ProducerBlockedQuotaExceededException,
    }
)
"""After one of these results a producer is useless. After any other it connects again."""


class Limits(msgspec.Struct, frozen=True):
    """How much may be in flight."""

    batch_messages_max: int = 1_000
    """Messages of one call; its next ones are sent when all of these have their receipts."""

    batch_bytes_max: int = 4 * 1024 * 1024

    in_flight_messages_max: int = 10_000
    """Messages of all calls; beyond this, callers wait: the broker is slower than they are."""

    in_flight_bytes_max: int = 32 * 1024 * 1024


class Sized(msgspec.Struct, frozen=True):
    """A checked message, and its size."""

    message: bus.Outgoing
    size_bytes: int


class Sending(msgspec.Struct, eq=False):
    """A batch in flight: how many receipts are missing, and the first failure."""

    done: "asyncio.Future[None]"
    waiting_messages: int
    size_bytes: int
    failure: Any = None


class Topic:
    """A topic's producer."""

    def __init__(self, full_name: str) -> None:
        self.full_name = full_name
        self.producer: Any = None
        self.turn = asyncio.Lock()
        self.refusals = 0
        self.refusal = ""


class PulsarPublisher:
    """A bus.Publisher over a client that its owner opens and closes.

    Made and used on one event loop.
    """

    def __init__(
        self,
        client: pulsar.Client,
        options: settings.PulsarSettings,
        topics: settings.TopicSettings,
        limits: Limits | None = None,
    ) -> None:
        self._client, self._options = client, options
        self.shard_keys, self._partitions = topics.shard_keys, topics.partitions
        self._limits = limits or Limits()
        self._topics: dict[str, Topic] = {}
        self._receipts = driver.HandOver(self._process_receipts)
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._sending: set[Sending] = set()
        self._in_flight_messages = self._in_flight_bytes = 0
        self._end = ""

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish. Messages above the limits are sent in several batches.

        Raises:
            BusAway: no receipt for at least one of them; publishing all again is safe for readers.
            Poison: see Publisher.publish. If only this broker's own limit is exceeded, other
                messages may have been sent.
        """
        self._require_open()
        sized = [_size(message) for message in messages]
        for batch in _in_batches(sized, self._limits):
            await self._publish(batch)

    async def close(self) -> None:
        """Wait for the missing receipts, then close the producers."""
        if self._end:
            return
        self._end = "the publisher was closed"
        if waiting := [sending.done for sending in self._sending]:
            await asyncio.wait(waiting, timeout=self._options.send_timeout_s)
        producers = [topic.producer for topic in self._topics.values() if topic.producer]
        self._topics.clear()
        closing = [asyncio.to_thread(driver.close_quietly, each) for each in producers]
        await asyncio.gather(*closing)

    async def _publish(self, batch: Sequence[Sized]) -> None:
        try:
            failpoints.hit("bus.before_publish")
            sending = await self._hand_over(batch)
            await self._receive_receipts(sending)
            failpoints.hit("bus.after_publish")
        except errors.DatabaseAway as error:  # raised by a failpoint
            raise errors.BusAway(str(error)) from error

    async def _hand_over(self, batch: Sequence[Sized]) -> Sending:
        """Give the batch to the client, in turn and when there is room for it."""
        names = dict.fromkeys(sized.message.topic for sized in batch)
        size_bytes = sum(sized.size_bytes for sized in batch)
        while True:
            topics = {name: await self._topic(name) for name in names}
            async with self._turn:
                await self._wait_for_room(len(batch), size_bytes)
                # A producer may have died during the wait.
                if all(topic.producer for topic in topics.values()):
                    return self._send(batch, topics, size_bytes)

    async def _wait_for_room(self, messages: int, size_bytes: int) -> None:
        limits = self._limits
        while self._sending and (
            self._in_flight_messages + messages > limits.in_flight_messages_max
            or self._in_flight_bytes + size_bytes > limits.in_flight_bytes_max
        ):
            self._room.clear()
            await self._room.wait()
        self._require_open()

    def _send(self, batch: Sequence[Sized], topics: dict[str, Topic], size_bytes: int) -> Sending:
        done = asyncio.get_running_loop().create_future()
        sending = Sending(done, len(batch), size_bytes)
        self._sending.add(sending)
        self._in_flight_messages += len(batch)
        self._in_flight_bytes += size_bytes
        receipts = {
            name: functools.partial(self._receipt, sending, topic, topic.producer)
            for name, topic in topics.items()
        }
        for sized in batch:
            message, topic = sized.message, topics[sized.message.topic]
            driver.send(
                topic.producer,
                message.payload,
                message.key,
                message.properties,
                receipts[message.topic],
            )
        return sending

    def _receipt(
        self,
        sending: Sending,
        topic: Topic,
        producer: Any,  # noqa: ANN401 - pulsar ships no types
        result: Any,  # noqa: ANN401 - pulsar ships no types
        _message_id: object,
    ) -> None:
        """Hand over a receipt; called on a thread of the client."""
        self._receipts.came((sending, topic, producer, result))

    def _process_receipts(self) -> None:
        results = self._receipts.results
        while results:
            sending, topic, producer, result = results.popleft()
            if sending not in self._sending:
                continue  # its caller has given up
            if result != driver.Result.Ok:
                sending.failure = sending.failure or result
                self._drop_if_dead(topic, producer, result)
            sending.waiting_messages -= 1
            self._in_flight_messages -= 1
            if not sending.waiting_messages:
                self._finish(sending)

    def _finish(self, sending: Sending) -> None:
        self._sending.discard(sending)
        self._in_flight_messages -= sending.waiting_messages
        self._in_flight_bytes -= sending.size_bytes
        self._room.set()
        if not sending.done.done():
            sending.done.set_result(None)

    async def _receive_receipts(self, sending: Sending) -> None:
        try:
            async with asyncio.timeout(self._options.send_timeout_s + RECEIPT_GRACE_S):
                await sending.done
        except TimeoutError:
            self._finish(sending)
            raise errors.BusAway("no receipt and no answer from the client") from None
        if sending.failure == driver.Result.MessageTooBig:
            raise errors.Poison("MESSAGE_TOO_LARGE", "larger than this broker takes")
        if sending.failure is not None:
            raise errors.BusAway(f"no receipt from the broker: {sending.failure.name}")

    async def _topic(self, name: str) -> Topic:
        """Return a topic with its producer, in the order of asking.

        Raises:
            BusAway: the broker did not create one.
        """
        self._require_open()
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._options.topic(name))
        refusals = topic.refusals
        async with topic.turn:
            if topic.producer is None:
                if topic.refusals > refusals:  # during the wait
                    raise errors.BusAway(topic.refusal)
                topic.producer = await self._make_producer(topic)
        return topic

    async def _make_producer(self, topic: Topic) -> Any:  # noqa: ANN401 - pulsar ships no types
        pending_max = 2 * self._limits.in_flight_messages_max
        make = functools.partial(
            self._client.create_producer,
            topic.full_name,
            message_router=_route,
            send_timeout_millis=int(self._options.send_timeout_s * 1_000),
            max_pending_messages=pending_max,
            max_pending_messages_across_partitions=pending_max * self._partitions,
            block_if_queue_full=False,
            # A batch saves the broker half its work, but makes single messages wait 1 ms more,
            # counts as one message in backlogs, and comes again as a whole.
            batching_enabled=False,
            # Costs next to nothing for one order; 20 of them shrink to a third, which saves the
            # broker more than twice what it costs here.
            compression_type=pulsar.CompressionType.LZ4,
        )
        what = f"a producer for {topic.full_name}"
        try:
            return await driver.in_thread(what, make, driver.close_quietly)
        except errors.BusAway as error:
            topic.refusals += 1
            topic.refusal = str(error)
            raise

    def _drop_if_dead(self, topic: Topic, producer: Any, result: Any) -> None:  # noqa: ANN401
        if result in DEAD and topic.producer is producer:
            topic.producer = None
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, driver.close_quietly, producer)

    def _require_open(self) -> None:
        if self._end:
            raise errors.BusAway(self._end)


def _route(message: Any, number: int) -> int:  # noqa: ANN401 - pulsar ships no types
    return partitions.partition_of(message.partition_key(), number)


def _size(message: bus.Outgoing) -> Sized:
    """Check a message.

    Raises:
        Poison: too large, or a topic, key or property that is not text.
    """
    try:
        is_name = TOPIC.fullmatch(message.topic)
        size_bytes = len(message.payload) + len(message.key.encode()) + _texts_bytes(message)
    except (AttributeError, TypeError, UnicodeEncodeError) as error:
        what = f"a topic, key or property that is not text: {error}"
        raise errors.Poison("MESSAGE_TEXT_INVALID", what) from error
    if not is_name:
        raise errors.Poison("TOPIC_INVALID", f"this is not a name of a topic: {message.topic!r}")
    if size_bytes > MESSAGE_BYTES_MAX:
        what = f"a message of {size_bytes} bytes, at most {MESSAGE_BYTES_MAX} are taken"
        raise errors.Poison("MESSAGE_TOO_LARGE", what)
    return Sized(message, size_bytes)


def _texts_bytes(message: bus.Outgoing) -> int:
    properties = message.properties.items()
    return sum(
        len(n.encode()) + len(value.encode()) + PROPERTY_BYTES_MAX for n, value in properties
    )


def _in_batches(messages: Sequence[Sized], limits: Limits) -> Iterator[Sequence[Sized]]:
    """Cut the messages into batches that are sent at a time."""
    start = size_bytes = 0
    for end, sized in enumerate(messages):
        size_bytes += sized.size_bytes
        is_full = end - start == limits.batch_messages_max or size_bytes > limits.batch_bytes_max
        if is_full and end > start:
            yield messages[start:end]
            start, size_bytes = end, sized.size_bytes
    if start < len(messages):
        yield messages[start:]
