"""`souk dlq`: what no retry could cure.

Shows the dead letters, sends them again, or drops them for good.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer

from internal.admin import database, groups, names, replay, show
from internal.admin.options import AsJson, Data, Yes, flattened
from internal.infra import clock, db
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.pipeline import dead_letters, flow
from internal.pipeline.dead_letters import DEAD_LETTERS, DeadLetter

app = groups.new("See, replay and drop dead letters: what no retry could cure.")

LETTERS_MAX = 1_000
"""Listed, and taken at a time."""
_TOKEN = re.compile(r'("card_token":\s*")[^"]*')
"""A token is no card number, and still nobody's business."""
_KNOWN_STAGES = tuple(stage.name for stage in flow.STAGES)


class Group(msgspec.Struct, frozen=True):
    """Open letters of one stage and cause."""

    stage: str
    code: str
    letters: int
    oldest_at_us: int
    newest_at_us: int


@dataclasses.dataclass(frozen=True)
class Which:
    """Of which stage and cause."""

    stage: Annotated[str, typer.Option(metavar="NAME", help="Only of this stage.")] = ""
    code: Annotated[str, typer.Option(metavar="CODE", help="Only of this cause.")] = ""


@dataclasses.dataclass(frozen=True)
class Chosen(Which):
    """Letters to do something with: by key, or all of a stage or cause."""

    keys: Annotated[
        list[int], typer.Argument(metavar="LETTER...", help="By their numbers.", show_default=False)
    ] = dataclasses.field(default_factory=list)


