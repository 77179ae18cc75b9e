"""Column types that mean the same on SQLite, MySQL and MariaDB.

Ids compare byte by byte everywhere.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

ID_CHARS_MAX = 64
APPEND_ONLY = {"append_only": True}
"""The `info` of a table whose rows are never changed or deleted: a migration adds its triggers."""
GIVEN_ONCE = {"given_once": True}
"""The `info` of a column of such a table that may be given a value later, once: see given_once."""
BINARY_COLLATION = "utf8mb4_bin"


def text(chars_max: int) -> sa.types.TypeEngine[str]:
    """Return a short text type with a binary collation."""
    plain = sa.String(chars_max)
    return plain.with_variant(
        mysql.VARCHAR(chars_max, collation=BINARY_COLLATION), "mysql", "mariadb"
    )


def ident(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    """Return a column for an id that a client chose: 1..64 characters."""
    return sa.Column(name, text(ID_CHARS_MAX), primary_key=primary_key, nullable=False)


def code(
    name: str, *, primary_key: bool = False, chars_max: int = 32, default: str | None = None
) -> sa.Column[str]:
    """Return a column for one of Souk's own codes: a state, a reason, a kind."""
    return sa.Column(
        name, text(chars_max), primary_key=primary_key, nullable=False, server_default=default
    )


def optional_ident(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    """Return a column for an id that may be missing: "" then."""
    return sa.Column(
        name,
        text(ID_CHARS_MAX),
        primary_key=primary_key,
        nullable=False,
        default="",
        server_default="",
    )


def words(name: str, chars_max: int = 500) -> sa.Column[str]:
    """Return a column for a sentence or a name."""
    return sa.Column(name, text(chars_max), nullable=False, default="", server_default="")


def document(name: str) -> sa.Column[str]:
    """Return a column for JSON or other long text, opaque to the database."""
    long = sa.Text().with_variant(mysql.MEDIUMTEXT(collation=BINARY_COLLATION), "mysql", "mariadb")
    return sa.Column(name, long, nullable=False)


def number(
    name: str, *, primary_key: bool = False, nullable: bool = False, default: int | None = None
) -> sa.Column[int]:
    """Return a 64-bit integer column: minor units, microseconds, counts."""
    server_default = None if default is None else str(default)
    return sa.Column(
        name,
        sa.BigInteger(),
        primary_key=primary_key,
        nullable=nullable,
        autoincrement=False,
        server_default=server_default,
    )


def given_once(name: str) -> sa.Column[int]:
    """Return a column for a number that a row of an append-only table gets later, and then keeps.

    While it is NULL it may be set, and nothing else of the row may change with it.
    """
    return sa.Column(name, sa.BigInteger(), nullable=True, autoincrement=False, info=GIVEN_ONCE)


def growing_key(name: str) -> sa.Column[int]:
    """Return a primary key that the database counts up, so that rows append at the table's end."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, primary_key=True, autoincrement=True)
