"""What a look at the books found wrong, and how questions about them are asked.

A question is a query for the rows that break a rule: none is the good answer. It is put in SQL that
SQLite, MySQL and MariaDB read alike, and answered with a count and a few examples, never with all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.kernel.states import OrderState
from internal.payments.messages import AttemptKind, AttemptState

EXAMPLES_MAX = 5
"""Enough to see what is wrong; the count says how much of it there is."""

WORDS: Mapping[str, str] = {
    **{f"order_{state.name.lower()}": str(state) for state in OrderState},
    **{f"attempt_{state.name.lower()}": str(state) for state in AttemptState},
    **{f"kind_{kind.name.lower()}": str(kind) for kind in AttemptKind},
}
"""The words that every question may use as parameters: `:order_paid`, `:kind_void`."""


class Finding(msgspec.Struct, frozen=True):
    """One rule that does not hold."""

    invariant: str
    """ "I1" to "I10"."""
    sentence: str
    """The rule."""
    count: int
    """How many times it is broken."""
    examples: tuple[str, ...]
    """EXAMPLES_MAX of them at most."""


class Question(msgspec.Struct, frozen=True):
    """A rule, and the query whose rows break it. Its columns tell where: their names are shown."""

    invariant: str
    sentence: str
    query: str


def ask(
    connection: sa.Connection, questions: Sequence[Question], parameters: Mapping[str, Any] = WORDS
) -> list[Finding]:
    """Ask one question after another; return what was found."""
    answers = (_answer(connection, question, parameters) for question in questions)
    return [finding for finding in answers if finding is not None]


def _answer(
    connection: sa.Connection, question: Question, parameters: Mapping[str, Any]
) -> Finding | None:
    """Count only where something is wrong: a good database is read once."""
    broken = f"SELECT * FROM ({question.query}) AS broken LIMIT {EXAMPLES_MAX}"  # noqa: S608
    rows = connection.execute(sa.text(broken), parameters).all()
    if not rows:
        return None
    count = len(rows)
    if count == EXAMPLES_MAX:
        counting = sa.text(f"SELECT COUNT(*) FROM ({question.query}) AS broken")  # noqa: S608
        count = connection.execute(counting, parameters).scalar_one()
    examples = tuple(show(**row._asdict()) for row in rows)
    return Finding(question.invariant, question.sentence, count, examples)


def windows(connection: sa.Connection, key: sa.Column[int], size: int) -> Iterator[dict[str, int]]:
    """Cut all keys into runs of `size`, as the parameters `:after` and `:upto` of a query.

    What has to be sorted, or compared outside the database, is so never more than one run of it.
    """
    first, last = connection.execute(sa.select(sa.func.min(key), sa.func.max(key))).one()
    if first is not None:
        for after in range(first - 1, last, size):
            yield {"after": after, "upto": after + size}


def show(**values: object) -> str:
    """Write an example: "order_id=o1 total=700"."""
    return " ".join(f"{name}={value}" for name, value in values.items())


class Notes:
    """Gathers what is found case by case: counts all, remembers a few."""

    def __init__(self, invariant: str) -> None:
        self._invariant = invariant
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, sentence: str, example: str, count: int = 1) -> None:
        """Note a case, or several that are alike."""
        self._counts[sentence] += count
        if len(self._examples[sentence]) < EXAMPLES_MAX:
            self._examples[sentence].append(example)

    def findings(self) -> list[Finding]:
        """Return what was noted, one finding a sentence."""
        return [
            Finding(self._invariant, sentence, count, tuple(self._examples[sentence]))
            for sentence, count in self._counts.items()
        ]
