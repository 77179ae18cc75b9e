"""Replaces waiting messages of many orders by messages of one order each, on the same topic.

An intake that never has two orders at a time would write such messages. The function that reads the
topic must be stopped meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from internal.flow import topics
from internal.infra import bus, settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.kernel.facts import Fact
from internal.pipeline import envelope

COPY_SUBSCRIPTION = "bench"
"""A subscription of our own, which reads the waiting messages."""
RECEIVED_MAX = 500
PUBLISHED_MAX = 2_000
WAITS_MAX = 1_000
RECEIVE_S = 30.0

Split = Callable[[], Awaitable[int]]
"""Replaces all messages since it was made; returns the number of orders in them."""


@contextlib.asynccontextmanager
async def watching(
    broker: bus.Bus, api: admin.PulsarAdmin, options: settings.PulsarSettings
) -> AsyncIterator[Split]:
    """Watch the first topic of an engine; delete the subscription afterwards.

    Raises:
        BusAway: the broker cannot be reached, or messages are missing.
        Poison: there is something other than orders on the topic.
    """
    place = f"/admin/v2/persistent/{options.tenant}/{options.namespace}/{quote(topics.PLACED)}"

    async def skip_all(subscription: str) -> None:
        await api.post(f"{place}/subscription/{subscription}/skip_all")

    async def split() -> int:
        opened = await _copied(broker)
        await skip_all(topics.ORDER.subscription)
        keys = broker.shard_keys
        singles = [
            message
            for one in opened
            for message in topics.ENVELOPE.pack([_fact_or_raise(one.fact)], keys, [one.private])
        ]
        for start in range(0, len(singles), PUBLISHED_MAX):
            await broker.publish(singles[start : start + PUBLISHED_MAX])
        return len(singles)

    await broker.ensure({topics.PLACED: [COPY_SUBSCRIPTION]})
    try:
        await skip_all(COPY_SUBSCRIPTION)
        yield split
    finally:
        await api.drop_subscription(topics.PLACED, COPY_SUBSCRIPTION)


async def _copied(broker: bus.Bus) -> list[envelope.Opened]:
    """Read all messages that wait for our subscription."""
    opened: list[envelope.Opened] = []
    waiting = await broker.backlog(topics.PLACED, COPY_SUBSCRIPTION)
    reader = await broker.subscribe(
        [topics.PLACED], COPY_SUBSCRIPTION, unacked_messages_max=WAITS_MAX
    )
    try:
        while waiting > 0:
            deliveries = await _received(reader)
            for delivery in deliveries:
                opened += topics.ENVELOPE.open(delivery.payload)
            await reader.acknowledge(deliveries)
            waiting -= len(deliveries)
    finally:
        await reader.close()
    return opened


async def _received(reader: bus.Subscription) -> list[bus.Delivery]:
    try:
        async with asyncio.timeout(RECEIVE_S):
            return await reader.receive(RECEIVED_MAX)
    except TimeoutError:
        raise errors.BusAway(f"nothing more came within {RECEIVE_S:.0f} s") from None


def _fact_or_raise(fact: Fact | errors.Poison) -> Fact:
    if isinstance(fact, errors.Poison):
        raise fact
    return fact
