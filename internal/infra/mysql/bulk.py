"""Bulk SQL for MySQL and MariaDB: the JSON encoder writes the rows into the statement.

The driver would escape every value in Python; here a whole batch costs a tenth of a millisecond. An
INSERT gets a list of VALUES (a row of JSON is nearly a row of SQL), an UPDATE of few rows CASEs by
their key, everything else a JSON_TABLE.
It must not meet a session whose sql_mode has ANSI_QUOTES or NO_BACKSLASH_ESCAPES: see
mysql/database.py.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from internal.infra import statements
from internal.infra.columns import BINARY_COLLATION
from internal.kernel.money import INT64_MAX, INT64_MIN

STATEMENT_BYTES_MAX = 4 * 1024 * 1024
"""A longer statement is cut in two: MariaDB's max_allowed_packet is 16 MiB, and quoting may double
its length.
"""
CASES_MAX = 64
"""An UPDATE of up to this many rows finds a row's value by a CASE, which tries one after another.
"""
KEYS_MAX = 500
"""Up to this many rows are found by a list of their keys, when all are changed alike. With 1,000
keys MariaDB would look for another way: in_predicate_conversion_threshold.
"""

Rows = Sequence[statements.Values]
ByRows = statements.Update | statements.Select
"""The statements that need the rows as a table, or as conditions."""

_encode = msgspec.json.Encoder().encode
_DIALECT = mysql.dialect()


def render(statement: statements.Statement, rows: Rows) -> Iterator[tuple[bytes, None]]:
    """Return (SQL, no bound values), once or for each part of the rows.

    Raises:
        OverflowError: an integer of more than 64 bits.
    """
    if isinstance(statement, statements.Insert):
        text = _insert(statement, rows)
    else:
        text = _by_rows(statement, rows)
    if len(text) <= STATEMENT_BYTES_MAX or len(rows) == 1:
        yield text, None
        return
    middle = len(rows) // 2
    yield from render(statement, rows[:middle])
    yield from render(statement, rows[middle:])


def _insert(statement: statements.Insert, rows: Rows) -> bytes:
    """Write an INSERT … VALUES. The server rejects values that do not fit a column."""
    before, long = _insert_into(statement)
    if long:
        values: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        for place in long:
            values[place] = _quoted(values[place])
        rows = [*zip(*values, strict=True)]
    text = _sql_of(b"),(".join([_encode(row)[1:-1] for row in rows]))
    return b"%b VALUES (%b)" % (before, text)


@lru_cache(maxsize=256)
def _insert_into(statement: statements.Insert) -> tuple[bytes, tuple[int, ...]]:
    """Return the SQL before the rows, and the positions of long texts in a row."""
    columns = statement.shape.columns
    long = (place for place, (_, like) in enumerate(columns) if isinstance(like.type, sa.Text))
    names = ", ".join(statement.shape.names)
    return f"INSERT INTO {statement.table.name} ({names})".encode(), tuple(long)


def _quoted(texts: Sequence[str]) -> list[msgspec.Raw]:
    """Return long texts in single quotes, which JSON does not use: half the work for both sides."""
    joined = NO_TEXT.join(map(str.encode, texts))
    for found, instead in _IN_QUOTES:
        joined = joined.replace(found, instead)
    return [*map(msgspec.Raw, (b"'%b'" % joined).split(NO_TEXT))]


NO_TEXT = b"\xff"
"""A byte that does not occur in UTF-8."""
_IN_QUOTES = (
    (b"\\", b"\\\\"),
    (b"'", b"\\'"),
    (b"\0", b"\\0"),
    (NO_TEXT, b"'\xff'"),
)
"""Escapes for characters that would end the quotes or the statement; the last separates two texts.
"""


def _sql_of(text: bytes) -> bytes:
    """Return JSON's values, without its brackets, as MySQL reads them.

    Both agree on all escapes except form feeds and control characters by number.
    """
    if b"\\" in text and _DIFFERENT.search(text):
        return _ESCAPE.sub(_as_mysql_writes, text)
    return text


_DIFFERENT = re.compile(rb"\\[uf]")
_ESCAPE = re.compile(rb"\\(?:u00(..)|.)")


def _as_mysql_writes(escape: re.Match[bytes]) -> bytes:
    if escape[0] == b"\\f":
        return b"\f"
    if escape[1] is None:
        return escape[0]
    character = bytes.fromhex(escape[1].decode())
    return _NAMED.get(character, character)


_NAMED = {b"\0": b"\\0", b"\x1a": b"\\Z"}


def _by_rows(statement: ByRows, rows: Rows) -> bytes:
    """Write the rows as a table; values that all rows share are written into the SQL.

    Most changes of a batch are alike except for the keys: that makes them a third faster.
    """
    columns = statement.shape.columns
    sets = [set(values) for values in zip(*rows, strict=True)]
    _require_64_bits(statement.shape, sets)
    if isinstance(statement, statements.Update) and (cases := _as_cases(statement, rows, sets)):
        return cases
    if widths := _too_long(statement.shape, sets):
        cut = [[_cut(value, widths.get(place)) for place, value in enumerate(r)] for r in rows]
        return _by_rows(statement, cut)
    same = _foldable(statement, sets)
    if same:
        kept = [place for place in range(len(columns)) if columns[place][0] not in same]
        rows = [*zip(*(map(itemgetter(place), rows) for place in kept), strict=True)]
    before, after = _around(statement, tuple(same))
    text = _encode(rows).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"%b'%b'%b" % (before, text, _filled(after, same))


_Pieces = tuple[tuple[bytes, str | None], ...]
"""(SQL, the column of w whose value follows it, None for none), …."""


class _Cases(NamedTuple):
    changes: _Pieces
    guard: _Pieces


@lru_cache(maxsize=256)
def _cases_of(update: statements.Update) -> _Cases | None:
    """Return the parts of an UPDATE by CASEs, which has no table w and changes t step by step.

    None if a column of w is named plainly, or if a change reads a column that another one writes.
    """
    if _plain(update):
        return None
    for place, (_, value) in enumerate(update.changes):
        if any(f"t.{written}" in value for written, _ in update.changes[:place]):
            return None
    changes, guard = map(statements.pieces, (_changes(update), update.guard))
    return _Cases(_encoded(changes), _encoded(guard))


def _as_cases(update: statements.Update, rows: Rows, sets: Sequence[set[Any]]) -> bytes | None:
    """Write an UPDATE of one table, its rows told apart by one column of the key.

    It costs a server half of what one that joins a table of JSON does, and a quarter where the key
    is of texts: no second walk over the rows found, and no file for them. None where the rows do
    not allow it.
    """
    cases = _cases_of(update)
    if cases is None or len(rows) > KEYS_MAX:
        return None
    names = [name for name, _ in update.shape.columns]
    found = dict(zip(names, sets, strict=True))
    differ = {name for name in names if len(found[name]) > 1}
    key = next((name for name in update.keys if name in differ), update.keys[-1])
    if len(found[key]) < len(rows) or len(differ.intersection(update.keys)) > 1:
        return None
    if len(rows) > CASES_MAX and len(differ) > 1:
        return None
    values = dict(zip(names, zip(*rows, strict=True), strict=True))
    return _by_key(update, cases, key, values, differ)


def _by_key(
    update: statements.Update,
    cases: _Cases,
    key: str,
    values: Mapping[str, Sequence[Any]],
    differ: Collection[str],
) -> bytes:
    """Write an UPDATE of the rows with these values of `key`; only the columns `differ` differ."""
    keys = [*map(_literal, values[key])]
    sql = {
        name: _case(key, keys, column) if name in differ else _literal(column[0])
        for name, column in values.items()
        if name != key
    }
    sql[key] = f"t.{key}".encode()
    same = [b"t.%b = %b AND " % (k.encode(), sql[k]) for k in update.keys if k != key]
    where = b"%bt.%b IN (%b)" % (b"".join(same), key.encode(), b",".join(keys))
    if guard := _filled(cases.guard, sql):
        where = b"%b AND (%b)" % (where, guard)
    changes = _filled(cases.changes, sql)
    return b"UPDATE %b AS t SET %b WHERE %b" % (update.table.name.encode(), changes, where)


def _literal(value: Any) -> bytes:  # noqa: ANN401 - any value of a row
    return _sql_of(_encode(value))


def _case(key: str, keys: Sequence[bytes], values: Sequence[Any]) -> bytes:
    """Return the CASE that picks a row's value by its key."""
    cases = [b" WHEN %b THEN %b" % pair for pair in zip(keys, map(_literal, values), strict=True)]
    return b"(CASE t.%b%b END)" % (key.encode(), b"".join(cases))


