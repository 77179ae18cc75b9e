"""Which orders one runner suspects, and how often each is counted: once in a process's life.

Knows the table of attempts; must not know what is done with an order.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from internal.infra import db
from internal.kernel import ids
from internal.kernel.clock import Clock
from internal.orders import messages
from internal.pipeline import crash_counts

Write = Callable[[db.Work[Any]], Awaitable[Any]]
"""Database.write, with the patience of whoever asks."""


class Countable(Protocol):
    """One order at hand. A second one may be about the same order: a message that came twice."""

    is_counted: bool

    @property
    def name(self) -> ids.OrderRef:
        """The order's."""
        ...


class Suspects:
    """What a dead process may have had in hand, as far as one runner sees it, and is not done with.

    Those are among the first messages after its start: what was not acknowledged comes back before
    anything younger does. A process ends its suspicion with the first order younger than itself.
    """

    def __init__(self, stage: str, clock: Clock, messages_max: int) -> None:
        self._stage, self._clock = stage, clock
        self._started_us = clock.now_us()
        self._messages_left = messages_max
        self._in_hand: Counter[ids.OrderRef] = Counter()
        self._is_life_open = False
        self._is_careful: bool | None = None
        """Whether a life was lost before this one; None as long as nobody had to know."""

    def offered(self, redeliveries: int) -> bool:
        """Tell whether a message may have been in the hands of a process that died."""
        if self._messages_left:
            self._messages_left -= 1
            return True
        return redeliveries > 0

    def suspects(self, fact: messages.Fact) -> bool:
        """Tell whether a process that died before this one began may have had this in hand.

        The first that is too young for it ends the suspicion.
        """
        if _made_at_us(fact) < self._started_us:
            return True
        self._messages_left = 0
        return False

    async def begin(self, write: Write, names: Iterable[ids.OrderRef]) -> dict[ids.OrderRef, int]:
        """Count those that are not counted yet; return the lives of those that cost some before.

        These are not counted: `count` is called right before one of them is taken in hand.
        """
        new = [
            name for name in names if name not in self._in_hand and crash_counts.is_countable(name)
        ]
        if not new:
            return {}
        now_us = self._clock.now_us()
        if self._is_careful is None:
            self._is_careful = await write(
                lambda connection: crash_counts.begin_life(connection, self._stage, now_us)
            )
            self._is_life_open = True
        before: dict[ids.OrderRef, int] = {}
        if self._is_careful:
            before = await write(
                lambda connection: crash_counts.begin(connection, self._stage, new, now_us)
            )
        self._in_hand.update(dict.fromkeys((name for name in new if name not in before), 0))
        return before

    async def count(self, write: Write, names: Sequence[ids.OrderRef]) -> None:
        """Count orders that cost lives before."""
        now_us = self._clock.now_us()
        await write(lambda connection: crash_counts.count(connection, self._stage, names, now_us))
        self._in_hand.update(dict.fromkeys(names, 0))

    def take(self, work: Iterable[Countable]) -> None:
        """Note what is taken in hand."""
        for item in work:
            if item.name in self._in_hand and not item.is_counted:
                item.is_counted = True
                self._in_hand[item.name] += 1

    @property
    def are_watched(self) -> bool:
        """Tell whether `done` has anything to do."""
        return self._is_life_open or bool(self._in_hand)

    async def done(self, write: Write, work: Iterable[Countable]) -> None:
        """Forget orders of which nothing is in hand any more; in the end, that lives were lost."""
        if self._in_hand:
            await self._forget(write, self._let_go(work))
        if self._is_life_open and not self._messages_left and not self._in_hand:
            self._is_life_open = False
            await write(lambda c: crash_counts.forget(c, self._stage, [crash_counts.STAGE]))

    def _let_go(self, work: Iterable[Countable]) -> list[ids.OrderRef]:
        names = []
        for item in work:
            if item.is_counted:
                item.is_counted = False
                self._in_hand[item.name] -= 1
                if self._in_hand[item.name] == 0:
                    names.append(item.name)
        return names

    async def _forget(self, write: Write, names: Sequence[ids.OrderRef]) -> None:
        if names and self._is_careful:
            await write(lambda connection: crash_counts.forget(connection, self._stage, names))
        for name in names:
            if self._in_hand[name] == 0:
                del self._in_hand[name]

    async def take_back(self, write: Write) -> None:
        """Count one life less, the stage's and of what is in hand: the process ends by itself."""
        names = sorted(self._in_hand) if self._is_careful else []
        names += [crash_counts.STAGE] if self._is_life_open else []
        if names:
            now_us = self._clock.now_us()
            await write(lambda c: crash_counts.take_back(c, self._stage, names, now_us))


def _made_at_us(fact: messages.Fact) -> int:
    match fact:
        case messages.OrderPlaced():
            return fact.placed_at_us
        case messages.CancelRequested():
            return fact.requested_at_us
    return fact.at_us
