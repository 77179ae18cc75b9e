"""The broker's copies of dead letters, on <topic>.dlq: acknowledged when their letters are closed.

Until then they stay in the subscription "operators", for people who watch topics. The table
decides; must not close a letter itself.
"""

import asyncio
from collections.abc import Sequence

from internal.flow import topics
from internal.infra import bus, db
from internal.pipeline import dead_letters

AT_ONCE = 500
HELD_MAX = 10_000
"""Up to this many copies of one topic are read by one command: all are in memory at once."""
PATIENCE_S = 2.0
"""This long without a message is the end: a backlog may count what is being acknowledged."""


async def clear(database: db.Database, broker: bus.Bus) -> int:
    """Acknowledge the copies of closed letters; return how many that was.

    Raises:
        BusAway: the broker cannot be reached; the next command clears them.
        DatabaseAway: the letters cannot be read.
    """
    await broker.ensure(topics.subscriptions())
    cleared = 0
    for topic in topics.dead_letter_topics():
        waiting = await broker.backlog(topic, topics.DEAD_LETTER_SUBSCRIPTION)
        if waiting:
            cleared += await _clear_topic(database, broker, topic, min(waiting, HELD_MAX))
    return cleared


async def _clear_topic(database: db.Database, broker: bus.Bus, topic: str, waiting: int) -> int:
    name, cleared = topics.DEAD_LETTER_SUBSCRIPTION, 0
    subscription = await broker.subscribe([topic], name, unacked_messages_max=waiting)
    try:
        while waiting > 0:
            async with asyncio.timeout(PATIENCE_S):
                copies = await subscription.receive(AT_ONCE)
            waiting -= len(copies)
            done = await _done(database, topic, copies)
            await subscription.acknowledge(done)
            cleared += len(done)
    except TimeoutError:
        pass
    finally:
        await subscription.close()
    return cleared


async def _done(
    database: db.Database, topic: str, copies: Sequence[bus.Delivery]
) -> list[bus.Delivery]:
    """Return the copies whose letters are closed.

    A copy that names no letter is done when no letter of its topic is open.
    """
    keys = [key for copy in copies if (key := _letter_key(copy)) is not None]
    closed = await database.read(lambda c: dead_letters.find_closed(c, keys))
    has_open = await database.read(lambda c: dead_letters.has_open(c, topic))
    return [
        copy
        for copy in copies
        if (not has_open if (key := _letter_key(copy)) is None else key in closed)
    ]


def _letter_key(copy: bus.Delivery) -> int | None:
    text = copy.properties.get(dead_letters.LETTER_PROPERTY, "")
    return int(text) if text.isascii() and text.isdecimal() else None
