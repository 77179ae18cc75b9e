"""The SQL of payment attempts, which are requests to a gateway.

An attempt is inserted before its call and updated after it; rows are never deleted.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.payments import rules, transactions
from internal.payments.messages import Attempt, AttemptState, MoneyMovement, Operation

PAYMENT_ATTEMPTS = sa.Table(
    "payment_attempts",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("attempt_no", primary_key=True),
    columns.number("tender_no"),
    columns.code("operation"),
    columns.number("parent_no", default=0),
    columns.code("state"),
    columns.number("asked_minor"),
    columns.code("currency", chars_max=3),
    columns.number("answered_minor", default=0),
    columns.words("answered_currency", 3),
    columns.code("attempt_key", chars_max=160),
    columns.number("key_expires_at_us", nullable=True),
    columns.number("gateway_account_key", nullable=True),
    columns.words("gateway_reference", 128),
    columns.words("decline_code", 64),
    columns.words("advice", 32),
    columns.words("three_ds_version", 16),
    columns.words("eci", 8),
    columns.words("exemption", 32),
    columns.number("is_liability_shifted", default=0),
    columns.number("is_final", default=0),
    columns.number("due_at_us", nullable=True),
    columns.number("tries", default=0),
    columns.number("leased_until_us", nullable=True),
    columns.number("at_us"),
    columns.number("updated_at_us"),
)
_LENGTHS: dict[str, int] = {
    column.name: column.type.length
    for column in PAYMENT_ATTEMPTS.c
    if isinstance(column.type, sa.String) and column.type.length
}


class History(msgspec.Struct, frozen=True):
    """All attempts of one order, by number, and all movements of its money."""

    attempts: tuple[Attempt, ...] = ()
    movements: tuple[MoneyMovement, ...] = ()


_NEW = (
    "order_key",
    "attempt_no",
    "tender_no",
    "operation",
    "parent_no",
    "state",
    "asked_minor",
    "currency",
    "attempt_key",
    "at_us",
    "updated_at_us",
)
_ORDER = bulk.shape_of(PAYMENT_ATTEMPTS, "order_key")
_CHANGED = (
    "order_key",
    "attempt_no",
    "state",
    "answered_minor",
    "answered_currency",
    "gateway_reference",
    "decline_code",
    "tries",
    "updated_at_us",
)
_CHANGE = bulk.shape_of(PAYMENT_ATTEMPTS, *_CHANGED)


def histories(connection: sa.Connection, order_keys: Sequence[int]) -> dict[int, History]:
    """Return the histories of these orders, by order; orders without one are left out."""
    queries = [attempts_query(order_keys), transactions.query(order_keys)]
    tried, moved = bulk.select_many(connection, queries)
    attempts, movements = attempts_in(tried), transactions.movements_in(moved)
    return {
        key: History(attempts.get(key, ()), movements.get(key, ()))
        for key in attempts.keys() | movements.keys()
    }


def attempts_query(order_keys: Sequence[int]) -> bulk.Query:
    """Return the query of all attempts of these orders; `attempts_in` reads its answer."""
    query = (
        "SELECT t.* FROM {w} CROSS JOIN payment_attempts t ON t.order_key = {w.order_key}"
        " ORDER BY t.order_key, t.attempt_no"
    )
    return bulk.Query(_ORDER, query, [(key,) for key in order_keys])


def attempts_in(rows: Sequence[bulk.Row]) -> dict[int, tuple[Attempt, ...]]:
    """Return the attempts in the rows of `attempts_query`, by order."""
    found: defaultdict[int, dict[int, Attempt]] = defaultdict(dict)
    for row in rows:
        earlier = found[row.order_key]
        parent = earlier.get(row.parent_no)
        earlier[row.attempt_no] = _attempt(row, parent.key if parent else "")
    return {key: tuple(attempts.values()) for key, attempts in found.items()}


def _attempt(row: bulk.Row, parent_key: str) -> Attempt:
    return Attempt(
        order_key=row.order_key,
        attempt_no=row.attempt_no,
        operation=Operation(row.operation),
        tender_no=row.tender_no,
        asked_minor=row.asked_minor,
        currency=row.currency,
        key=row.attempt_key,
        state=AttemptState(row.state),
        parent_no=row.parent_no,
        parent_key=parent_key,
        answered_minor=row.answered_minor,
        answered_currency=row.answered_currency,
        gateway_reference=row.gateway_reference,
        decline_code=row.decline_code,
        tries=row.tries,
        updated_at_us=row.updated_at_us,
    )


def fitting(column: str, text: str) -> str:
    """Return a gateway's text so that its column takes it: cut, without halves of characters."""
    if text.isascii() and len(text) <= _LENGTHS[column]:
        return text
    whole = text.encode(errors="replace").decode()
    return whole[: _LENGTHS[column]]


def add(connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
    """Insert new attempts.

    Raises:
        IntegrityError: an order already has an attempt of the same number.
    """
    rows = [
        (
            a.order_key,
            a.attempt_no,
            a.tender_no,
            a.operation,
            a.parent_no,
            a.state,
            a.asked_minor,
            a.currency,
            a.key,
            at_us,
            at_us,
        )
        for a in attempts
    ]
    bulk.insert_deferred(connection, PAYMENT_ATTEMPTS, _NEW, rows)


def update(connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
    """Record the results of attempts.

    An answer of the gateway is final: nothing replaces SUCCEEDED, DECLINED or DIFFERENT. FAILED
    never replaces UNKNOWN, because a request that did not arrive proves nothing about an earlier
    one.
    """
    rows = [
        (
            a.order_key,
            a.attempt_no,
            a.state,
            a.answered_minor,
            a.answered_currency,
            a.gateway_reference,
            a.decline_code,
            a.tries,
            at_us,
        )
        for a in rules.most_certain(attempts)
    ]
    changes = bulk.assign(*_CHANGED[2:])
    guard = bulk.Guard(
        "(t.state IN ('PENDING', 'FAILED') OR (t.state = 'UNKNOWN' AND {w.state} <> 'FAILED'))"
    )
    bulk.update_deferred(
        connection,
        PAYMENT_ATTEMPTS,
        _CHANGE,
        ("order_key", "attempt_no"),
        changes,
        rows,
        guard,
    )
