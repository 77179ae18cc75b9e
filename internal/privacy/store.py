"""The SQL of private values: texts and tokens of a subject, each in a row that can be erased.

Erasing changes no digest, because no other table repeats these values.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db

PRIVATE_VALUES = sa.Table(
    "private_values",
    db.METADATA,
    columns.code("subject_kind", primary_key=True, chars_max=16),
    columns.number("subject_key", primary_key=True),
    columns.code("name", primary_key=True, chars_max=96),
    columns.ident("merchant_id"),
    columns.document("content"),
    columns.number("at_us"),
)


class Subject(StrEnum):
    """What private values belong to."""

    ORDER = "order"
    LETTER = "letter"
    """A dead letter."""
    REQUEST = "request"
    """A request whose order has not come; the key is its number, see requests.rules."""


class Held(msgspec.Struct, frozen=True):
    """The private values of one subject, by name."""

    subject_key: int
    merchant_id: str
    values: Mapping[str, str]


_COLUMNS = tuple(PRIVATE_VALUES.c.keys())
_SUBJECT = bulk.shape_of(PRIVATE_VALUES, "subject_kind", "subject_key")


def add(connection: sa.Connection, kind: Subject, held: Iterable[Held], at_us: int) -> None:
    """Insert values, together with the next statement of the transaction.

    Raises:
        IntegrityError: a subject has a value of that name already.
    """
    rows = [
        (kind, it.subject_key, name, it.merchant_id, content, at_us)
        for it in held
        for name, content in it.values.items()
    ]
    bulk.insert_deferred(connection, PRIVATE_VALUES, _COLUMNS, rows)


def find(
    connection: sa.Connection, kind: Subject, subject_keys: Sequence[int]
) -> dict[int, dict[str, str]]:
    """Return the values of these subjects by name; subjects without any are left out."""
    return found_in(bulk.select(connection, *query(kind, subject_keys)))


def query(kind: Subject, subject_keys: Sequence[int]) -> bulk.Query:
    """Return the query of `find`, to run it together with others; `found_in` reads its rows."""
    text = (
        "SELECT t.subject_key, t.name, t.content FROM {w} CROSS JOIN private_values t"
        " ON t.subject_kind = {w.subject_kind} AND t.subject_key = {w.subject_key}"
    )
    return bulk.Query(_SUBJECT, text, [(kind, key) for key in subject_keys])


def found_in(rows: Sequence[bulk.Row]) -> dict[int, dict[str, str]]:
    """Return the values in the rows of `query`, by subject and name."""
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.subject_key, {})[row.name] = row.content
    return found


def erase(connection: sa.Connection, kind: Subject, subject_keys: Sequence[int]) -> int:
    """Delete all values of these subjects; return how many there were."""
    t = PRIVATE_VALUES.c
    theirs = (t.subject_kind == kind, t.subject_key.in_(subject_keys))
    return connection.execute(PRIVATE_VALUES.delete().where(*theirs)).rowcount
