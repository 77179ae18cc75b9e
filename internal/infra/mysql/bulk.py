"""Rows as MySQL and MariaDB read them fastest: written into the statement by the JSON encoder.

The driver would escape every value in Python; here a whole batch costs a tenth of a millisecond. An
INSERT gets a list of VALUES (a row of JSON is nearly a row of SQL), an UPDATE of few rows CASEs by
their key, everything else a JSON_TABLE.
It must not meet a session whose sql_mode has ANSI_QUOTES or NO_BACKSLASH_ESCAPES: see
mysql/database.py.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from internal.infra.columns import BINARY_COLLATION
from internal.kernel.money import INT64_MAX, INT64_MIN

Columns = tuple[tuple[str, sa.Column[Any]], ...]
STATEMENT_BYTES_MAX = 4 * 1024 * 1024
"""Longer ones are cut in two: MariaDB's max_allowed_packet is 16 MiB, and quoting may double it."""

CASES_MAX = 64
"""An UPDATE of up to so many rows finds a row's value by a CASE, which looks at one after another.
"""
KEYS_MAX = 500
"""So many rows are found by a list of their keys, when all are changed alike. Among 1,000 MariaDB
would look for another way: in_predicate_conversion_threshold.
"""

_encode = msgspec.json.Encoder().encode
_DIALECT = mysql.dialect()


def statements(columns: Columns, sql: str, rows: Sequence[Any]) -> Iterator[bytes]:
    """Write `rows` into `sql`: in the place of {w}, or of the SELECT of an INSERT.

    Raises:
        OverflowError: an integer of more than 64 bits.
    """
    encode = _as_values if sql.startswith("INSERT") else _as_table
    text = encode(columns, sql, rows)
    if len(text) <= STATEMENT_BYTES_MAX or len(rows) == 1:
        yield text
        return
    middle = len(rows) // 2
    yield from statements(columns, sql, rows[:middle])
    yield from statements(columns, sql, rows[middle:])


def _as_values(columns: Columns, sql: str, rows: Sequence[Any]) -> bytes:
    """Write an INSERT … VALUES. What does not fit a column is the server's to refuse."""
    long = [place for place, (_, like) in enumerate(columns) if isinstance(like.type, sa.Text)]
    if long:
        values: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        for place in long:
            values[place] = _quoted(values[place])
        rows = [*zip(*values, strict=True)]
    text = _sql_of(b"),(".join([_encode(row)[1:-1] for row in rows]))
    return b"%b VALUES (%b)" % (sql.partition(" SELECT ")[0].encode(), text)


def _quoted(texts: Sequence[str]) -> list[msgspec.Raw]:
    """Return long texts in the quotes that JSON has none of: half the work for both sides."""
    joined = NO_TEXT.join(map(str.encode, texts))
    for found, instead in _IN_QUOTES:
        joined = joined.replace(found, instead)
    return [*map(msgspec.Raw, (b"'%b'" % joined).split(NO_TEXT))]


NO_TEXT = b"\xff"
"""A byte that no text has in UTF-8."""
_IN_QUOTES = (
    (b"\\", b"\\\\"),
    (b"'", b"\\'"),
    (b"\0", b"\\0"),
    (NO_TEXT, b"'\xff'"),
)
"""What would end the quotes, or the statement; the last stands between two texts."""


