"""Selects dead letters: by number, or all open ones of a stage or cause. Reads only.

An unknown name is answered with the names there are.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer

from internal.console import output, suggestions
from internal.flow import topics
from internal.kernel import errors
from internal.pipeline import dead_letters
from internal.pipeline.dead_letters import DEAD_LETTERS, DeadLetter

LISTED_MAX = 1_000
_KNOWN_STAGES = tuple(stage.name for stage in topics.STAGES)


class Group(msgspec.Struct, frozen=True):
    """Open letters of one stage and cause."""

    stage: str
    code: str
    letters: int
    oldest_at_us: int
    newest_at_us: int
    example: int
    """The number of the first letter in the group."""
    example_explanation: str = ""


@dataclasses.dataclass(frozen=True)
class Filter:
    """The stage and the cause of the letters that are meant."""

    stage: Annotated[str, typer.Option(metavar="NAME", help="Only of this stage.")] = ""
    code: Annotated[str, typer.Option(metavar="CODE", help="Only of this cause.")] = ""


@dataclasses.dataclass(frozen=True)
class Selection(Filter):
    """The letters that a command acts on: by key, all of a stage or cause, or all."""

    every: Annotated[bool, typer.Option("--all", help="Every open letter.")] = False
    keys: Annotated[
        list[int], typer.Argument(metavar="LETTER", help="By their numbers.", show_default=False)
    ] = dataclasses.field(default_factory=list)


def keys(connection: sa.Connection, chosen: Selection, *, may_be_closed: bool = False) -> list[int]:
    """Return the keys of the chosen letters, all of them open.

    With `may_be_closed`, those that are named by number may be closed.

    Raises:
        InvalidInput: a letter, stage or cause does not exist, or a letter is closed.
    """
    if chosen.keys:
        letters = find(connection, chosen.keys)
        closed = [letter for letter in letters if letter.closed_at_us is not None]
        if closed and not may_be_closed:
            raise errors.InvalidInput(
                [(f"letter {letter.letter_key}", f"it was {standing(letter)}") for letter in closed]
            )
        return [letter.letter_key for letter in letters]
    require(connection, chosen)
    key = DEAD_LETTERS.c.letter_key
    return list(connection.execute(sa.select(key).where(_is_open(chosen)).order_by(key)).scalars())


def find(connection: sa.Connection, letter_keys: Sequence[int]) -> list[DeadLetter]:
    """Return these letters, open or closed.

    Raises:
        InvalidInput: one of them does not exist.
    """
    found = {key: dead_letters.find(connection, key) for key in dict.fromkeys(letter_keys)}
    missing = [key for key, letter in found.items() if letter is None]
    if missing:
        known = [
            str(it.letter_key) for it in dead_letters.list_open(connection, letters_max=LISTED_MAX)
        ]
        unknown = [("", suggestions.unknown("letter", str(key), known)) for key in missing]
        raise errors.InvalidInput(unknown)
    return [letter for letter in found.values() if letter]


def groups(connection: sa.Connection, which: Filter) -> list[Group]:
    """Count the open letters of each stage and cause.

    Raises:
        InvalidInput: as for require.
    """
    require(connection, which)
    return group(connection, _is_open(which))


def groups_of(connection: sa.Connection, chosen: Selection) -> list[Group]:
    """Count the chosen letters, by stage and cause.

    Raises:
        InvalidInput: as for keys.
    """
    if not chosen.keys:
        return groups(connection, chosen)
    return group(connection, DEAD_LETTERS.c.letter_key.in_(keys(connection, chosen)))


def group(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[Group]:
    """Count letters by stage and cause."""
    table = DEAD_LETTERS.c
    kind = (table.stage, table.code)
    counts = (sa.func.count(), sa.func.min(table.at_us), sa.func.max(table.at_us))
    query = sa.select(*kind, *counts, sa.func.min(table.letter_key)).where(wanted)
    rows = connection.execute(query.group_by(*kind).order_by(*kind)).all()
    examples = dead_letters.find_many(connection, [row[-1] for row in rows])
    explanations = {letter.letter_key: letter.explanation for letter in examples}
    return [
        Group(stage, code, count, oldest_us, newest_us, key, explanations[key])
        for stage, code, count, oldest_us, newest_us, key in rows
    ]


def require(connection: sa.Connection, which: Filter) -> None:
    """Refuse names that do not exist, so that a typo is not taken for an empty answer.

    Raises:
        InvalidInput: the stage does not exist, or no open letter has that cause.
    """
    if which.stage and which.stage not in _KNOWN_STAGES:
        raise errors.InvalidInput(
            [("--stage", suggestions.unknown("stage", which.stage, _KNOWN_STAGES))]
        )
    if which.code:
        query = sa.select(DEAD_LETTERS.c.code).where(_is_open(Filter())).distinct()
        known = sorted(connection.execute(query).scalars())
        if which.code not in known:
            text = suggestions.unknown("open letter of the cause", which.code, known)
            raise errors.InvalidInput([("--code", text)])


def _is_open(which: Filter) -> sa.ColumnElement[bool]:
    table = DEAD_LETTERS.c
    wanted: list[sa.ColumnElement[bool]] = [table.closed_at_us.is_(None)]
    if which.stage:
        wanted.append(table.stage == which.stage)
    if which.code:
        wanted.append(table.code == which.code)
    return sa.and_(*wanted)


def standing(letter: DeadLetter) -> str:
    """Describe whether a letter is open, or how and when it was closed."""
    if letter.closed_at_us is None:
        return "open"
    return f"{letter.closed_by} {output.instant(letter.closed_at_us)}"
