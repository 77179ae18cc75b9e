"""Holds: an open order whose time is up, or that is to end, is brought before the payment stage.

Its appointment stays until the stage has settled the order, so a message that is lost, or comes
while a result is missing, is sent again.
"""

import asyncio

import sqlalchemy as sa
from loguru import logger

from internal.flow import topics
from internal.infra import bus, db
from internal.kernel import errors
from internal.kernel.clock import Clock
from internal.orders import deadlines, messages
from internal.pipeline import appointments

HOLDS_AT_ONCE = 500


class Holds:
    """Looks every `interval_s`. Several may run: each takes appointments that no other keeps."""

    def __init__(
        self, database: db.Database, broker: bus.Bus, clock: Clock, interval_s: float
    ) -> None:
        self._database, self._bus, self._clock = database, broker, clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Look again and again; a part that is away is tried at the next look."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.look()
            except errors.Temporary as error:
                logger.bind(seldom="holds").warning("the holds wait: {e!r}", e=error)

    async def look(self) -> int:
        """Send a message for each hold that is due; return how many that were."""
        now_us = self._clock.now_us()
        is_due = await self._database.read(
            lambda c: appointments.are_due(c, messages.HOLD, now_us), is_quick=True
        )
        if not is_due:
            return 0
        facts = await self._database.write(lambda c: _take(c, now_us))
        await self._bus.publish(topics.ENVELOPE.pack(facts, self._bus.shard_keys))
        return len(facts)


def _take(connection: sa.Connection, now_us: int) -> list[messages.PaymentDue]:
    taken = appointments.take(connection, messages.HOLD, now_us, HOLDS_AT_ONCE)
    names = deadlines.names_of(connection, [int(it.subject) for it in taken])
    return [messages.PaymentDue(*ref, key, now_us) for key, ref in names.items()]
