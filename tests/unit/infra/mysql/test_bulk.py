"""MySQL reads the rows in a statement unchanged, and none of them as SQL."""

import json
import re

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.infra import bulk, columns, statements
from internal.infra.mysql import bulk as mysql_bulk
from internal.kernel.money import INT64_MAX, INT64_MIN

TEXT_LENGTH = 20
TABLE = sa.Table(
    "t",
    sa.MetaData(),
    columns.number("a", primary_key=True),
    columns.words("b", TEXT_LENGTH),
    columns.number("c", nullable=True),
    columns.document("d"),
)
SHAPE = bulk.shape_of(TABLE, *"abc")
INSERT = statements.Insert(TABLE, SHAPE)
SELECT = statements.Select(
    SHAPE, "SELECT t.a FROM {w} CROSS JOIN t ON t.a = {w.a} AND t.b = {w.b} AND t.c = {w.c}"
)
CHANGES = (("b", "{w.b}"), ("c", "t.c + {w.c}"))
UPDATE = statements.Update(TABLE, SHAPE, ("a",), CHANGES, "t.c <> {w.c}")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(
    st.tuples(
        st.integers(INT64_MIN, INT64_MAX), TEXTS, st.none() | st.integers(INT64_MIN, INT64_MAX)
    ),
    min_size=1,
    max_size=6,
)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"|(null)|(-?\d+)', re.DOTALL)


def one(statement: statements.Statement, *rows: tuple[int | str | None, ...]) -> str:
    ((sql, bound),) = mysql_bulk.render(statement, rows)
    assert bound is None
    return sql.decode()


def unescaped(text: str) -> str:
    """Read a string as MySQL's manual says: a character outside its table stands for itself."""
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text, flags=re.DOTALL)


def values(text: str) -> list[int | str | None]:
    """Read the text between VALUES' brackets, as the server does."""
    found: list[int | str | None] = []
    for string, null, number in (m.groups() for m in _LITERAL.finditer(text)):
        found.append(None if null else int(number) if number else unescaped(string or ""))
    return found


@given(ROWS)
def test_values_are_read_as_they_were(rows: list[tuple[int, str, int | None]]) -> None:
    before, _, listed = one(INSERT, *rows).partition(" VALUES ")
    assert before == "INSERT INTO t (a, b, c)"
    assert values(listed) == [value for row in rows for value in row]
    bare = _LITERAL.sub("", listed)
    assert bare == ",".join(["(,,)"] * len(rows))


@given(st.lists(st.tuples(st.integers(0, 9), TEXTS | st.just("]\n[")), min_size=1, max_size=6))
def test_long_texts_are_read_as_they_were(rows: list[tuple[int, str]]) -> None:
    insert = statements.Insert(TABLE, bulk.shape_of(TABLE, "a", "d"))
    listed = one(insert, *rows).partition(" VALUES ")[2]
    quoted = re.findall(r"\((\d),'((?:[^'\\]|\\.)*)'\)(?:,|$)", listed, re.DOTALL)
    assert [(int(number), unescaped(text)) for number, text in quoted] == rows


@given(ROWS)
def test_a_table_is_read_as_it_was(rows: list[tuple[int, str, int | None]]) -> None:
    """Columns that are all alike are in the SQL; the others are in the JSON.

    A text that is too long for its column stays too long, by one character.
    """
    sql = one(SELECT, *rows)
    quoted = re.search(r"JSON_TABLE\('((?:[^'\\]|\\.)*)'", sql, re.DOTALL)
    assert quoted is not None
    read = json.loads(unescaped(quoted[1]), strict=True)
    kept = re.findall(r"(\w) \S+(?: COLLATE utf8mb4_bin)? PATH '\$\[(\d)\]' ERROR ON ERROR", sql)
    assert [int(place) for _, place in kept] == list(range(len(kept)))
    for name, place in kept:
        column = "abc".index(name)
        wanted = [row[column] for row in rows]
        if name == "b":
            wanted = [text[: TEXT_LENGTH + 1] for _, text, _ in rows]
        assert [row[int(place)] for row in read] == wanted
    for name in set("abc") - {name for name, _ in kept}:
        assert f"w.{name}" not in sql.replace(quoted[0], "")


def test_a_table_stands_apart_where_rows_are_locked() -> None:
    locking = statements.Select(SHAPE, SELECT.query, lock=True)
    sql = one(locking, (1, "x", 1), (2, "y", 2))
    assert sql.startswith("SELECT t.a FROM (SELECT * FROM JSON_TABLE('[[1,")
    assert ") AS w) AS w STRAIGHT_JOIN t ON" in sql
    assert sql.endswith(" FOR UPDATE")


