"""How many processes crashed with an order: what a segfault leaves behind instead of an error.

A stage first counts its own runs, in one row: a run has begun, and is not done with what a crashed
process may have held. Only when that row tells of a crash, each suspected order is counted, and the
count committed, before it is tried; its row is deleted when the stage is done with it. So a count
is a number of crashes, on any number of machines, and costs nothing as long as none happens.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND

STAGE_ATTEMPTS = sa.Table(
    "stage_attempts",
    db.METADATA,
    columns.code("stage", primary_key=True),
    columns.code("subject_kind", primary_key=True),
    columns.ident("merchant_id", primary_key=True),
    columns.ident("subject", primary_key=True),
    columns.number("attempts"),
    columns.number("first_at_us"),
    columns.number("last_at_us"),
)

COUNTED_MAX = 6
"""Crashes that an order may cause by its own count: one in a batch, one in a trial batch, four
alone. A process that is killed for other reasons crashes twice over the same lone order when it is
killed often enough (50 times within two minutes: `scripts/chaos --campaign`), but not four times.
"""
ATTEMPTS_MAX = COUNTED_MAX + 1
"""One more: the crash that told the stage to start counting."""
TRIAL_SHRINKS_BY = 32
"""From one attempt to the next: 2,000 orders, 62, 1. Neighbours of a killer are done long before
their own count is full, and a thousand suspects still take seconds, not minutes.
"""
KEPT_S = 30 * 24 * 3_600
"""An older row is deleted: another instance has finished its order."""
REFS_AT_ONCE = 500
CODE = "KILLED_THE_PROCESS"

STAGE = ids.Subject("", "", "")
"""Stands for the stage itself: its runs."""

_COUNTABLE = re.compile(f"[!-~]{{1,{columns.ID_CHARS_MAX}}}").fullmatch
_KEYS = ("stage", "subject_kind", "merchant_id", "subject")
_COLUMNS = tuple(STAGE_ATTEMPTS.c.keys())
_KEY = bulk.shape_of(STAGE_ATTEMPTS, *_KEYS)


def is_countable(subject: ids.Subject) -> bool:
    """Tell whether the table takes it: all that the API server accepts, not all on a topic."""
    return all(map(_COUNTABLE, subject))


def find(
    connection: sa.Connection, stage: str, subjects: Iterable[ids.Subject]
) -> dict[ids.Subject, int]:
    """Return how many crashes these orders caused at this stage; those with none are left out."""
    return {
        subject: attempts for subject, (attempts, _) in _find(connection, stage, subjects).items()
    }


def _find(
    connection: sa.Connection, stage: str, subjects: Iterable[ids.Subject]
) -> dict[ids.Subject, tuple[int, int]]:
    query = (
        "SELECT t.subject_kind, t.merchant_id, t.subject, t.attempts, t.first_at_us"
        " FROM {w} CROSS JOIN stage_attempts t ON t.stage = {w.stage}"
        " AND t.subject_kind = {w.subject_kind} AND t.merchant_id = {w.merchant_id}"
        " AND t.subject = {w.subject}"
    )
    rows = bulk.select(connection, _KEY, query, [(stage, *subject) for subject in subjects])
    return {ids.Subject(*row[:3]): (row[3], row[4]) for row in rows}


def begin(
    connection: sa.Connection,
    stage: str,
    subjects: Sequence[ids.Subject],
    others: Sequence[ids.Subject],
    now_us: int,
) -> dict[ids.Subject, int]:
    """Count `subjects` that are tried for the first time; return the crashes that any caused.

    `others` are only looked up.

    Raises:
        Conflict: another instance counts one of them too; repeat the whole transaction.
    """
    before = find(connection, stage, [*subjects, *others])
    new = [(stage, *subject, 1, now_us, now_us) for subject in subjects if subject not in before]
    _put(connection, new)
    return before


def begin_run(connection: sa.Connection, stage: str, now_us: int) -> int:
    """Count a run of the stage; return how many began before and are not through.

    Those have crashed, or are young ones of other instances, which costs nothing but counting.

    Raises:
        Conflict: as for begin.
    """
    forget_old(connection, now_us)
    before = find(connection, stage, [STAGE]).get(STAGE, 0)
    count(connection, stage, [STAGE], now_us)
    return before


def count(
    connection: sa.Connection, stage: str, subjects: Sequence[ids.Subject], now_us: int
) -> None:
    """Count one more crash for each.

    Raises:
        Conflict: as for begin.
    """
    before = _find(connection, stage, subjects)
    rows = []
    for subject in subjects:
        attempts, first_at_us = before.get(subject, (0, now_us))
        rows.append((stage, *subject, attempts + 1, first_at_us, now_us))
    _put(connection, rows)


def take_back(
    connection: sa.Connection, stage: str, subjects: Sequence[ids.Subject], now_us: int, by: int = 1
) -> None:
    """Count `by` crashes less for each: the process ends, and not because of them.

    Raises:
        Conflict: as for begin.
    """
    before = _find(connection, stage, subjects)
    forget(connection, stage, before)
    rows = [
        (stage, *subject, attempts - by, first_at_us, now_us)
        for subject, (attempts, first_at_us) in before.items()
        if attempts > by
    ]
    _put(connection, rows)


def forget_old(connection: sa.Connection, now_us: int) -> None:
    """Delete rows that have not changed for KEPT_S."""
    long_ago = STAGE_ATTEMPTS.c.last_at_us < now_us - KEPT_S * US_PER_SECOND
    connection.execute(STAGE_ATTEMPTS.delete().where(long_ago))


def _put(connection: sa.Connection, rows: Sequence[bulk.Values]) -> None:
    try:
        bulk.replace(connection, STAGE_ATTEMPTS, _KEYS, _COLUMNS, rows)
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("another instance counts the same order") from error


def forget(connection: sa.Connection, stage: str, subjects: Iterable[ids.Subject]) -> None:
    """Delete the rows of orders that this stage is done with, if there are any."""
    t, done = STAGE_ATTEMPTS.c, list(subjects)
    for start in range(0, len(done), REFS_AT_ONCE):
        some = sa.tuple_(t.subject_kind, t.merchant_id, t.subject).in_(
            done[start : start + REFS_AT_ONCE]
        )
        connection.execute(STAGE_ATTEMPTS.delete().where(t.stage == stage, some))


def of_subject(connection: sa.Connection, subject: ids.Subject) -> dict[str, int]:
    """Return the crashes that a subject caused by its own count, by stage."""
    t, (kind, merchant_id, key) = STAGE_ATTEMPTS.c, subject
    query = sa.select(t.stage, t.attempts).where(
        t.subject_kind == kind, t.merchant_id == merchant_id, t.subject == key
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def trial_batches(
    before: Mapping[ids.Subject, int], batch_orders_max: int
) -> list[list[ids.Subject]]:
    """Return which orders are tried together: the least suspicious first, in larger batches.

    Innocent orders are then done before the next process crashes.
    """
    found = []
    for crashes, group in groupby(sorted(before, key=before.__getitem__), before.__getitem__):
        size = max(1, batch_orders_max // TRIAL_SHRINKS_BY**crashes)
        subjects = list(group)
        found += [subjects[start : start + size] for start in range(0, len(subjects), size)]
    return found


def poison(crashes: int) -> errors.Poison:
    """Return the reason of a dead letter for an order that caused this many crashes."""
    what = f"more than {crashes} processes crashed with this order; it was not processed again"
    return errors.Poison(CODE, what)
