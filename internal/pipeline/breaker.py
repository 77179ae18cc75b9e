"""Tells an error of the stage from an error of single orders, so that a lasting one costs none.

An order that cannot be recorded alone becomes a dead letter if others of its kind can be recorded:
that proves the database and the program to work. If several fail with one cause and hardly any
succeeds, the cause is not theirs: the stage holds them back, and tries again after a pause.
It must not know a noun, and records nothing itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

import sqlalchemy as sa

from internal.kernel import ids
from internal.pipeline.handler import Work

FAILED_ALONE_MAX = 5
"""Orders that fail alone with one cause before the stage holds orders back. Fewer become dead
letters at once: the bug that a few orders meet on a quiet evening costs the stage nothing.
"""
SUCCESS_WEIGHS = 4
"""One success makes up for this many failures: as long as one order in five can be recorded, the
others are at fault. Repetitions of recorded orders succeed without a write, but they are rarer.
"""
LEVEL_MAX = 4 * FAILED_ALONE_MAX
"""After a night of failures a few successes must do."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

Failure = tuple[Work, Exception]
Kind = tuple[type, bool]
"""The type of a fact, and whether its effect was performed: each pass writes other tables."""


class Verdict(NamedTuple):
    """The end of a round: these become dead letters, and these are tried in the next round."""

    dead: Sequence[Failure]
    again: Sequence[Work]


class Stop(NamedTuple):
    """A round that ended with orders held back, and the pause in seconds before the next one."""

    cause: str
    error: Exception
    orders: int
    pause_s: float


def cause_of(error: Exception) -> str:
    """Return the name under which failures are alike: the database's own, or the exception's."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    if original is None:
        return type(error).__name__
    number = original.args[0] if original.args and isinstance(original.args[0], int) else 0
    return str(getattr(original, "sqlite_errorname", number) or type(original).__name__)


def _kind_of(item: Work) -> Kind:
    return type(item.fact), item.result is not None


class Round:
    """The failures and successes of one batch. A batch that fails is halved."""

    def __init__(self, retried: Set[ids.Subject], *, is_after_stop: bool) -> None:
        """Begin; `retried` are orders that were held back before."""
        self._retried, self._is_after_stop = retried, is_after_stop
        self._failed_subjects: set[ids.Subject] = set()
        self._in_sequence: Counter[tuple[Kind, str]] = Counter()
        self.failed: list[Failure] = []
        self.followers: list[Work] = []
        """Later facts about the orders that failed."""
        self.skipped: list[Work] = []
        """Facts that were not tried."""
        self.doubtful: set[ids.Subject] = set()
        """Those that failed after a stop, before the first success: the cause may be gone since."""
        self.successes: Counter[Kind] = Counter()

    def ready(self, work: Sequence[Work]) -> Sequence[Work]:
        """Return the facts to try now.

        Nothing about an order that has failed in this round, and nothing at all after enough
        failures in sequence.
        """
        if not self.failed:
            return work
        self.followers += [item for item in work if item.subject in self._failed_subjects]
        work = [item for item in work if item.subject not in self._failed_subjects]
        if any(count >= FAILED_ALONE_MAX for count in self._in_sequence.values()):
            self.skipped += work
            return []
        return work

    def note_recorded(self, work: Iterable[Work]) -> None:
        """Note facts that were recorded."""
        self.successes.update(map(_kind_of, work))
        self._in_sequence.clear()

    def note_failed(self, item: Work, error: Exception) -> None:
        """Note a fact that could not be recorded although it was tried alone."""
        self.failed.append((item, error))
        if self._is_after_stop and not self.successes[_kind_of(item)]:
            self.doubtful.add(item.subject)
        self._failed_subjects.add(item.subject)
        self._in_sequence[_kind_of(item), cause_of(error)] += 1

    def take_skipped(self) -> tuple[list[Work], list[Work]]:
        """Return (a few of the facts that were not tried, the others); the former are tried alone.

        The few come from all over the batch: one of them that succeeds is worth trying the others.
        """
        rest, self.skipped = self.skipped, []
        self._in_sequence.clear()
        first = {
            item.subject: item for item in reversed(rest)
        }  # its earliest fact: no later one first
        new = [item for subject, item in first.items() if subject not in self._retried]
        candidates = new or [*first.values()]
        probes = candidates[:: len(candidates) // FAILED_ALONE_MAX + 1]
        chosen = set(map(id, probes))
        return probes, [item for item in rest if id(item) not in chosen]

    def skip(self, work: Iterable[Work]) -> None:
        """Note facts that are not tried in this round after all."""
        self.skipped += work


class Breaker:
    """The failures of one stage over its rounds, and the orders that it holds back."""

    def __init__(self) -> None:
        self._level: Counter[tuple[Kind, str]] = Counter()
        """Failures by kind and cause, less the successes that made up for them."""
        self._held: list[Work] = []
        self._retried: set[ids.Subject] = set()
        self._stops = 0
        self.stop: Stop | None = None
        """The end of the last round, if orders were held back."""

    def merge(self, work: list[Work]) -> list[Work]:
        """Return a batch with the held orders behind the others, which may succeed.

        A fact about a held order stays behind that order's earlier facts.
        """
        held, self._held = self._held, []
        self._retried = {item.subject for item in held}
        if not held:
            return work
        others = [item for item in work if item.subject not in self._retried]
        return others + held + [item for item in work if item.subject in self._retried]

    def begin(self) -> Round:
        """Begin a round."""
        return Round(self._retried, is_after_stop=self.stop is not None)

    def end(self, done: Round) -> Verdict:
        """Decide about what failed. What becomes no dead letter is held: see merge and stop."""
        keys = [(_kind_of(item), cause_of(error)) for item, error in done.failed]
        self._weigh(keys, done.successes)
        has_success = any(done.successes[kind] for kind, _ in keys)
        if done.skipped or any(self._level[key] >= FAILED_ALONE_MAX for key in keys):
            return self._hold_all(done, has_success=has_success)
        self._stops, self.stop = 0, None
        return self._hold_only(done, done.doubtful if has_success else set())

    def _weigh(self, keys: Sequence[tuple[Kind, str]], successes: Counter[Kind]) -> None:
        self._level.update(keys)
        for key, level in list(self._level.items()):
            made_up = SUCCESS_WEIGHS * successes[key[0]]
            self._level[key] = max(0, min(LEVEL_MAX, level) - made_up)

    def _hold_all(self, done: Round, *, has_success: bool) -> Verdict:
        """Stop: no order is at fault."""
        self._held += [item for item, _ in done.failed] + done.followers
        self._stops = min(self._stops, 1) + 1 if has_success else self._stops + 1
        error = done.failed[-1][1]
        orders = len(self._held) + len(done.skipped)
        self.stop = Stop(cause_of(error), error, orders, self._pause_s())
        return Verdict((), done.skipped)

    def _hold_only(self, done: Round, doubtful: Set[ids.Subject]) -> Verdict:
        """Give the doubtful ones another try; the others become dead letters."""
        self._held += [item for item, _ in done.failed if item.subject in doubtful]
        self._held += [item for item in done.followers if item.subject in doubtful]
        return Verdict(
            [(item, error) for item, error in done.failed if item.subject not in doubtful],
            [item for item in done.followers if item.subject not in doubtful],
        )

    def _pause_s(self) -> float:
        """Return 0 after a first stop: the next batch has what failed at its end."""
        if self._stops == 1:
            return 0.0
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._stops - 2, 10))
