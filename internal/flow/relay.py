"""The relay: sends the rows of the outbox, at least once, and in order for each subject.

Several may run. A row is deleted after the broker's receipt; a relay that dies in between leaves it
to the next one, which sends it again under the same id, before the subject's next fact. Must not
know a noun.
"""

import asyncio
import datetime
from collections import Counter
from collections.abc import Sequence

import msgspec
from loguru import logger

from internal.infra import bus, db, failpoints, traces
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.pipeline import envelope, outbox

ROWS_MAX = 500
"""Rows of one shard that are leased at a time."""
LEASE_SENDS = 6
"""A lease is this many times as long as the broker's client tries to send a message, and the last
message is begun in its first half: none of a relay that is taken for dead arrives after those of
its successor.
"""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 1.0
"""Until an empty outbox is looked at again; each pause is twice as long as the one before it."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class _Head(msgspec.Struct):
    type: str
    trace_id: str = ""


_head = msgspec.json.Decoder(_Head)


class Relay:
    """Looks again and again; at once as long as there are rows."""

    def __init__(
        self,
        database: db.Database,
        publisher: bus.Publisher,
        clock: Clock,
        send_timeout_s: float,
    ) -> None:
        self._database, self._publisher, self._clock = database, publisher, clock
        self._lease_us = round(LEASE_SENDS * send_timeout_s * US_PER_SECOND)

    async def run(self) -> None:
        """Look again and again; what is away is tried at the next look."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                sent = await self.look()
            except (errors.Temporary, errors.Poison) as error:
                logger.bind(seldom="relay").warning("the relay waits: {e!r}", e=error)
                sent = 0
            if sent:
                pause_s = FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def look(self) -> int:
        """Send the first rows of every shard; return how many were sent.

        Raises:
            BusAway: the broker gave no receipt; rows that were not sent stay.
            Poison: the broker refuses a row; its shard waits for an operator.
            DatabaseAway: the database cannot be reached.
        """
        sent, failed = 0, None
        for shard in await self._database.read(outbox.shards, is_quick=True):
            try:
                sent += await self._relay(shard)
            except (errors.BusAway, errors.Poison) as error:
                failed = error
        if failed:
            raise failed
        return sent

    async def _relay(self, shard: int) -> int:
        now_us = self._clock.now_us()
        until_us = now_us + self._lease_us
        rows = await self._database.write(
            lambda connection: outbox.take(connection, shard, now_us, until_us, ROWS_MAX)
        )
        parts = rounds(rows)
        try:
            while parts and self._clock.now_us() <= until_us - self._lease_us // 2:
                await self._send(parts[0])
                del parts[0]
        except (errors.BusAway, errors.Poison):
            await self._give_back(parts, until_us)
            raise
        await self._give_back(parts, until_us)
        return len(rows) - sum(map(len, parts))

    async def _give_back(self, parts: Sequence[Sequence[outbox.Waiting]], until_us: int) -> None:
        keys = [row.outbox_key for part in parts for row in part]
        if keys:
            await self._database.write(lambda c: outbox.give_back(c, keys, until_us))

    async def _send(self, rows: Sequence[outbox.Waiting]) -> None:
        """Send one row of each subject. Only their receipts let the next ones go."""
        failpoints.hit("relay.before_publish")
        await self._publisher.publish([message_of(row) for row in rows])
        failpoints.hit("relay.after_publish")
        keys = [row.outbox_key for row in rows]
        await self._database.write(lambda connection: outbox.delete(connection, keys))


def rounds(rows: Sequence[outbox.Waiting]) -> list[list[outbox.Waiting]]:
    """Return the first rows of all subjects, then their second rows, and so on.

    A row is sent after the receipt of the one before it: a client whose message is late might have
    the next one on the topic before it.
    """
    parts: list[list[outbox.Waiting]] = []
    places: Counter[str] = Counter()
    for row in rows:
        place = places[row.subject]
        places[row.subject] += 1
        if place == len(parts):
            parts.append([])
        parts[place].append(row)
    return parts


def message_of(row: outbox.Waiting) -> bus.Outgoing:
    """Return the message of a row: one fact, with CloudEvents' attributes as properties."""
    head = _head.decode(row.fact)
    at = _EPOCH + datetime.timedelta(microseconds=row.created_at_us)
    trace = traces.traceparent_of(head.trace_id)
    properties = ({"traceparent": trace} if trace else {}) | {
        "specversion": "1.0",
        "id": row.event_id,
        "type": envelope.TYPE_PREFIX + head.type,
        "source": "souk",
        "subject": row.subject,
        "time": at.isoformat(),
        "datacontenttype": "application/json",
    }
    return bus.Outgoing(row.topic, row.subject, row.fact.encode(), properties)
