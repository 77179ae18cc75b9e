"""SQLite's bulk SQL: bound values, in chunks of few sizes."""

import pytest
import sqlalchemy as sa

from internal.infra import bulk, columns, statements
from internal.infra.sqlite import bulk as sqlite_bulk

TABLE = sa.Table(
    "t",
    sa.MetaData(),
    columns.number("a", primary_key=True),
    columns.words("b"),
    columns.number("c", nullable=True),
)
SHAPE = bulk.shape_of(TABLE, "a", "c")
ROWS = [(1, 5), (2, None)]
W = "(SELECT column1 AS a, column2 AS c FROM (VALUES (?, ?), (?, ?))) AS w"


def one(statement: statements.Statement) -> str:
    ((sql, bound),) = sqlite_bulk.render(statement, ROWS)
    assert bound == (1, 5, 2, None)
    return sql


def test_an_insert_binds_its_values() -> None:
    assert one(statements.Insert(TABLE, SHAPE)) == "INSERT INTO t (a, c) VALUES (?, ?), (?, ?)"


def test_an_update_joins_the_rows() -> None:
    changes = (("c", "t.c + {w.c}"), ("b", "'x'"))
    assert one(statements.Update(TABLE, SHAPE, ("a",), changes, "t.c > {w.c} OR w.c = 1")) == (
        f"UPDATE t AS t SET c = t.c + w.c, b = 'x' FROM {W}"  # noqa: S608 - nothing runs it
        " WHERE t.a = w.a AND (t.c > w.c OR w.c = 1)"
    )
    unguarded = statements.Update(TABLE, SHAPE, ("a", "c"), bulk.assign("c"))
    assert one(unguarded).endswith(" WHERE t.a = w.a AND t.c = w.c")


@pytest.mark.parametrize("lock", [False, True])
def test_a_query_gets_the_rows_as_a_table(*, lock: bool) -> None:
    query = "SELECT w.c FROM {w} CROSS JOIN t ON t.a = {w.a}"
    assert one(statements.Select(SHAPE, query, lock)) == (
        f"SELECT w.c FROM {W} CROSS JOIN t ON t.a = w.a"  # noqa: S608 - nothing runs it
    )


@pytest.mark.parametrize(("count", "width"), [(1, 1), (257, 6), (3_000, 300), (255, 32_000)])
def test_chunks_have_few_lengths_within_the_limit(count: int, width: int) -> None:
    rows = [(number,) * width for number in range(count)]
    cut = list(sqlite_bulk.chunks(rows, width))
    assert [row for chunk in cut for row in chunk] == rows
    for place, chunk in enumerate(cut, start=1):
        is_short_rest = place == len(cut) and len(chunk) <= sqlite_bulk.FEW_ROWS
        assert len(chunk).bit_count() == 1 or is_short_rest
        assert len(chunk) * width <= sqlite_bulk.BOUND_VALUES_MAX


def test_a_short_rest_is_one_statement() -> None:
    lengths = [[len(chunk) for chunk in sqlite_bulk.chunks([(0,)] * rows, 1)] for rows in (3, 29)]
    assert lengths == [[3], [16, 13]]
