"""Bulk SQL for SQLite: the rows are bound VALUES, up to CHUNK_ROWS_MAX in a statement.

Measured twice as fast as unpacking JSON with json_each, and a whole chunk runs in one step, without
Python's lock. It must not run anything: it only writes statements.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain

from internal.infra import statements

CHUNK_ROWS_MAX = 256
"""Rows in one statement. Chunks are powers of two, so that few statements have to be prepared."""
FEW_ROWS = 16
"""The last rows are one chunk, whatever their number, if they are no more than this: in a small
transaction a statement costs more than its rows.
"""
BOUND_VALUES_MAX = 32_000
"""SQLite's own limit on bound values is 32,766."""


def render(
    statement: statements.Statement, rows: Sequence[statements.Values]
) -> Iterator[tuple[str, statements.Values]]:
    """Return (SQL, bound values) for each chunk of the rows.

    SQLite's writer holds the whole file, so locking rows needs no SQL.
    """
    for chunk in chunks(rows, len(statement.shape.columns)):
        yield _sql(statement, len(chunk)), tuple(chain.from_iterable(chunk))


def chunks(rows: Sequence[statements.Values], width: int) -> Iterable[Sequence[statements.Values]]:
    """Cut rows of `width` values into runs of powers of two, longest first, and a short rest."""
    size, start = CHUNK_ROWS_MAX, 0
    while size * width > BOUND_VALUES_MAX:
        size //= 2
    while start < len(rows):
        left = len(rows) - start
        while size > left:
            size = left if left <= FEW_ROWS else size // 2
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=2_048)
def _sql(statement: statements.Statement, rows: int) -> str:
    names = statement.shape.names
    row = f"({', '.join('?' * len(names))})"
    values = f"VALUES {', '.join([row] * rows)}"
    if isinstance(statement, statements.Insert):
        return f"INSERT INTO {statement.table.name} ({', '.join(names)}) {values}"
    columns = ", ".join(f"column{place} AS {name}" for place, name in enumerate(names, start=1))
    table = f"(SELECT {columns} FROM ({values})) AS w"  # noqa: S608 - our own names
    return "".join(
        piece.text + _field(piece.field, table) for piece in statements.pieces(_template(statement))
    )


def _field(field: str | None, table: str) -> str:
    if field is None:
        return ""
    return f"w.{field}" if field else table


def _template(statement: statements.Update | statements.Select) -> str:
    if isinstance(statement, statements.Select):
        return statement.query
    table = statement.table.name
    changes = ", ".join(f"{column} = {value}" for column, value in statement.changes)
    where = statements.same_in_both(statement.keys)
    if statement.guard:
        where = f"{where} AND ({statement.guard})"
    return f"UPDATE {table} AS t SET {changes} FROM {{w}} WHERE {where}"  # noqa: S608