@app.command("list")
@flattened
def list_letters(
    which: Which,
    *,
    all_letters: Annotated[
        bool, typer.Option("--all", help=f"One row for each letter, the oldest {LETTERS_MAX}.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List open dead letters: how many of each stage and cause, or with --all one by one."""
    if not all_letters:
        _show_groups(database.read(data, lambda c: _groups(c, which)), as_json=as_json)
        return

    def find(connection: sa.Connection) -> list[DeadLetter]:
        _require_groups(connection, which)
        return dead_letters.list_open(connection, which.stage, which.code, LETTERS_MAX)

    _show_letters(database.read(data, find), as_json=as_json)


@app.command("show")
def show_letter(
    key: Annotated[int, typer.Argument(metavar="LETTER", help="Its number.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with its payload, card tokens left out."""
    letter = database.read(data, lambda c: _require_letters(c, [key])[0])
    letter = msgspec.structs.replace(letter, payload=_TOKEN.sub(r"\1[hidden]", letter.payload))
    if as_json:
        show.as_json(letter)
        return
    show.say(f"Letter {letter.letter_key}, {_standing(letter)}", style="bold")
    show.say(f"{show.instant(letter.at_us)}  {letter.stage} on {letter.topic}")
    show.say(f"{letter.code}: {letter.explanation}", style="red")
    if letter.order_id:
        show.say(f"order {letter.order_id} of {letter.merchant_id}")
    show.say(letter.payload)


@app.command("replay")
@flattened
def replay_letters(
    chosen: Chosen, *, yes: Yes = False, data: Data = None, as_json: AsJson = False
) -> None:
    """Send dead letters to their stage again and close them.

    A running server takes them within a second. What was done before is not done twice.
    """
    keys = _choose(chosen, data)
    _confirm(len(keys), "replay", yes=yes)
    now_us = clock.SystemClock().now_us()

    async def send(opened: db.SqliteDatabase) -> replay.Outcome:
        return await replay.replay(opened, keys, now_us)

    outcome = database.use(data, send)
    if as_json:
        show.as_json(outcome)
    else:
        show.say(f"{outcome.replayed} replayed")
    if outcome.unreadable:
        what = "what looked like a card number was taken out of it; drop it, submit the order anew"
        raise errors.InvalidInput([(f"letter {key}", what) for key in outcome.unreadable])


@app.command("drop")
@flattened
def drop_letters(
    chosen: Chosen, *, yes: Yes = False, data: Data = None, as_json: AsJson = False
) -> None:
    """Close dead letters for good. Their rows stay in the table."""
    keys = _choose(chosen, data)
    _confirm(len(keys), "drop", yes=yes)
    now_us = clock.SystemClock().now_us()
    dropped = database.write(data, lambda c: replay.close(c, keys, "dropped", now_us))
    if as_json:
        show.as_json({"dropped": dropped})
    else:
        show.say(f"{dropped} dropped")


def _choose(chosen: Chosen, data: Data) -> list[int]:
    """Return the keys of the letters meant; none but open ones.

    Raises:
        typer.BadParameter: nothing was chosen, or in two ways.
        InvalidInput: there is no such open letter, stage or cause.
    """
    by_kind = bool(chosen.stage or chosen.code)
    if bool(chosen.keys) == by_kind:
        raise typer.BadParameter(
            "name letters by number, or all of a --stage or --code", param_hint="LETTER"
        )
    return database.read(data, lambda c: _keys(c, chosen))


def _keys(connection: sa.Connection, chosen: Chosen) -> list[int]:
    if chosen.keys:
        letters = _require_letters(connection, chosen.keys)
        closed = [letter for letter in letters if letter.closed_at_us is not None]
        if closed:
            raise errors.InvalidInput(
                [(f"letter {letter.letter_key}", f"it is {_standing(letter)}") for letter in closed]
            )
        return [letter.letter_key for letter in letters]
    _require_groups(connection, chosen)
    return list(
        connection.execute(sa.select(DEAD_LETTERS.c.letter_key).where(_is_open(chosen))).scalars()
    )


def _confirm(letters: int, what: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(f"{what} {letters} letter{'s' if letters > 1 else ''}?", abort=True, err=True)


def _require_letters(connection: sa.Connection, keys: Sequence[int]) -> list[DeadLetter]:
    found = {key: dead_letters.find(connection, key) for key in dict.fromkeys(keys)}
    missing = [key for key, letter in found.items() if letter is None]
    if missing:
        known = [
            str(it.letter_key) for it in dead_letters.list_open(connection, letters_max=LETTERS_MAX)
        ]
        unknown = [("", names.unknown("letter", str(key), known)) for key in missing]
        raise errors.InvalidInput(unknown)
    return [letter for letter in found.values() if letter]


def _groups(connection: sa.Connection, which: Which) -> list[Group]:
    _require_groups(connection, which)
    table = DEAD_LETTERS.c
    kind = (table.stage, table.code)
    counts = (sa.func.count(), sa.func.min(table.at_us), sa.func.max(table.at_us))
    query = sa.select(*kind, *counts).where(_is_open(which)).group_by(*kind).order_by(*kind)
    return [Group(*row) for row in connection.execute(query)]


def _require_groups(connection: sa.Connection, which: Which) -> None:
    """Tell a typo from an empty answer."""
    if which.stage and which.stage not in _KNOWN_STAGES:
        raise errors.InvalidInput([("--stage", names.unknown("stage", which.stage, _KNOWN_STAGES))])
    if which.code:
        query = sa.select(DEAD_LETTERS.c.code).where(_is_open(Which())).distinct()
        known = sorted(connection.execute(query).scalars())
        if which.code not in known:
            text = names.unknown("open letter of the cause", which.code, known)
            raise errors.InvalidInput([("--code", text)])


def _is_open(which: Which) -> sa.ColumnElement[bool]:
    table = DEAD_LETTERS.c
    wanted: list[sa.ColumnElement[bool]] = [table.closed_at_us.is_(None)]
    if which.stage:
        wanted.append(table.stage == which.stage)
    if which.code:
        wanted.append(table.code == which.code)
    return sa.and_(*wanted)


def _show_groups(groups: Sequence[Group], *, as_json: bool) -> None:
    if as_json:
        show.as_json({"groups": groups})
        return
    if not groups:
        show.say("no open letters", style="green")
        return
    table = show.table("Stage", "Cause", "Letters", "Oldest", "Newest", right=["Letters"])
    for it in groups:
        when = (show.instant(it.oldest_at_us), show.instant(it.newest_at_us))
        table.add_row(it.stage, it.code, str(it.letters), *when)
    show.terminal().print(table)


def _show_letters(letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        left_out = {"payload"}
        rows = [msgspec.structs.asdict(letter) for letter in letters]
        show.as_json(
            {"letters": [{n: v for n, v in row.items() if n not in left_out} for row in rows]}
        )
        return
    table = show.table("Letter", "When", "Stage", "Cause", "Order", "Explanation", right=["Letter"])
    for it in letters:
        order = f"{it.merchant_id}/{it.order_id}" if it.order_id else ""
        when = show.instant(it.at_us)
        table.add_row(
            str(it.letter_key), when, it.stage, it.code, order, show.plain(it.explanation)
        )
    show.terminal().print(table)


def _standing(letter: DeadLetter) -> str:
    if letter.closed_at_us is None:
        return "open"
    return (
        f"{letter.closed_by} {show.instant(letter.closed_at_us // US_PER_SECOND * US_PER_SECOND)}"
    )
