"""Rows as MySQL and MariaDB read them fastest: written into the statement by the JSON encoder.

The driver would escape every value in Python; here a whole batch costs a tenth of a millisecond. An
INSERT gets a list of VALUES (a row of JSON is nearly a row of SQL), everything else a JSON_TABLE.
It must not meet a session whose sql_mode has ANSI_QUOTES or NO_BACKSLASH_ESCAPES: see infra.mysql.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

Columns = tuple[tuple[str, sa.Column[Any]], ...]
STATEMENT_BYTES_MAX = 4 * 1024 * 1024
"""Longer ones are cut in two: MariaDB's max_allowed_packet is 16 MiB, and quoting may double it."""

_encoder = msgspec.json.Encoder()
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
    del columns
    lines = _encoder.encode_lines(rows)[1:-2].replace(b"]\n[", b"),(")
    if b"\\u" in lines or b"\\f" in lines:
        lines = _ESCAPE.sub(_as_mysql_writes, lines)
    return b"%b VALUES (%b)" % (sql.partition(" SELECT ")[0].encode(), lines)


_ESCAPE = re.compile(rb"\\(?:u00(..)|.)")


def _as_mysql_writes(escape: re.Match[bytes]) -> bytes:
    """JSON and MySQL agree on all escapes but form feeds and control characters by number."""
    if escape[0] == b"\\f":
        return b"\f"
    if escape[1] is None:
        return escape[0]
    character = bytes.fromhex(escape[1].decode())
    return _NAMED.get(character, character)


_NAMED = {b"\0": b"\\0", b"\x1a": b"\\Z"}


def _as_table(columns: Columns, sql: str, rows: Sequence[Any]) -> bytes:
    before, after = _around(columns, sql)
    text = _encoder.encode(rows).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"%b%b%b" % (before, text, after)


@lru_cache(maxsize=256)
def _around(columns: Columns, sql: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the rows.

    STRAIGHT_JOIN: the server walks the rows and looks each up by its key, whatever it thinks of it.
    """
    before, after = sql.replace("CROSS JOIN", "STRAIGHT_JOIN").split("{w}")
    shape = ", ".join(
        f"{name} {_type(like)} PATH '$[{place}]' ERROR ON ERROR"
        for place, (name, like) in enumerate(columns)
    )
    return f"{before}JSON_TABLE('".encode(), f"', '$[*]' COLUMNS({shape})) AS w{after}".encode()


def _type(like: sa.Column[Any]) -> str:
    return like.type.dialect_impl(_DIALECT).compile(dialect=_DIALECT)