def test_values_that_all_rows_share_are_written_once() -> None:
    rows = [(number, 'it\'s "so"', 5) for number in range(mysql_bulk.KEYS_MAX + 1)]
    listed = ",".join(f"[{number}]" for number, *_ in rows)
    assert one(UPDATE, *rows).replace(listed, "…") == (
        "UPDATE JSON_TABLE('[…]', '$[*]' COLUMNS(a BIGINT PATH '$[0]' ERROR ON ERROR)) AS w"
        " STRAIGHT_JOIN t AS t ON t.a = w.a"
        ' SET t.b = "it\'s \\"so\\"", t.c = t.c + 5 WHERE t.c <> 5'
    )


def test_few_rows_are_found_by_their_keys() -> None:
    assert one(UPDATE, (1, 'it\'s "so"', 5), (2, 'it\'s "so"', 5)) == (
        'UPDATE t AS t SET t.b = "it\'s \\"so\\"", t.c = t.c + 5 WHERE t.a IN (1,2) AND (t.c <> 5)'
    )


def test_differing_values_are_picked_by_the_key() -> None:
    sql = one(UPDATE, (1, "b", 5), (2, "b", None))
    assert sql.replace("(CASE t.a WHEN 1 THEN 5 WHEN 2 THEN null END)", "…") == (
        'UPDATE t AS t SET t.b = "b", t.c = t.c + … WHERE t.a IN (1,2) AND (t.c <> …)'
    )


def test_one_row_is_written_out() -> None:
    assert one(UPDATE, (1, "b", None)) == (
        'UPDATE t AS t SET t.b = "b", t.c = t.c + null WHERE t.a IN (1) AND (t.c <> null)'
    )


TWO_KEYS = statements.Update(TABLE, SHAPE, ("a", "b"), bulk.assign("c"))
PLAIN = statements.Update(TABLE, SHAPE, ("a",), bulk.assign("c"), "t.b <> w.b")
CROSSED = statements.Update(TABLE, SHAPE, ("a",), (("b", "t.c"), ("c", "t.b + {w.c}")))


@pytest.mark.parametrize(
    ("update", "rows"),
    [
        (UPDATE, [(number, "b", number) for number in range(mysql_bulk.CASES_MAX + 1)]),
        (UPDATE, [(1, "b", 5), (1, "c", 6)]),
        (TWO_KEYS, [(1, "b", 5), (2, "c", 5)]),
        (CROSSED, [(1, "b", 5)]),
        (PLAIN, [(1, "b", 5)]),
    ],
    ids=[
        "too many to pick from",
        "a key twice",
        "two keys differ",
        "a change reads another",
        "w is named",
    ],
)
def test_other_updates_join_a_table(
    update: statements.Update, rows: list[tuple[int, str, int]]
) -> None:
    assert one(update, *rows).startswith("UPDATE JSON_TABLE(")


def test_one_row_keeps_a_column() -> None:
    assert "JSON_TABLE('[[1]]'" in one(SELECT, (1, "b", None))
    assert 't.b = "b" AND t.c = null' in one(SELECT, (1, "b", None))


def test_a_column_that_is_named_plainly_stays() -> None:
    query = "SELECT w.b FROM {w} CROSS JOIN t ON t.a = {w.a} AND t.c = {w.c} ORDER BY w.a"
    sql = one(statements.Select(SHAPE, query), (1, "b", 1), (1, "b", 1))
    assert sql.startswith('SELECT w.b FROM JSON_TABLE(\'[[1,"b"],[1,"b"]]\'')
    assert sql.endswith("AS w STRAIGHT_JOIN t ON t.a = w.a AND t.c = 1 ORDER BY w.a")


@pytest.mark.parametrize("number", [INT64_MAX + 1, INT64_MIN - 1, 2**64])
def test_an_integer_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        one(UPDATE, (1, "b", number), (2, "c", None))


def test_long_statements_are_cut_in_two() -> None:
    rows = [(number, "x" * 2**20, None) for number in range(9)]
    parts = [sql for sql, _ in mysql_bulk.render(INSERT, rows)]
    assert all(len(part) <= mysql_bulk.STATEMENT_BYTES_MAX for part in parts)
    assert [v for part in parts for v in values(part.decode())[::3]] == list(range(9))
    assert len(one(INSERT, (1, "x" * 2**23, None))) > 2**23
