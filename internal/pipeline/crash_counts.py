"""How many processes died with an order in their hands: what a segfault leaves instead of an error.

First a stage counts its lives, in one row: begun, and not yet through with what a dead process may
have had in hand. Only when that says that somebody died over it, each such order is counted, and
that committed, before it is taken in hand; its row goes when the stage is done with it. So a count
is a number of lives lost, also across machines, and as long as nobody dies none costs anything.
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
    columns.ident("merchant_id", primary_key=True),
    columns.ident("order_id", primary_key=True),
    columns.number("attempts"),
    columns.number("first_at_us"),
    columns.number("last_at_us"),
)

COUNTED_MAX = 6
"""Lives that an order may cost by its own count: one in a batch, one in small company, four quite
alone. Processes that are killed for other reasons do die over the same lone order twice, when they
are killed often enough (50 times within two minutes: `scripts/chaos --campaign`), not four times.
"""
ATTEMPTS_MAX = COUNTED_MAX + 1
"""And the one by which the stage learned that there is something to count."""
COMPANY_SHRINKS_BY = 32
"""From one attempt to the next: 2,000 orders, 62, 1. Neighbours of a killer leave its company long
before they are counted out, and a thousand suspects still take seconds, not minutes.
"""
KEPT_S = 30 * 24 * 3_600
"""A row that nobody came back for is forgotten: another instance finished its order meanwhile."""
NAMES_AT_ONCE = 500
CODE = "KILLED_THE_PROCESS"

STAGE = ids.OrderRef("", "")
"""Stands for the stage itself: its lives."""

_COUNTABLE = re.compile(f"[!-~]{{1,{columns.ID_CHARS_MAX}}}").fullmatch
_KEYS = ("stage", "merchant_id", "order_id")
_COLUMNS = tuple(STAGE_ATTEMPTS.c.keys())
_KEY = bulk.shape_of(STAGE_ATTEMPTS, *_KEYS)


def is_countable(name: ids.OrderRef) -> bool:
    """Tell whether the table takes a name: every one that the door lets in, not all on a topic."""
    return all(map(_COUNTABLE, name))


def find(
    connection: sa.Connection, stage: str, names: Iterable[ids.OrderRef]
) -> dict[ids.OrderRef, int]:
    """Return how many lives these orders cost at this stage; those that cost none are left out."""
    return {name: attempts for name, (attempts, _) in _find(connection, stage, names).items()}


def _find(
    connection: sa.Connection, stage: str, names: Iterable[ids.OrderRef]
) -> dict[ids.OrderRef, tuple[int, int]]:
    query = (
        "SELECT t.merchant_id, t.order_id, t.attempts, t.first_at_us"
        " FROM {w} CROSS JOIN stage_attempts t ON t.stage = {w.stage}"
        " AND t.merchant_id = {w.merchant_id} AND t.order_id = {w.order_id}"
    )
    rows = bulk.select(connection, _KEY, query, [(stage, *name) for name in names])
    return {ids.OrderRef(row[0], row[1]): (row[2], row[3]) for row in rows}


def begin(
    connection: sa.Connection, stage: str, names: Sequence[ids.OrderRef], now_us: int
) -> dict[ids.OrderRef, int]:
    """Count those that are tried for the first time; return the lives that the others cost.

    Raises:
        Conflict: another instance counts one of them too; repeat the whole transaction.
    """
    before = find(connection, stage, names)
    new = [(stage, *name, 1, now_us, now_us) for name in names if name not in before]
    _put(connection, new)
    return before


def begin_life(connection: sa.Connection, stage: str, now_us: int) -> bool:
    """Count a life of the stage; tell whether one before it died before it was through.

    Raises:
        Conflict: as for begin.
    """
    forget_old(connection, now_us)
    has_lost = bool(_find(connection, stage, [STAGE]))
    count(connection, stage, [STAGE], now_us)
    return has_lost


def count(
    connection: sa.Connection, stage: str, names: Sequence[ids.OrderRef], now_us: int
) -> None:
    """Count one more life for each.

    Raises:
        Conflict: as for begin.
    """
    before = _find(connection, stage, names)
    rows = []
    for name in names:
        attempts, first_at_us = before.get(name, (0, now_us))
        rows.append((stage, *name, attempts + 1, first_at_us, now_us))
    _put(connection, rows)


def take_back(
    connection: sa.Connection, stage: str, names: Sequence[ids.OrderRef], now_us: int
) -> None:
    """Count one life less for each: the process ends, and not because of them.

    Raises:
        Conflict: as for begin.
    """
    before = _find(connection, stage, names)
    forget(connection, stage, before)
    rows = [
        (stage, *name, attempts - 1, first_at_us, now_us)
        for name, (attempts, first_at_us) in before.items()
        if attempts > 1
    ]
    _put(connection, rows)


def forget_old(connection: sa.Connection, now_us: int) -> None:
    """Drop rows that nobody came back for."""
    long_ago = STAGE_ATTEMPTS.c.last_at_us < now_us - KEPT_S * US_PER_SECOND
    connection.execute(STAGE_ATTEMPTS.delete().where(long_ago))


def _put(connection: sa.Connection, rows: Sequence[bulk.Values]) -> None:
    try:
        bulk.replace(connection, STAGE_ATTEMPTS, _KEYS, _COLUMNS, rows)
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("an order is counted by somebody else too") from error


def forget(connection: sa.Connection, stage: str, names: Iterable[ids.OrderRef]) -> None:
    """Drop the rows of orders that this stage is done with, if there are any."""
    t, done = STAGE_ATTEMPTS.c, list(names)
    for start in range(0, len(done), NAMES_AT_ONCE):
        some = sa.tuple_(t.merchant_id, t.order_id).in_(done[start : start + NAMES_AT_ONCE])
        connection.execute(STAGE_ATTEMPTS.delete().where(t.stage == stage, some))


def of_order(connection: sa.Connection, name: ids.OrderRef) -> dict[str, int]:
    """Return the lives that an order cost by its own count, by stage."""
    t, (merchant_id, order_id) = STAGE_ATTEMPTS.c, name
    query = sa.select(t.stage, t.attempts).where(
        t.merchant_id == merchant_id, t.order_id == order_id
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def companies(
    before: Mapping[ids.OrderRef, int], batch_orders_max: int
) -> list[list[ids.OrderRef]]:
    """Return who is tried together, in this order: the least suspicious first, in larger groups.

    So that whoever is innocent is done before the next process dies.
    """
    found = []
    for lives, group in groupby(sorted(before, key=before.__getitem__), before.__getitem__):
        size = max(1, batch_orders_max // COMPANY_SHRINKS_BY**lives)
        names = list(group)
        found += [names[start : start + size] for start in range(0, len(names), size)]
    return found


def poison(lives: int) -> errors.Poison:
    """Say why an order is put aside that has cost so many lives."""
    what = f"more than {lives} processes died with this order in their hands; it was not touched"
    return errors.Poison(CODE, what)
