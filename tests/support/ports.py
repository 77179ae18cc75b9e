"""A database and a publisher in memory, which may be away for a while."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import sqlalchemy as sa

from internal.infra import bus, db
from internal.kernel import errors
from tests.support import staged_orders

T = TypeVar("T")


class MemoryDatabase:
    """The Database port over one connection. `away` counts how many more times it is."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.away, self.writes = connection, 0, 0

    async def write(self, work: db.Work[T], *, is_quick: bool = False) -> T:
        """See Database.write."""
        del is_quick
        await asyncio.sleep(0)
        self.writes += 1
        if self.away:
            self.away -= 1
            raise errors.DatabaseAway("on holiday")
        with staged_orders.transaction(self.connection):
            return work(self.connection)

    async def read(
        self, work: db.Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        """See Database.read: all reads are quick."""
        del is_quick, limit_s
        await asyncio.sleep(0)
        return work(self.connection)

    async def close(self) -> None:
        """See Database.close."""


class MemoryPublisher:
    """The Publisher port. `away` counts how many more times the broker is."""

    shard_keys = 16

    def __init__(self) -> None:
        self.sent: list[bus.Outgoing] = []
        self.away = 0

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish."""
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise errors.BusAway("on holiday")
        self.sent += messages

    def to(self, topic: str) -> list[bus.Outgoing]:
        """Return what was sent to a topic."""
        return [message for message in self.sent if message.topic == topic]


class MemoryBroker(MemoryPublisher):
    """A publisher with a backlog of its own choosing."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, int] = {}

    async def backlog(self, topic: str, subscription: str) -> int:
        """See Bus.backlog."""
        del subscription
        return self.waiting.get(topic, 0)
