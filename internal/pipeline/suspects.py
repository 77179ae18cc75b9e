"""Which orders one runner suspects, and how often each is counted: once in a process's life.

Knows the table of attempts; must not know what is done with an order.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from internal.infra import db
from internal.kernel.clock import Clock
from internal.orders import messages
from internal.pipeline import attempts

Write = Callable[[db.Work[Any]], Awaitable[Any]]
"""Database.write, with the patience of whoever asks."""


class Countable(Protocol):
    """One order at hand. A second one may be about the same order: a message that came twice."""

    is_counted: bool

    @property
    def name(self) -> attempts.Name:
        """The order's."""
        ...


class Suspects:
    """The orders that one runner has counted and is not done with."""

    def __init__(self, stage: str, clock: Clock) -> None:
        self._stage, self._clock = stage, clock
        self._started_us = clock.now_us()
        self._in_hand: Counter[attempts.Name] = Counter()
        self._is_tidy = False

    def is_older_than_we(self, fact: messages.Fact) -> bool:
        """Tell whether a process that died before this one began may have had this in hand."""
        return _made_at_us(fact) < self._started_us

    async def begin(self, write: Write, names: Iterable[attempts.Name]) -> dict[attempts.Name, int]:
        """Count those that are not counted yet; return the lives of those that cost some before.

        These are not counted: `count` is called right before one of them is taken in hand.
        """
        new = [name for name in names if name not in self._in_hand and attempts.is_countable(name)]
        if not new:
            return {}
        now_us, is_tidy = self._clock.now_us(), self._is_tidy

        def work(connection: sa.Connection) -> dict[attempts.Name, int]:
            if not is_tidy:
                attempts.forget_old(connection, now_us)
            return attempts.begin(connection, self._stage, new, now_us)

        before: dict[attempts.Name, int] = await write(work)
        self._is_tidy = True
        self._in_hand.update(dict.fromkeys((name for name in new if name not in before), 0))
        return before

    async def count(self, write: Write, names: Sequence[attempts.Name]) -> None:
        """Count orders that cost lives before."""
        now_us = self._clock.now_us()
        await write(lambda connection: attempts.count(connection, self._stage, names, now_us))
        self._in_hand.update(dict.fromkeys(names, 0))

    def take(self, work: Iterable[Countable]) -> None:
        """Note what is taken in hand, of orders that were counted."""
        for item in work:
            if item.name in self._in_hand and not item.is_counted:
                item.is_counted = True
                self._in_hand[item.name] += 1

    async def done(self, write: Write, work: Iterable[Countable]) -> None:
        """Drop the rows of orders of which nothing is in hand any more."""
        if not self._in_hand:
            return
        names = []
        for item in work:
            if item.is_counted:
                item.is_counted = False
                self._in_hand[item.name] -= 1
                if self._in_hand[item.name] == 0:
                    names.append(item.name)
        if names:
            await write(lambda connection: attempts.forget(connection, self._stage, names))
            for name in names:
                if self._in_hand[name] == 0:
                    del self._in_hand[name]

    async def take_back(self, write: Write) -> None:
        """Count what is in hand one life less: the process ends by itself."""
        if self._in_hand:
            names, now_us = sorted(self._in_hand), self._clock.now_us()
            await write(lambda c: attempts.take_back(c, self._stage, names, now_us))


def _made_at_us(fact: messages.Fact) -> int:
    match fact:
        case messages.OrderPlaced():
            return fact.placed_at_us
        case messages.CancelRequested():
            return fact.requested_at_us
    return fact.at_us