def _require_64_bits(shape: statements.Shape, sets: Sequence[set[Any]]) -> None:
    """MariaDB takes the nearest 64-bit integer for a larger one where it reads a table of JSON.

    Raises:
        OverflowError: an integer is larger.
    """
    for (name, like), values in zip(shape.columns, sets, strict=True):
        if isinstance(like.type, sa.Integer):
            numbers = values - {None}
            if numbers and not INT64_MIN <= min(numbers) <= max(numbers) <= INT64_MAX:
                raise OverflowError(f"{name}: an integer of more than 64 bits")


def _too_long(shape: statements.Shape, sets: Sequence[set[Any]]) -> dict[int, int]:
    """Return {place: characters} of the columns in which a text is longer than w's.

    MySQL would reject the statement.
    """
    return {
        place: width
        for place, ((_, like), values) in enumerate(zip(shape.columns, sets, strict=True))
        if (width := _width(like)) and max(map(len, filter(None, values)), default=0) > width
    }


def _cut(value: Any, width: int | None) -> Any:  # noqa: ANN401 - any value of a row
    return value[:width] if width and value else value


def _width(like: sa.Column[Any]) -> int:
    """Return how many characters a text in w holds; 0 without a limit.

    One more than in the table: a longer text that was cut must neither be found nor fit.
    """
    return like.type.length + 1 if isinstance(like.type, sa.String) and like.type.length else 0


