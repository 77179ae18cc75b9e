"""The SQL of requests: one row for each, by the id that its sender gave it.

It is written in the transaction that carries the request out.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import errors
from internal.requests import rules
from internal.requests.messages import Request, RequestKey, RequestState

REQUESTS = sa.Table(
    "requests",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.code("method", primary_key=True),
    columns.ident("request_id", primary_key=True),
    columns.code("body_hash", chars_max=32),
    columns.code("subject_kind"),
    columns.ident("subject"),
    columns.code("state"),
    columns.code("status", chars_max=64),
    columns.document("answer"),
    columns.number("actor_key", nullable=True),
    columns.number("at_us"),
    sa.Index("requests_by_subject", "merchant_id", "subject_kind", "subject", "state"),
    sa.Index("requests_by_state", "merchant_id", "state"),
    sa.Index("requests_by_time", "state", "at_us"),
)

_KEY = ("merchant_id", "method", "request_id")
_CHANGED = ("state", "status", "answer", "at_us")
_COLUMNS = tuple(REQUESTS.c.keys())
_SELECT = f"SELECT {', '.join(f't.{name}' for name in _COLUMNS)} FROM {{w}} CROSS JOIN requests t"  # noqa: S608 - our own names
_BY_KEY = bulk.shape_of(REQUESTS, *_KEY)
_BY_SUBJECT = bulk.shape_of(REQUESTS, "merchant_id", "subject_kind", "subject")
_STATES = {state.value: state for state in RequestState}


class Subject(NamedTuple):
    """The thing that a request is about, by its merchant's id."""

    merchant_id: str
    kind: str
    subject: str


def query_of(keys: Sequence[RequestKey]) -> bulk.Query:
    """Return the query for the requests with these keys: `found_in` reads its answer."""
    query = (
        f"{_SELECT} ON t.merchant_id = {{w.merchant_id}}"
        " AND t.method = {w.method} AND t.request_id = {w.request_id}"
    )
    return bulk.Query(_BY_KEY, query, keys)


def found_in(rows: Sequence[bulk.Row]) -> dict[RequestKey, Request]:
    """Return the requests in the answer to `query_of`."""
    return {found.key: found for found in map(_request, rows)}


def find(connection: sa.Connection, keys: Sequence[RequestKey]) -> dict[RequestKey, Request]:
    """Return those of the requests that are recorded."""
    return found_in(bulk.select(connection, *query_of(keys)))


def find_open(connection: sa.Connection, subjects: Sequence[Subject]) -> list[Request]:
    """Return the requests about these subjects that have no answer yet, oldest first."""
    query = (
        f"{_SELECT} ON t.merchant_id = {{w.merchant_id}}"
        " AND t.subject_kind = {w.subject_kind} AND t.subject = {w.subject}"
        f" AND t.state <> '{RequestState.DONE}'"
    )
    found = map(_request, bulk.select(connection, _BY_SUBJECT, query, subjects))
    return sorted(found, key=lambda request: (request.at_us, request.key))


def count_waiting(connection: sa.Connection, merchant_id: str, most: int) -> int:
    """Count a merchant's requests that wait for their subjects, up to `most`."""
    t = REQUESTS.c
    waiting = sa.and_(t.merchant_id == merchant_id, t.state == RequestState.WAITING)
    some = sa.select(t.state).where(waiting).limit(most).subquery()
    count: int = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return count


def of_subject(connection: sa.Connection, subject: Subject) -> list[Request]:
    """Return all requests about a subject that are still kept, oldest first."""
    t = REQUESTS.c
    about = sa.and_(
        t.merchant_id == subject.merchant_id,
        t.subject_kind == subject.kind,
        t.subject == subject.subject,
    )
    rows = connection.execute(sa.select(REQUESTS).where(about).order_by(t.at_us, t.request_id))
    return [_request(row) for row in rows]


def add(connection: sa.Connection, requests: Sequence[Request]) -> None:
    """Record requests.

    Raises:
        Conflict: another transaction recorded one of them; repeat the whole transaction.
    """
    rows = [tuple(getattr(request, name) for name in _COLUMNS) for request in requests]
    conflict = "another transaction recorded a request at the same time"
    bulk.insert_deferred(connection, REQUESTS, _COLUMNS, rows, conflict)


def change(connection: sa.Connection, requests: Sequence[Request]) -> None:
    """Give recorded requests their new state and answer. An answer is never changed.

    Raises:
        Conflict: one of them has its answer already; repeat the whole transaction.
    """
    rows = [(*it.key, *(getattr(it, name) for name in _CHANGED)) for it in requests]
    shape, changes = bulk.shape_of(REQUESTS, *_KEY, *_CHANGED), bulk.assign(*_CHANGED)
    conflict = "a request was answered under this transaction"
    guard = bulk.Guard(f"t.state <> '{RequestState.DONE}'", conflict)
    bulk.update_deferred(connection, REQUESTS, shape, _KEY, changes, rows, guard)


def once(
    connection: sa.Connection, asked: Request, carry_out: Callable[[], str]
) -> tuple[str, bool]:
    """Carry out a request in this transaction, or return the answer that is recorded for it.

    Args:
        connection: in a transaction.
        asked: the request, without its answer.
        carry_out: returns the answer, as JSON.

    Returns:
        The answer, and whether it was recorded before.

    Raises:
        RequestIdReused: another request has its id.
        Conflict: another transaction carries it out; repeat the whole transaction.
    """
    known = find(connection, [asked.key]).get(asked.key)
    if rules.judge(known, asked.body_hash) is rules.Verdict.REUSED:
        what = f"another request has the id {asked.request_id}; its outcome is unchanged"
        raise errors.RequestIdReused([("", what)])
    if known:
        return known.answer, True
    answer = carry_out()
    add(connection, [msgspec.structs.replace(asked, answer=answer)])
    return answer, False


def find_old(connection: sa.Connection, before_us: int, rows_max: int) -> list[RequestKey]:
    """Return some of the requests that have had their state since before this instant."""
    t, found = REQUESTS.c, list[RequestKey]()
    for state in RequestState:
        old = sa.and_(t.state == state, t.at_us < before_us)
        query = sa.select(*(t[name] for name in _KEY)).where(old).order_by(t.at_us)
        rows = connection.execute(query.limit(rows_max - len(found)))
        found += [RequestKey(*row) for row in rows]
    return found


def delete(connection: sa.Connection, keys: Sequence[RequestKey], before_us: int) -> int:
    """Delete those of these requests that are still as old; return how many that were."""
    ids_of: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for merchant_id, method, request_id in sorted(keys):
        ids_of[merchant_id, method].append(request_id)
    t, deleted = REQUESTS.c, 0
    for (merchant_id, method), request_ids in ids_of.items():  # SQLite scans for a list of tuples
        these = (t.merchant_id == merchant_id) & (t.method == method)
        these &= t.request_id.in_(request_ids)
        deleted += connection.execute(REQUESTS.delete().where(these, t.at_us < before_us)).rowcount
    return deleted


def _request(row: bulk.Row | sa.Row[tuple[object, ...]]) -> Request:
    return Request(**(row._asdict() | {"state": _STATES[row.state]}))
