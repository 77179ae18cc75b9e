"""The SQL of payment attempts.

An attempt is inserted before its call and updated after it; rows are never deleted.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.payments import rules, tenders
from internal.payments.messages import Attempt, AttemptKind, AttemptState

PAYMENT_ATTEMPTS = sa.Table(
    "payment_attempts",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("attempt_no", primary_key=True),
    columns.code("kind"),
    columns.number("tender_no"),
    columns.code("tender_kind"),
    columns.number("amount_minor"),
    columns.code("currency", chars_max=3),
    columns.code("attempt_key", chars_max=160),
    columns.code("state"),
    columns.words("voids_key", 160),
    columns.words("gateway_reference", 128),
    columns.words("decline_code", 64),
    columns.number("checks", default=0),
    columns.number("updated_at_us"),
)


class History(msgspec.Struct, frozen=True):
    """All attempts of one order, by number."""

    attempts: tuple[Attempt, ...] = ()


_COLUMNS = tuple(PAYMENT_ATTEMPTS.c.keys())
_ORDER = bulk.shape_of(PAYMENT_ATTEMPTS, "order_key")
_CHANGED = (
    "order_key",
    "attempt_no",
    "state",
    "gateway_reference",
    "decline_code",
    "checks",
    "updated_at_us",
)
_CHANGE = bulk.shape_of(PAYMENT_ATTEMPTS, *_CHANGED)


def histories(connection: sa.Connection, order_keys: Sequence[int]) -> dict[int, History]:
    """Return the histories of these orders, by order; orders without attempts are left out."""
    return histories_in(bulk.select(connection, *histories_query(order_keys)))


def histories_query(order_keys: Sequence[int]) -> bulk.Query:
    """Return the query of `histories`, to run it together with others; `histories_in` reads it."""
    query = (
        "SELECT t.* FROM {w} CROSS JOIN payment_attempts t ON t.order_key = {w.order_key}"
        " ORDER BY t.order_key, t.attempt_no"
    )
    return bulk.Query(_ORDER, query, [(key,) for key in order_keys])


def histories_in(rows: Sequence[bulk.Row]) -> dict[int, History]:
    """Return the histories in the rows of `histories_query`, by order."""
    attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
    for row in rows:
        attempts[row.order_key].append(_attempt(row))
    return {key: History(tuple(found)) for key, found in attempts.items()}


def _attempt(row: sa.Row[tuple[int | str, ...]]) -> Attempt:
    return Attempt(
        order_key=row.order_key,
        attempt_no=row.attempt_no,
        kind=AttemptKind(row.kind),
        tender_no=row.tender_no,
        tender_kind=tenders.of_kind(row.tender_kind).kind,
        amount_minor=row.amount_minor,
        currency=row.currency,
        key=row.attempt_key,
        state=AttemptState(row.state),
        voids_key=row.voids_key,
        gateway_reference=row.gateway_reference,
        decline_code=row.decline_code,
        checks=row.checks,
        updated_at_us=row.updated_at_us,
    )


def fitting(column: str, text: str) -> str:
    """Return a gateway's text so that its column takes it: cut, without halves of characters."""
    whole = text.encode(errors="replace").decode()
    return whole[: PAYMENT_ATTEMPTS.c[column].type.length]  # type: ignore[attr-defined]


def add(connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
    """Insert new attempts.

    Raises:
        IntegrityError: an order already has an attempt of the same number.
    """
    rows = [
        (
            a.order_key,
            a.attempt_no,
            a.kind,
            a.tender_no,
            a.tender_kind,
            a.amount_minor,
            a.currency,
            a.key,
            a.state,
            a.voids_key,
            a.gateway_reference,
            a.decline_code,
            a.checks,
            at_us,
        )
        for a in attempts
    ]
    bulk.insert_deferred(connection, PAYMENT_ATTEMPTS, _COLUMNS, rows)


def update(connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
    """Record the results of attempts.

    An answer of the gateway is final: nothing replaces SUCCEEDED or DECLINED. FAILED never replaces
    UNKNOWN, because a request that did not arrive proves nothing about an earlier one.
    """
    rows = [
        (
            a.order_key,
            a.attempt_no,
            a.state,
            a.gateway_reference,
            a.decline_code,
            a.checks,
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
