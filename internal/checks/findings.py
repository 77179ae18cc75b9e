"""Rules about the database, and findings where a rule is broken.

A rule has a query for the rows that break it, in SQL that SQLite, MySQL and MariaDB understand
alike. A finding has a count and a few examples, never all rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.checks.scope import EVERYTHING, Scope
from internal.kernel.states import ChargeState, OrderState
from internal.orders import messages
from internal.orders.fact_bases import SUBJECT_KIND
from internal.payments.messages import AttemptState, MoneyOperation, OnDecline, Operation

EXAMPLES_MAX = 5
"""Enough to see what is wrong; the count tells how often it occurs."""
PART_ORDERS = 20_000
"""Orders that one query reads."""

PARAMETERS: Mapping[str, str] = {
    "subject_order": SUBJECT_KIND,
    **{f"order_{state.name.lower()}": str(state) for state in OrderState},
    **{f"charge_{state.name.lower()}": str(state) for state in ChargeState},
    **{f"attempt_{state.name.lower()}": str(state) for state in AttemptState},
    **{f"request_{operation.name.lower()}": str(operation) for operation in Operation},
    **{f"moved_{operation.name.lower()}": str(operation) for operation in MoneyOperation},
    "keep_open": str(OnDecline.KEEP_OPEN),
    "hold": messages.HOLD,
}
"""Query parameters that every rule may use, such as `:order_paid` and `:request_void`."""


class Finding(msgspec.Struct, frozen=True):
    """A rule that does not hold."""

    invariant: str
    """ "I1" to "I13"."""
    sentence: str
    """The rule."""
    count: int
    """How often the rule is broken."""
    examples: tuple[str, ...]
    """Up to EXAMPLES_MAX of them."""


class Part(msgspec.Struct, frozen=True):
    """How a table is read part by part: the rows with keys above `:after`, up to `:upto`."""

    key: sa.Column[int]
    size: int
    begins_after: str
    """The parameter of the scope up to which the keys are left out."""


def by_order(table: sa.Table) -> Part:
    """Return the parts of a table whose primary key begins with the order's."""
    return Part(table.c.order_key, PART_ORDERS, "after")


def by_day(table: sa.Table) -> Part:
    """Return the parts of a table whose primary key begins with the business day."""
    return Part(table.c.business_day, 1, "sealed_day")


class Rule(msgspec.Struct, frozen=True):
    """A rule and the query for rows that break it. Examples show the query's columns by name.

    A query about a table that grows runs for one `part` of it after the other. So it takes about as
    long, and as much memory, however many orders there are: a server ends statements that last.
    """

    invariant: str
    sentence: str
    query: str
    part: Part | None = None


def evaluate(
    connection: sa.Connection,
    rules: Sequence[Rule],
    scope: Scope = EVERYTHING,
    parameters: Mapping[str, Any] = PARAMETERS,
) -> list[Finding]:
    """Evaluate the rules one by one and return the broken ones.

    Besides `parameters` a query may use those of the scope, such as `:after`.
    """
    values = {**parameters, **scope.parameters}
    found = (_evaluate_one(connection, rule, values) for rule in rules)
    return [finding for finding in found if finding is not None]


def _evaluate_one(
    connection: sa.Connection, rule: Rule, parameters: Mapping[str, Any]
) -> Finding | None:
    """Count only if the rule is broken, so that a correct database is read once."""
    broken = f"SELECT * FROM ({rule.query}) AS broken LIMIT {EXAMPLES_MAX}"  # noqa: S608
    count, examples = 0, []
    for window in _windows_of(connection, rule, parameters):
        values = {**parameters, **window}
        rows = connection.execute(sa.text(broken), values).all()
        count += len(rows) if len(rows) < EXAMPLES_MAX else _count(connection, rule, values)
        examples += [show(**row._asdict()) for row in rows]
    if not count:
        return None
    return Finding(rule.invariant, rule.sentence, count, tuple(examples[:EXAMPLES_MAX]))


def _count(connection: sa.Connection, rule: Rule, values: Mapping[str, Any]) -> int:
    counting = sa.text(f"SELECT COUNT(*) FROM ({rule.query}) AS broken")  # noqa: S608
    count: int = connection.execute(counting, values).scalar_one()
    return count


def _windows_of(
    connection: sa.Connection, rule: Rule, parameters: Mapping[str, Any]
) -> Iterator[dict[str, int]]:
    if rule.part is None:
        return iter([{}])
    key, size, begins_after = rule.part.key, rule.part.size, rule.part.begins_after
    return windows(connection, key, size, key > parameters[begins_after])


def windows(
    connection: sa.Connection,
    key: sa.Column[int],
    size: int,
    where: sa.ColumnElement[bool] | None = None,
) -> Iterator[dict[str, int]]:
    """Yield windows of `size` keys as the query parameters `:after` and `:upto`.

    They cover all keys, or those of the rows for which `where` holds. Each begins at a key: a gap
    has no windows.

    A query that sorts, or a comparison in memory, then covers one window at a time.
    """
    first = sa.select(sa.func.min(key))
    first = first if where is None else first.where(where)
    found = connection.execute(first).scalar()
    while found is not None:
        upto = found + size - 1
        yield {"after": found - 1, "upto": upto}
        found = connection.execute(first.where(key > upto)).scalar()


def show(**values: object) -> str:
    """Return an example as text: "order_id=o1 total=700"."""
    return " ".join(f"{name}={value}" for name, value in values.items())


class Collector:
    """Collects the cases in which a rule is broken: counts all, keeps a few as examples."""

    def __init__(self, invariant: str) -> None:
        self._invariant = invariant
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, sentence: str, example: str, count: int = 1) -> None:
        """Add a case, or `count` cases that are alike."""
        self._counts[sentence] += count
        if len(self._examples[sentence]) < EXAMPLES_MAX:
            self._examples[sentence].append(example)

    def findings(self) -> list[Finding]:
        """Return one finding per sentence."""
        return [
            Finding(self._invariant, sentence, count, tuple(self._examples[sentence]))
            for sentence, count in self._counts.items()
        ]
