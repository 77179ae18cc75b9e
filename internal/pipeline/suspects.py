"""Which orders one runner suspects, and how often each is counted: once in a process's life.

Knows the table of attempts; must not know what is done with an order.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from internal.infra import db
from internal.kernel.clock import Clock
from internal.orders import messages
from internal.pipeline import attempts

Write = Callable[[db.Work[Any]], Awaitable[Any]]
"""Database.write, with the patience of whoever asks."""


class Suspects:
    """What one runner has counted and is not done with."""

    def __init__(self, stage: str, clock: Clock) -> None:
        self._stage, self._clock = stage, clock
        self._started_us = clock.now_us()
        self.open: set[attempts.Name] = set()
        self._is_tidy = False

    def is_older_than_we(self, fact: messages.Fact) -> bool:
        """Tell whether a process that died before this one began may have had this in hand."""
        return _made_at_us(fact) < self._started_us

    async def begin(self, write: Write, names: Iterable[attempts.Name]) -> dict[attempts.Name, int]:
        """Count those that are not counted yet; return the lives of those that cost some before.

        These are not counted: `count` is called right before one of them is taken in hand.
        """
        new = [name for name in names if name not in self.open and attempts.is_countable(name)]
        if not new:
            return {}
        now_us, is_tidy = self._clock.now_us(), self._is_tidy

        def work(connection: sa.Connection) -> dict[attempts.Name, int]:
            if not is_tidy:
                attempts.forget_old(connection, now_us)
            return attempts.begin(connection, self._stage, new, now_us)

        before: dict[attempts.Name, int] = await write(work)
        self._is_tidy = True
        self.open.update(name for name in new if name not in before)
        return before

    async def count(self, write: Write, names: Sequence[attempts.Name]) -> None:
        """Count orders that cost lives before."""
        now_us = self._clock.now_us()
        await write(lambda connection: attempts.count(connection, self._stage, names, now_us))
        self.open.update(names)

    async def forget(self, write: Write, names: Iterable[attempts.Name]) -> None:
        """Drop the rows of orders that are done, of those that were counted."""
        done = self.open.intersection(names)
        if done:
            await write(lambda connection: attempts.forget(connection, self._stage, done))
            self.open -= done

    async def take_back(self, write: Write) -> None:
        """Count what is in hand one life less: the process ends by itself."""
        if self.open:
            names, now_us = sorted(self.open), self._clock.now_us()
            await write(
                lambda connection: attempts.take_back(connection, self._stage, names, now_us)
            )
            self.open.clear()


def _made_at_us(fact: messages.Fact) -> int:
    match fact:
        case messages.OrderPlaced():
            return fact.placed_at_us
        case messages.CancelRequested():
            return fact.requested_at_us
    return fact.at_us
