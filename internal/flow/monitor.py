"""The monitor: what waits at each stage, and the age of the oldest order that has not ended.

An order that was answered OK counts from then on: by its message until a stage has recorded it,
then by its row until it has ended. Topics and database are looked at apart: a database that stands
still hides no age. A part that does not answer counts as it was, so the age goes on growing.
"""

import asyncio
from collections.abc import Sequence

from loguru import logger

from internal.flow import topics
from internal.infra import bus, db, metrics
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.orders import deadlines
from internal.pipeline import outbox
from internal.pipeline.handler import Stage

INTERVAL_S = 1.0
"""How often it looks at the database: an age is told to the second."""


class Monitor:
    """Sets the gauges, by what the lookout sees and the database tells every `interval_s`.

    Several may run: each tells the same.
    """

    def __init__(self, database: db.Database, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._database, self._clock, self._interval_s = database, clock, interval_s
        self._waiting_since_us: dict[Stage, int] = {}
        self._recorded_since_us: int | None = None
        self._event_since_us: int | None = None

    async def run(self) -> None:
        """Look at the database again and again."""
        while True:
            try:
                await self.look_at_orders()
            except errors.Temporary as error:
                logger.debug("the monitor cannot see the database: {!r}", error)
            self.tell()
            await asyncio.sleep(self._interval_s)

    async def see(self, found: Sequence[bus.Subscribed]) -> None:
        """Count the messages of each stage, and note since when the oldest has waited."""
        now_us = self._clock.now_us()
        for stage in topics.STAGES:
            mine = [it for it in found if topics.STAGE_OF[it.topic, it.name] is stage]
            metrics.BACKLOG_MESSAGES.labels(stage.name).set(sum(it.messages for it in mine))
            if any(it.messages for it in mine):
                self._waiting_since_us[stage] = now_us - max(it.oldest_age_us for it in mine)
            else:
                self._waiting_since_us.pop(stage, None)
        self.tell()

    def miss(self) -> None:
        """Let the ages of what was seen last go on growing."""
        self.tell()

    async def look_at_orders(self) -> None:
        """Find the oldest recorded order that has not ended, and the oldest event.

        Raises:
            DatabaseAway: the database cannot be reached.
        """
        self._recorded_since_us, self._event_since_us = await self._database.read(
            lambda c: (deadlines.oldest_unfinished_us(c), outbox.oldest_us(c))
        )

    def tell(self) -> None:
        """Set the gauges of ages by what the last looks have found."""
        now_us = self._clock.now_us()
        for stage in topics.STAGES:
            since_us = self._waiting_since_us.get(stage, now_us)
            metrics.OLDEST_MESSAGE_SECONDS.labels(stage.name).set(_seconds(now_us - since_us))
        known = [*self._waiting_since_us.values(), self._recorded_since_us or now_us]
        metrics.OLDEST_UNFINISHED_SECONDS.set(_seconds(now_us - min(known)))
        metrics.OLDEST_EVENT_SECONDS.set(_seconds(now_us - (self._event_since_us or now_us)))


def _seconds(age_us: int) -> float:
    return max(age_us, 0) / US_PER_SECOND
