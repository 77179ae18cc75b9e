"""Appointments: what must be looked at again at a stated time, whatever the backlog is.

They are taken by lease, so that two processes never keep the same one at once. An appointment stays
until the transaction that settles its subject deletes it.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel.clock import US_PER_SECOND

APPOINTMENTS = sa.Table(
    "appointments",
    db.METADATA,
    columns.code("kind", primary_key=True),
    columns.code("subject", primary_key=True, chars_max=200),
    columns.number("shard"),
    columns.number("due_at_us"),
    columns.number("leased_until_us", nullable=True),
    columns.number("tries", default=0),
    columns.words("reason", 64),
    sa.Index("appointments_due", "shard", "due_at_us"),
)
SHARD = 0
"""All are in one shard: the index begins with it, so that more can be made of it later."""
LEASE_FIRST_S, LEASE_LONGEST_S = 60, 3_600
KEYS_AT_ONCE = 500
"""Keys in one statement: databases limit its parameters."""


class Appointment(msgspec.Struct, frozen=True):
    """When a subject is to be looked at, and why if that is decided already."""

    kind: str
    subject: str
    due_at_us: int
    reason: str = ""
    tries: int = 0
    """How often it was taken; each lease is longer than the one before."""


_COLUMNS = ("kind", "subject", "shard", "due_at_us", "reason")
_KEY = ("kind", "subject")
_BY_KEY = bulk.shape_of(APPOINTMENTS, *_KEY)


def add(connection: sa.Connection, appointments: Iterable[Appointment]) -> None:
    """Insert new appointments.

    Raises:
        IntegrityError: a subject has one of this kind.
    """
    rows = [(it.kind, it.subject, SHARD, it.due_at_us, it.reason) for it in appointments]
    bulk.insert_deferred(connection, APPOINTMENTS, _COLUMNS, rows)


def query_of(kind: str, subjects: Iterable[str]) -> bulk.Query:
    """Return the query for the appointments of these subjects; `found_in` reads its answer."""
    query = (
        "SELECT t.* FROM {w} CROSS JOIN appointments t"
        " ON t.kind = {w.kind} AND t.subject = {w.subject}"
    )
    return bulk.Query(_BY_KEY, query, [(kind, subject) for subject in subjects])


def found_in(rows: Sequence[bulk.Row]) -> dict[str, Appointment]:
    """Return the appointments in the answer to `query_of`, by subject."""
    return {row.subject: _appointment(row) for row in rows}


def _appointment(row: bulk.Row) -> Appointment:
    return Appointment(row.kind, row.subject, row.due_at_us, row.reason, row.tries)


def decide(connection: sa.Connection, appointments: Iterable[Appointment]) -> None:
    """Give appointments their reason, and make them due at their time; nobody keeps them then."""
    names = (*_KEY, "due_at_us", "reason")
    rows = [(it.kind, it.subject, it.due_at_us, it.reason) for it in appointments]
    shape = bulk.shape_of(APPOINTMENTS, *names)
    changes = (*bulk.assign(*names[2:]), ("leased_until_us", "NULL"))
    bulk.update_deferred(connection, APPOINTMENTS, shape, _KEY, changes, rows)


def delete(connection: sa.Connection, kind: str, subjects: Sequence[str]) -> None:
    """Delete the appointments of subjects that are settled."""
    t = APPOINTMENTS.c
    for some in _chunks(subjects):
        found = sa.and_(t.kind == kind, t.subject.in_(some))
        connection.execute(APPOINTMENTS.delete().where(found))


def _chunks(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(subjects), KEYS_AT_ONCE):
        yield subjects[start : start + KEYS_AT_ONCE]


def are_due(connection: sa.Connection, kind: str, now_us: int) -> bool:
    """Tell whether `take` would find any. Locks nothing."""
    query = sa.select(APPOINTMENTS.c.subject).where(_is_due(kind, now_us)).limit(1)
    return connection.execute(query).first() is not None


def _is_due(kind: str, now_us: int) -> sa.ColumnElement[bool]:
    t = APPOINTMENTS.c
    is_free = sa.or_(t.leased_until_us.is_(None), t.leased_until_us <= now_us)
    return sa.and_(t.shard == SHARD, t.due_at_us <= now_us, t.kind == kind, is_free)


def take(connection: sa.Connection, kind: str, now_us: int, most: int) -> list[Appointment]:
    """Take due appointments that no other process keeps, the longest overdue first.

    One that is not settled is free again when its lease ends.
    """
    due = (
        sa.select(APPOINTMENTS)
        .where(_is_due(kind, now_us))
        .order_by(APPOINTMENTS.c.due_at_us)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = [_appointment(row) for row in connection.execute(due)]
    rows = [
        (it.kind, it.subject, now_us + _lease_s(it.tries) * US_PER_SECOND, it.tries + 1)
        for it in taken
    ]
    names = (*_KEY, "leased_until_us", "tries")
    shape = bulk.shape_of(APPOINTMENTS, *names)
    bulk.update_deferred(connection, APPOINTMENTS, shape, _KEY, bulk.assign(*names[2:]), rows)
    return taken


def _lease_s(tries: int) -> int:
    return min(LEASE_FIRST_S << min(tries, 10), LEASE_LONGEST_S)
