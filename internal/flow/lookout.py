"""The lookout: reads from the broker how far the stages are behind, and tells all watchers.

They share it because each topic's statistics cost the broker and this process milliseconds, however
few messages wait.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from loguru import logger

from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors


class Watcher(Protocol):
    """Wants to know what the lookout sees."""

    async def see(self, found: Sequence[bus.Subscribed]) -> None:
        """Take the state of all stages' subscriptions; some may not exist yet."""
        ...

    def miss(self) -> None:
        """Learn that the broker could not be asked this time."""
        ...


class Lookout:
    """Looks every `interval_s`."""

    def __init__(self, broker: bus.Bus, watchers: Sequence[Watcher], interval_s: float) -> None:
        self._bus, self._watchers, self._interval_s = broker, watchers, interval_s

    async def run(self) -> None:
        """Look again and again; a broker that is away is asked later."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Look once, and tell the watchers."""
        try:
            found = await self._bus.subscriptions([topic for topic, _ in topics.STAGE_OF])
        except (errors.BusAway, errors.Misconfigured) as error:
            logger.bind(seldom="lookout").warning("the topics cannot be looked at: {!r}", error)
            for watcher in self._watchers:
                watcher.miss()
            return
        stages = [it for it in found if (it.topic, it.name) in topics.STAGE_OF]
        for watcher in self._watchers:
            await watcher.see(stages)