def _foldable(statement: ByRows, sets: Sequence[set[Any]]) -> dict[str, bytes]:
    """Return {name: SQL} of the columns with one value that need not stay columns.

    One column stays in any case, so that there are rows.
    """
    plain, names = _plain(statement), [name for name, _ in statement.shape.columns]
    same = [
        place
        for place, (name, values) in enumerate(zip(names, sets, strict=True))
        if len(values) == 1 and name not in plain
    ]
    if len(same) == len(names):
        del same[0]
    return {names[place]: _literal(next(iter(sets[place]))) for place in same}


@lru_cache(maxsize=256)
def _plain(statement: ByRows) -> frozenset[str]:
    """Return the columns of w that the template names outside of its fields."""
    texts = [piece.text for piece in statements.pieces(_template(statement))]
    return frozenset(
        name for name in statement.shape.names if any(f"w.{name}" in text for text in texts)
    )


@lru_cache(maxsize=512)
def _around(statement: ByRows, same: tuple[str, ...]) -> tuple[bytes, _Pieces]:
    """Return the SQL before the rows and the SQL after them, cut at the columns of `same`.

    A table of JSON cannot be locked, and MySQL does not take it where others are (error 3569),
    except within a SELECT of its own.
    """
    before, *after = statements.pieces(_template(statement))
    kept = [(name, like) for name, like in statement.shape.columns if name not in same]
    shape = ", ".join(
        f"{name} {_type(like)} PATH '$[{place}]' ERROR ON ERROR"
        for place, (name, like) in enumerate(kept)
    )
    is_locking = isinstance(statement, statements.Select) and statement.lock
    opens, closes = ("(SELECT * FROM ", " AS w)") if is_locking else ("", "")
    text, pieces = f", '$[*]' COLUMNS({shape})){closes} AS w", []
    for piece in after:
        text += piece.text
        if piece.field in same:
            pieces.append(statements.Piece(text, piece.field))
            text = ""
        elif piece.field is not None:
            text += f"w.{piece.field}"
    pieces.append(statements.Piece(text, None))
    return f"{before.text}{opens}JSON_TABLE(".encode(), _encoded(pieces)


def _template(statement: ByRows) -> str:
    """Return the statement's SQL, with `{w}` in the place of the rows.

    STRAIGHT_JOIN: the server walks the rows and looks each up by its key, with any statistics.
    """
    if isinstance(statement, statements.Select):
        query = statement.query.replace("CROSS JOIN", "STRAIGHT_JOIN")
        return f"{query} FOR UPDATE" if statement.lock else query
    table = statement.table.name
    on = statements.same_in_both(statement.keys)
    where = f" WHERE {statement.guard}" if statement.guard else ""
    return f"UPDATE {{w}} STRAIGHT_JOIN {table} AS t ON {on} SET {_changes(statement)}{where}"  # noqa: S608


def _changes(update: statements.Update) -> str:
    return ", ".join(f"t.{column} = {value}" for column, value in update.changes)


def _encoded(pieces: Iterable[statements.Piece]) -> _Pieces:
    return tuple((text.encode(), name) for text, name in pieces)


def _filled(pieces: _Pieces, values: Mapping[str, bytes]) -> bytes:
    """Return the SQL with `values` for the columns of w."""
    return b"".join(text if name is None else text + values[name] for text, name in pieces)


def _type(like: sa.Column[Any]) -> str:
    """Return the type of a column of w."""
    if width := _width(like):
        return f"VARCHAR({width}) COLLATE {BINARY_COLLATION}"
    return like.type.dialect_impl(_DIALECT).compile(dialect=_DIALECT)
