"""Bulk statements as data, from which each dialect writes its own SQL.

SQL that a caller gives (a query, an expression, a guard) is a template: `{w}` stands for the rows
as a table called w, and `{w.name}` behind it for a column of that table. A dialect may write a
value instead of `{w.name}` when all rows agree on it; a plain `w.name` always stays a column.
It must not know any dialect.
"""

from collections.abc import Sequence
from string import Formatter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

Value = int | str | bool | None
Values = Sequence[Value]
Changes = tuple[tuple[str, str], ...]
"""((column, template of its new value), …)."""


class Shape(msgspec.Struct, frozen=True, cache_hash=True):
    """The columns of a row.

    ((name, table column that gives the type), …), in the order of the values.
    """

    columns: tuple[tuple[str, sa.Column[Any]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(name for name, _ in self.columns)


class Insert(msgspec.Struct, frozen=True, cache_hash=True):
    """Add the rows to `table`."""

    table: sa.Table
    shape: Shape


class Update(msgspec.Struct, frozen=True, cache_hash=True):
    """Change the rows of `table`, called t, that agree with a row in the `keys`.

    `guard` is a template of what must hold of both; "" for nothing.
    """

    table: sa.Table
    shape: Shape
    keys: tuple[str, ...]
    changes: Changes
    guard: str = ""


class Select(msgspec.Struct, frozen=True, cache_hash=True):
    """Answer the template `query`; `lock` holds the rows found until the transaction ends."""

    shape: Shape
    query: str
    lock: bool = False


Statement = Insert | Update | Select


class Piece(NamedTuple):
    """A part of a template: a text, and the field that follows it."""

    text: str
    field: str | None
    """A column of w, "" for w itself, None at the end of the template."""


def pieces(template: str) -> tuple[Piece, ...]:
    """Cut a template at its fields."""
    return tuple(
        Piece(text, None if field is None else field.removeprefix("w").removeprefix("."))
        for text, field, _, _ in Formatter().parse(template)
    )


def same_in_both(keys: Sequence[str]) -> str:
    """Return the template of the condition that t and w agree in the `keys`."""
    return " AND ".join(f"t.{key} = {{w.{key}}}" for key in keys)
