"""The orders that one runner suspects of crashing processes; each is counted once in a run.

Knows the table of crash counts; must not know what is done with a fact.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from internal.infra import db
from internal.kernel import ids
from internal.kernel.clock import Clock
from internal.kernel.facts import Fact
from internal.pipeline import crash_counts

Write = Callable[[db.Work[Any]], Awaitable[Any]]
"""Database.write, as patient as the caller."""


class Countable(Protocol):
    """One fact. A second one may be about the same order: a message that came twice."""

    is_counted: bool

    @property
    def ref(self) -> ids.OrderRef:
        """The order that it is about."""
        ...


class CrashSuspects:
    """The orders that a crashed process may have held, as one runner sees them.

    These are among the first messages after the runner's start: what was not acknowledged comes
    back before anything younger. After the first fact younger than the runner, a new message with
    an older fact is a repetition, which a crashed process may have held in another message.
    """

    def __init__(self, stage: str, clock: Clock, messages_max: int) -> None:
        self._stage, self._clock = stage, clock
        self._started_us = clock.now_us()
        self._messages_left = messages_max
        self._has_caught_up = False
        self._held: Counter[ids.OrderRef] = Counter()
        self._is_run_open = False
        self._is_counting: bool | None = None
        """Whether an earlier run crashed; None until that was looked up."""

    def offered(self, redeliveries: int) -> bool:
        """Tell whether a crashed process may have held this message."""
        if self._messages_left:
            self._messages_left -= 1
            return True
        return redeliveries > 0 or self._has_caught_up

    def suspects(self, fact: Fact) -> bool:
        """Tell whether a process that crashed before this run may have held this fact.

        The first fact that is too young for it tells that all the held messages have come back.
        """
        if fact.occurred_at_us < self._started_us:
            return True
        self._messages_left = 0
        self._has_caught_up = True
        return False

    async def begin(self, write: Write, refs: Iterable[ids.OrderRef]) -> dict[ids.OrderRef, int]:
        """Count those that are not counted yet; return the crashes of those that caused some.

        The latter are not counted here: `count` is called right before one of them is tried.
        """
        new = [ref for ref in refs if ref not in self._held and crash_counts.is_countable(ref)]
        if not new:
            return {}
        now_us = self._clock.now_us()
        if self._is_counting is None:
            self._is_counting = await write(
                lambda connection: crash_counts.begin_run(connection, self._stage, now_us)
            )
            self._is_run_open = True
        before: dict[ids.OrderRef, int] = {}
        if self._is_counting:
            before = await write(
                lambda connection: crash_counts.begin(connection, self._stage, new, now_us)
            )
        self._held.update(dict.fromkeys((ref for ref in new if ref not in before), 0))
        return before

    async def count(self, write: Write, refs: Sequence[ids.OrderRef]) -> None:
        """Count one more crash for orders that caused some before, in case this is another."""
        now_us = self._clock.now_us()
        await write(lambda connection: crash_counts.count(connection, self._stage, refs, now_us))
        self._held.update(dict.fromkeys(refs, 0))

    def hold(self, work: Iterable[Countable]) -> None:
        """Note what is processed now."""
        for item in work if self._held else ():
            if item.ref in self._held and not item.is_counted:
                item.is_counted = True
                self._held[item.ref] += 1

    @property
    def are_watched(self) -> bool:
        """Tell whether `done` has anything to do."""
        return self._is_run_open or bool(self._held)

    async def done(self, write: Write, work: Iterable[Countable]) -> None:
        """Delete the counts of orders that are not held any more; in the end, that of the run."""
        if self._held:
            await self._forget(write, self._release(work))
        if self._is_run_open and not self._messages_left and not self._held:
            self._is_run_open = False
            await write(lambda c: crash_counts.forget(c, self._stage, [crash_counts.STAGE]))

    def _release(self, work: Iterable[Countable]) -> list[ids.OrderRef]:
        refs = []
        for item in work:
            if item.is_counted:
                item.is_counted = False
                self._held[item.ref] -= 1
                if self._held[item.ref] == 0:
                    refs.append(item.ref)
        return refs

    async def _forget(self, write: Write, refs: Sequence[ids.OrderRef]) -> None:
        if refs and self._is_counting:
            await write(lambda connection: crash_counts.forget(connection, self._stage, refs))
        for ref in refs:
            if self._held[ref] == 0:
                del self._held[ref]

    async def take_back(self, write: Write) -> None:
        """Count one crash less, of the run and of what is held: the process ends by itself."""
        refs = sorted(self._held) if self._is_counting else []
        refs += [crash_counts.STAGE] if self._is_run_open else []
        if refs:
            now_us = self._clock.now_us()
            await write(lambda c: crash_counts.take_back(c, self._stage, refs, now_us))
