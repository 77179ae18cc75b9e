"""The monitor: what waits at each stage, and the age of the oldest order that has not ended.

An order that was answered OK counts from then on: by its message until a stage has recorded it,
then by its row until it has ended. Topics and database are looked at apart: a database that stands
still hides no age. A part that does not answer counts as it was, so the age goes on growing.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from internal.flow import backlogs, topics
from internal.infra import bus, db, metrics
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.orders import deadlines
from internal.pipeline import outbox
from internal.pipeline.handler import Stage

INTERVAL_S = 1.0
"""How often it looks: an age is told to the second, and Prometheus asks every 10 s."""


class Monitor:
    """Looks every `interval_s` and sets the gauges. Several may run: each tells the same."""

    def __init__(
        self, database: db.Database, broker: bus.Bus, clock: Clock, interval_s: float = INTERVAL_S
    ) -> None:
        self._database, self._bus, self._clock = database, broker, clock
        self._interval_s = interval_s
        self._waiting_since_us: dict[Stage, int] = {}
        self._recorded_since_us: int | None = None
        self._event_since_us: int | None = None

    async def run(self) -> None:
        """Look again and again."""
        await asyncio.gather(
            self._repeat("broker", self.look_at_topics),
            self._repeat("database", self.look_at_orders),
        )

    async def look_at_topics(self) -> None:
        """Count the messages of each stage, and find how long the oldest has waited.

        Raises:
            BusAway: the broker cannot be reached.
        """
        for stage in topics.STAGES:
            backlog = await backlogs.messages(self._bus, stage)
            metrics.BACKLOG_MESSAGES.labels(stage.name).set(backlog)
            if backlog:
                age_us = await backlogs.oldest_age_us(self._bus, stage)
                self._waiting_since_us[stage] = self._clock.now_us() - age_us
            else:
                self._waiting_since_us.pop(stage, None)

    async def look_at_orders(self) -> None:
        """Find the oldest recorded order that has not ended, and the oldest event.

        Raises:
            DatabaseAway: the database cannot be reached.
        """
        self._recorded_since_us = await self._database.read(deadlines.oldest_unfinished_us)
        self._event_since_us = await self._database.read(outbox.oldest_us, is_quick=True)

    def tell(self) -> None:
        """Set the gauges of ages by what the last looks have found."""
        now_us = self._clock.now_us()
        for stage in topics.STAGES:
            since_us = self._waiting_since_us.get(stage, now_us)
            metrics.OLDEST_MESSAGE_SECONDS.labels(stage.name).set(_seconds(now_us - since_us))
        known = [*self._waiting_since_us.values(), self._recorded_since_us or now_us]
        metrics.OLDEST_UNFINISHED_SECONDS.set(_seconds(now_us - min(known)))
        metrics.OLDEST_EVENT_SECONDS.set(_seconds(now_us - (self._event_since_us or now_us)))

    async def _repeat(self, part: str, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
            except errors.Temporary as error:
                logger.debug("the monitor cannot see the {}: {!r}", part, error)
            self.tell()
            await asyncio.sleep(self._interval_s)


def _seconds(age_us: int) -> float:
    return max(age_us, 0) / US_PER_SECOND
