"""The orders that one runner suspects of crashing processes; each is counted once in a run.

Knows the table of crash counts; must not know what is done with a fact.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from internal.infra import db
from internal.kernel import ids
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.pipeline import crash_counts

Write = Callable[[db.Work[Any]], Awaitable[Any]]
"""Database.write, as patient as the caller."""


class Countable(Protocol):
    """One fact. A second one may be about the same order: a message that came twice."""

    is_counted: bool

    @property
    def subject(self) -> ids.Subject:
        """The order that it is about."""
        ...


CAUGHT_UP_S = 60
"""After this time since its start a runner has been sent all that a crashed process had held: the
broker sends it first, and at once.
"""
WATCHED_S = 600
"""A repetition of a fact that has crashed a process is looked for during this time. Later it
crashes one process more, uncounted, and is then among the first messages of the next.
"""


class CrashSuspects:
    """The orders that a crashed process may have held, as one runner sees them.

    These are in the first messages after the runner's start: what was not acknowledged comes back
    before anything younger. Later an earlier stage may repeat one of them in a new message: after a
    crash, such an order is known by its count. The times of facts are not looked at, because they
    are of other machines, whose clocks may differ from this one's.
    """

    def __init__(self, stage: str, clock: Clock, messages_max: int) -> None:
        self._stage, self._clock = stage, clock
        self._started_us = clock.now_us()
        self._messages_left = messages_max
        self._held: Counter[ids.Subject] = Counter()
        self._is_run_open = False
        self._crashes: int | None = None
        """Earlier runs that crashed; None until that was looked up."""

    def _is_within(self, seconds: int) -> bool:
        return self._clock.now_us() - self._started_us < seconds * US_PER_SECOND

    @property
    def _has_caught_up(self) -> bool:
        return not self._messages_left or not self._is_within(CAUGHT_UP_S)

    def offered(self, redeliveries: int) -> bool:
        """Tell whether a crashed process may have held this message."""
        if self._has_caught_up:
            return redeliveries > 0
        self._messages_left -= 1
        return True

    @property
    def looks_for_repetitions(self) -> bool:
        """Tell whether facts in messages that no crashed process held are to be looked up, too."""
        return bool(self._crashes) and self._is_within(WATCHED_S)

    async def begin(
        self, write: Write, subjects: Iterable[ids.Subject], others: Iterable[ids.Subject] = ()
    ) -> dict[ids.Subject, int]:
        """Count `subjects` that are not counted yet; return the crashes of all that caused some.

        The latter are not counted here: `count` is called right before one of them is tried.
        `others` are in messages that no crashed process held.
        """
        new, found = self._unknown(subjects), self._unknown(others)
        if not new and not found:
            return {}
        now_us = self._clock.now_us()
        if self._crashes is None:
            self._crashes = await write(
                lambda connection: crash_counts.begin_run(connection, self._stage, now_us)
            )
            self._is_run_open = True
        before: dict[ids.Subject, int] = {}
        if self._crashes:
            before = await write(
                lambda connection: crash_counts.begin(connection, self._stage, new, found, now_us)
            )
        self._held.update(dict.fromkeys((subject for subject in new if subject not in before), 0))
        return before

    def _unknown(self, subjects: Iterable[ids.Subject]) -> list[ids.Subject]:
        return [
            subject
            for subject in subjects
            if subject not in self._held and crash_counts.is_countable(subject)
        ]

    async def count(self, write: Write, subjects: Sequence[ids.Subject]) -> None:
        """Count one more crash for orders that caused some before, in case this is another."""
        now_us = self._clock.now_us()
        await write(
            lambda connection: crash_counts.count(connection, self._stage, subjects, now_us)
        )
        self._held.update(dict.fromkeys(subjects, 0))

    def hold(self, work: Iterable[Countable]) -> None:
        """Note what is processed now."""
        for item in work if self._held else ():
            if item.subject in self._held and not item.is_counted:
                item.is_counted = True
                self._held[item.subject] += 1

    @property
    def are_watched(self) -> bool:
        """Tell whether `done` has anything to do."""
        return self._is_run_open or bool(self._held)

    async def done(self, write: Write, work: Iterable[Countable]) -> None:
        """Delete the counts of orders that are not held any more; in the end, that of the run.

        With it go the runs that had crashed before it began, and none that began later: another
        instance is through with its own.
        """
        if self._held:
            await self._forget(write, self._release(work))
        if self._is_run_open and self._has_caught_up and not self._held:
            self._is_run_open = False
            runs, now_us = (self._crashes or 0) + 1, self._clock.now_us()
            run = [crash_counts.STAGE]
            await write(lambda c: crash_counts.take_back(c, self._stage, run, now_us, runs))

    def _release(self, work: Iterable[Countable]) -> list[ids.Subject]:
        subjects = []
        for item in work:
            if item.is_counted:
                item.is_counted = False
                self._held[item.subject] -= 1
                if self._held[item.subject] == 0:
                    subjects.append(item.subject)
        return subjects

    async def _forget(self, write: Write, subjects: Sequence[ids.Subject]) -> None:
        if subjects and self._crashes:
            await write(lambda connection: crash_counts.forget(connection, self._stage, subjects))
        for subject in subjects:
            if self._held[subject] == 0:
                del self._held[subject]

    async def take_back(self, write: Write) -> None:
        """Count one crash less, of the run and of what is held: the process ends by itself."""
        subjects = sorted(self._held) if self._crashes else []
        subjects += [crash_counts.STAGE] if self._is_run_open else []
        if subjects:
            now_us = self._clock.now_us()
            await write(lambda c: crash_counts.take_back(c, self._stage, subjects, now_us))
