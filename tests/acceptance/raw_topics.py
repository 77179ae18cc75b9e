"""Publishes messages on the topics of a running engine directly, as another program might."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from internal.infra import bus
from internal.infra.embedded_bus import bus as embedded_bus
from internal.pipeline import dead_letters
from internal.pipeline.dead_letters import DeadLetter
from tests.acceptance import audit

WAIT_S = 30.0
LOOK_EVERY_S = 0.05


async def publish(folder: Path, messages: Sequence[bus.Outgoing]) -> None:
    """Publish messages; the engine notices them soon."""
    async with audit.database_of(folder) as database:
        broker = embedded_bus.EmbeddedBus(database)
        await broker.open()
        await broker.publish(messages)
        await broker.close()


async def letters(folder: Path, count: int) -> list[DeadLetter]:
    """Wait until there are `count` dead letters, or time is up; return those that there are."""
    give_up_at_s = time.perf_counter() + WAIT_S
    async with audit.database_of(folder) as database:
        while True:
            found = await database.read(dead_letters.list_open)
            if len(found) >= count or time.perf_counter() > give_up_at_s:
                return found
            await asyncio.sleep(LOOK_EVERY_S)