def _sql_of(text: bytes) -> bytes:
    """Return JSON's values, without its brackets, as MySQL reads them.

    They agree on all escapes but form feeds and control characters by number.
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


def _as_table(columns: Columns, sql: str, rows: Sequence[Any]) -> bytes:
    """Write the rows as a table; columns that say the same in all rows become words of the SQL.

    Most changes of a batch are alike but for the keys: that makes them a third faster.
    """
    sets = [set(values) for values in zip(*rows, strict=True)]
    _require_64_bits(columns, sets)
    if cases := _as_cases(columns, sql, rows, sets):
        return cases
    if widths := _too_long(columns, sets):
        cut = [[_cut(value, widths.get(place)) for place, value in enumerate(r)] for r in rows]
        return _as_table(columns, sql, cut)
    same = _foldable(sql, columns, sets)
    if same:
        kept = [place for place in range(len(columns)) if columns[place][0] not in same]
        rows = [*zip(*(map(itemgetter(place), rows) for place in kept), strict=True)]
    before, shape, after = _around(columns, sql, tuple(same))
    text = _encode(rows).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"%b'%b'%b%b" % (before, text, shape, _filled(after, same))


class _Update(NamedTuple):
    table: str
    keys: tuple[str, ...]
    changes: tuple[str, ...]
    """Cut where a column of w is named: every second piece is such a name."""
    guard: tuple[str, ...]


def update_sql(table: str, keys: Sequence[str], changes: str, guard: str) -> str:
    """Return the UPDATE of `table` as t by {w}."""
    on = " AND ".join(f"t.{key} = w.{key}" for key in keys)
    changes = ", ".join(f"t.{change.strip()}" for change in changes.split(","))
    where = f" WHERE {guard}" if guard else ""
    return f"UPDATE {{w}} CROSS JOIN {table} AS t ON {on} SET {changes}{where}"  # noqa: S608


_UPDATE = re.compile(
    r"UPDATE \{w\} CROSS JOIN (\w+) AS t ON (.+?) SET (.+?)(?: WHERE (.+))?", re.DOTALL
)


@lru_cache(maxsize=256)
def _update_of(sql: str) -> _Update | None:
    """Take an `update_sql` apart.

    None of another statement, and of one in which a change reads what another writes: of one table,
    changes are made one after the other.
    """
    parts = _UPDATE.fullmatch(sql)
    if parts is None:
        return None
    written: set[str] = set()
    for change in parts[3].split(", "):
        column, _, value = change.partition(" = ")
        if written.intersection(re.findall(r"\bt\.\w+", value)):
            return None
        written.add(column)
    keys = tuple(re.findall(r"\bw\.(\w+)", parts[2]))
    changes, guard = (tuple(re.split(r"\bw\.(\w+)\b", text)) for text in (parts[3], parts[4] or ""))
    return _Update(parts[1], keys, changes, guard)


def _as_cases(
    columns: Columns, sql: str, rows: Sequence[Any], sets: Sequence[set[Any]]
) -> bytes | None:
    """Write an UPDATE of one table, its rows told apart by one column of the key.

    It costs a server a half, and where the key is of texts a quarter, of one that joins a table of
    JSON: no second walk over the rows found, and no file for them. None where that cannot be.
    """
    update = _update_of(sql)
    if update is None or len(rows) > KEYS_MAX:
        return None
    names = [name for name, _ in columns]
    found = dict(zip(names, sets, strict=True))
    differ = {name for name in names if len(found[name]) > 1}
    key = next((name for name in update.keys if name in differ), update.keys[-1])
    if len(found[key]) < len(rows) or len(differ.intersection(update.keys)) > 1:
        return None
    if len(rows) > CASES_MAX and len(differ) > 1:
        return None
    values = dict(zip(names, zip(*rows, strict=True), strict=True))
    return _by_key(update, key, values, differ)


def _by_key(
    update: _Update, key: str, values: Mapping[str, Sequence[Any]], differ: Collection[str]
) -> bytes:
    """Write an UPDATE of the rows with these values of `key`; there only `differ` differ."""
    keys = [*map(_literal, values[key])]
    words = {
        name: _case(key, keys, column) if name in differ else _literal(column[0])
        for name, column in values.items()
        if name != key
    }
    words[key] = f"t.{key}".encode()
    same = [b"t.%b = %b AND " % (k.encode(), words[k]) for k in update.keys if k != key]
    where = b"%bt.%b IN (%b)" % (b"".join(same), key.encode(), b",".join(keys))
    if guard := _filled(update.guard, words):
        where = b"%b AND (%b)" % (where, guard)
    changes = _filled(update.changes, words)
    return b"UPDATE %b AS t SET %b WHERE %b" % (update.table.encode(), changes, where)


def _literal(value: Any) -> bytes:  # noqa: ANN401 - any value of a row
    return _sql_of(_encode(value))


def _case(key: str, keys: Sequence[bytes], values: Sequence[Any]) -> bytes:
    """Return what picks the value of the row at hand."""
    cases = [b" WHEN %b THEN %b" % pair for pair in zip(keys, map(_literal, values), strict=True)]
    return b"(CASE t.%b%b END)" % (key.encode(), b"".join(cases))


def _require_64_bits(columns: Columns, sets: Sequence[set[Any]]) -> None:
    """MariaDB takes the nearest 64-bit integer for a larger one where it reads a table of JSON.

    Raises:
        OverflowError: there is a larger one.
    """
    for (name, like), values in zip(columns, sets, strict=True):
        if isinstance(like.type, sa.Integer):
            numbers = values - {None}
            if numbers and not INT64_MIN <= min(numbers) <= max(numbers) <= INT64_MAX:
                raise OverflowError(f"{name}: an integer of more than 64 bits")


def _too_long(columns: Columns, sets: Sequence[set[Any]]) -> dict[int, int]:
    """Return {place: characters} of the columns in which a text is longer than w's.

    MySQL would refuse the statement.
    """
    return {
        place: width
        for place, ((_, like), values) in enumerate(zip(columns, sets, strict=True))
        if (width := _width(like)) and max(map(len, filter(None, values)), default=0) > width
    }


def _cut(value: Any, width: int | None) -> Any:  # noqa: ANN401 - any value of a row
    return value[:width] if width and value else value


def _width(like: sa.Column[Any]) -> int:
    """Return the characters of a text in w; 0 where it needs no bounds.

    One more than in the table: what is longer and was cut must neither be found nor fit.
    """
    return like.type.length + 1 if isinstance(like.type, sa.String) and like.type.length else 0


def _foldable(sql: str, columns: Columns, sets: Sequence[set[Any]]) -> dict[str, bytes]:
    """Return name and SQL of the columns that have one value, except where the SQL names them.

    One column stays in any case: it makes the rows.
    """
    names = [name for name, _ in columns]
    named = _named(sql)
    same = [
        name
        for name, values in zip(names, sets, strict=True)
        if len(values) == 1 and name not in named
    ]
    if len(same) == len(names):
        same.remove(names[0])
    return {name: _literal(next(iter(sets[names.index(name)]))) for name in same}


@lru_cache(maxsize=256)
def _named(sql: str) -> frozenset[str]:
    """Return the columns of w that are part of the answer, or of its order."""
    selected, _, rest = sql.partition("{w}")
    return frozenset(re.findall(r"\bw\.(\w+)", selected) + re.findall(r" BY w\.(\w+)", rest))


@lru_cache(maxsize=512)
def _around(
    columns: Columns, sql: str, same: tuple[str, ...]
) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Return what stands before the rows, their shape, and what stands after them.

    That is cut where one of `same` is named: every second piece is such a name.

    STRAIGHT_JOIN: the server walks the rows and looks each up by its key, whatever it thinks of it.
    A table of JSON cannot be locked, and MySQL does not take it where others are (error 3569), but
    within a SELECT of its own.
    """
    before, after = sql.replace("CROSS JOIN", "STRAIGHT_JOIN").split("{w}")
    kept = [(name, like) for name, like in columns if name not in same]
    shape = ", ".join(
        f"{name} {_type(like)} PATH '$[{place}]' ERROR ON ERROR"
        for place, (name, like) in enumerate(kept)
    )
    pieces = tuple(re.split(rf"\bw\.({'|'.join(same)})\b", after)) if same else (after,)
    opens, closes = ("(SELECT * FROM ", " AS w)") if after.endswith(" FOR UPDATE") else ("", "")
    return (
        f"{before}{opens}JSON_TABLE(".encode(),
        f", '$[*]' COLUMNS({shape})){closes} AS w".encode(),
        pieces,
    )


def _filled(pieces: Sequence[str], values: Mapping[str, bytes]) -> bytes:
    """Return a text that was cut where columns of w are named, with values for these."""
    return b"".join(
        values[piece] if place % 2 else piece.encode() for place, piece in enumerate(pieces)
    )


def _type(like: sa.Column[Any]) -> str:
    """Return the type of a column of w."""
    if width := _width(like):
        return f"VARCHAR({width}) COLLATE {BINARY_COLLATION}"
    return like.type.dialect_impl(_DIALECT).compile(dialect=_DIALECT)
