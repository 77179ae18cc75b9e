"""The bus over Apache Pulsar: a client of the broker, and its admin API for topics and backlogs.

Topics have their short names here ("orders.placed"); only the settings know their namespace. It is
interchangeable with the embedded bus.
"""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulsar

from internal.infra import bus, settings
from internal.infra import clock as system_clock
from internal.infra.pulsar_bus import admin, driver, order_means, partitions, publisher, readers
from internal.kernel import errors
from internal.kernel.clock import Clock

QUEUE_MESSAGES_MAX = 1_000
"""A consumer's client requests at most this many in advance, however many may be out."""

TAIL_MESSAGES_MAX = 2_000
"""A tail keeps this many messages for a busy reader; then it drops the oldest."""

PROBE_TOPIC = "orders.placed"
"""Looked up when the bus opens; it need not exist."""


class PulsarBus:
    """A client of the broker. `open` it before anything else."""

    def __init__(
        self,
        options: settings.PulsarSettings,
        topics: settings.TopicSettings,
        clock: Clock | None = None,
        *,
        client_log: Path | None = None,
        tail_messages_max: int = TAIL_MESSAGES_MAX,
    ) -> None:
        """Store the options; the client's own warnings go to `client_log`."""
        self._options, self._topics = options, topics
        self._clock = clock or system_clock.SystemClock()
        self._client_log = client_log
        self._tail_messages_max = tail_messages_max
        self._readers: set[readers.Consumer | readers.Tail] = set()
        self._means = order_means.OrderMeans()
        self._end = "the bus is not open"

    async def open(self) -> None:
        """Connect.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: it rejects this client, or a setting is wrong.
        """
        self._admin = admin.PulsarAdmin(self._options)
        make = functools.partial(driver.open_client, self._options, self._client_log)
        self._client: pulsar.Client = await asyncio.to_thread(make)
        try:
            await self._probe()
        except BaseException:
            await self._close_client()
            raise
        self._publisher = publisher.PulsarPublisher(self._client, self._options, self._topics)
        self._end = ""

    @property
    def shard_keys(self) -> int:
        """See Publisher.shard_keys."""
        return self._topics.shard_keys

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish."""
        self._require_open()
        for message in messages:
            self._means.note(message.topic, message.properties)
        await self._publisher.publish(messages)

    async def ensure(self, subscriptions: Mapping[str, Sequence[str]]) -> None:
        """See Bus.ensure.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: the namespace does not exist, this client may not create topics in it, or
                a topic has another number of partitions.
        """
        self._require_open()
        await self._admin.ensure(subscriptions, self._topics.partitions)

    async def subscribe(
        self, topics: Sequence[str], name: str, *, unacked_messages_max: int = 1_000
    ) -> readers.Consumer:
        """See Bus.subscribe."""
        self._require_open()
        make = functools.partial(
            self._client.subscribe,
            subscription_name=name,
            consumer_type=pulsar.ConsumerType.KeyShared,
            initial_position=pulsar.InitialPosition.Earliest,
            receiver_queue_size=min(unacked_messages_max, QUEUE_MESSAGES_MAX),
        )
        consumers = await self._open_all(f"the subscription {name}", topics, make)
        consumer = readers.Consumer(consumers, unacked_messages_max, self._readers.discard)
        self._readers.add(consumer)
        return consumer

    async def tail(self, topics: Sequence[str], wants: bus.Wants = bus.everything) -> readers.Tail:
        """See Bus.tail. It sees messages of every process; each tail costs, so share one.

        Raises:
            BusAway: the broker cannot be reached.
        """
        self._require_open()
        make = functools.partial(
            self._client.create_reader, start_message_id=pulsar.MessageId.latest
        )
        opened = await self._open_all("a reader", topics, make)
        hooks = readers.TailHooks(wants, sample=self._means.note, left=self._readers.discard)
        tail = readers.Tail(opened, self._tail_messages_max, hooks)
        self._readers.add(tail)
        return tail

    async def backlog(self, topic: str, subscription: str) -> int:
        """See Bus.backlog. It costs a request to the admin API."""
        self._require_open()
        stats = await self._admin.subscription_stats(topic, subscription)
        return int(stats["msgBacklog"])

    async def subscriptions(self, topics: Sequence[str]) -> list[bus.Subscribed]:
        """See Bus.subscriptions. It costs a request for each topic.

        The broker counts messages only. Each is taken to hold as many orders as the messages of its
        topic that this process lately published or tailed did on average; one if there were none.
        """
        self._require_open()
        stats = {it: await self._admin.topic_stats(it, in_full=True) or {} for it in topics}
        return [
            bus.Subscribed(
                topic,
                name,
                int(found["msgBacklog"]),
                round(int(found["msgBacklog"]) * self._means.of(topic)),
                self._oldest_age_us(found),
                len(found["consumers"]),
                partitions.delivering(of_topic, name),
            )
            for topic, of_topic in stats.items()
            for name, found in of_topic.get("subscriptions", {}).items()
            if found["isDurable"]
        ]

    async def drop(self, topic: str, subscription: str) -> None:
        """See Bus.drop."""
        self._require_open()
        await self._admin.drop_subscription(topic, subscription)

    async def reopen(self, topic: str, partition: int) -> None:
        """See Bus.reopen."""
        self._require_open()
        await self._admin.unload(topic, partition)

    async def close(self) -> None:
        """See Bus.close."""
        if self._end:
            return
        self._end = "the bus was closed"
        leaving = tuple(self._readers)
        await asyncio.gather(self._publisher.close(), *(reader.close() for reader in leaving))
        await self._close_client()

    def _oldest_age_us(self, stats: Mapping[str, Any]) -> int:
        at_ms = int(stats["earliestMsgPublishTimeInBacklog"])
        return max(self._clock.now_us() - at_ms * 1_000, 0) if at_ms > 0 else 0

    def _require_open(self) -> None:
        if self._end:
            raise errors.BusAway(self._end)

    async def _probe(self) -> None:
        """Try the admin API and the broker; the admin API first, as it rejects a client at once."""
        await self._admin.topic_stats(PROBE_TOPIC)
        full_name = self._options.topic(PROBE_TOPIC)
        look = functools.partial(self._client.get_topic_partitions, full_name)
        try:
            await driver.in_thread("asking for a topic", look, lambda _: None)
        except errors.BusAway as error:
            if isinstance(error.__cause__, driver.REFUSED):
                raise errors.Misconfigured(f"the broker refuses this client: {error}") from error
            if isinstance(error.__cause__, driver.NotFound):
                place = f"{self._options.tenant}/{self._options.namespace}"
                text = f"the broker has no namespace {place}; scripts/deploy_functions makes it"
                raise errors.Misconfigured(text) from error
            raise await self._away(error) from error

    async def _away(self, error: errors.BusAway) -> errors.BusAway:
        """Name the address and the reason in one line."""
        url = self._options.service_url
        why = await asyncio.to_thread(driver.why_away, url)
        named = f"SOUK_PULSAR__SERVICE_URL names {url}"
        return errors.BusAway(f"{named}: {why}" if why else f"{named}, which answers, but: {error}")

    async def _open_all(
        self, what: str, topics: Sequence[str], make: "functools.partial[object]"
    ) -> dict[str, object]:
        """Open a consumer or reader for each topic, or none.

        One for each topic, not one for all, so that the topic of each message is known.
        """
        opened: dict[str, object] = {}
        try:
            for topic in dict.fromkeys(topics):
                here = functools.partial(make, topic=self._options.topic(topic))
                opened[topic] = await driver.in_thread(what, here, driver.close_quietly)
            self._require_open()
        except BaseException:
            for each in opened.values():
                asyncio.get_running_loop().run_in_executor(None, driver.close_quietly, each)
            raise
        return opened

    async def _close_client(self) -> None:
        await self._admin.close()
        await asyncio.to_thread(driver.close_quietly, self._client)
