"""`souk dlq`: shows dead letters, sends them again, or drops them for good."""

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer

from internal.cli import actor, database, dead_letter_selection
from internal.cli.options import Data
from internal.console import installation, lazy_groups, output
from internal.console.options import AsJson, Yes, flattened
from internal.flow import dlq_copies, replay, topics
from internal.infra import backends, bus, clock, db
from internal.kernel import errors
from internal.pipeline import dead_letters
from internal.pipeline.dead_letters import DeadLetter
from internal.stages import held_orders

app = lazy_groups.new()


@app.command("list")
@flattened
def list_letters(
    which: dead_letter_selection.Filter,
    *,
    all_letters: Annotated[
        bool,
        typer.Option(
            "--all", help=f"One row for each letter, the oldest {dead_letter_selection.LISTED_MAX}."
        ),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Count open dead letters by stage and cause, or list them one by one with --all."""
    if not all_letters:
        _show_groups(
            database.read(data, lambda c: dead_letter_selection.groups(c, which)), as_json=as_json
        )
        return

    def find(connection: sa.Connection) -> list[DeadLetter]:
        dead_letter_selection.require(connection, which)
        return dead_letters.list_open(
            connection, which.stage, which.code, dead_letter_selection.LISTED_MAX
        )

    _show_letters(database.read(data, find), as_json=as_json)


@app.command("show")
def show_letter(
    key: Annotated[int, typer.Argument(metavar="LETTER", help="Its number.")],
    *,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Also what is held apart: notes, tokens, an unreadable message."
        ),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with its payload."""

    def find(connection: sa.Connection) -> DeadLetter:
        (letter,) = dead_letter_selection.find(connection, [key])
        held = dead_letters.contents_of(connection, [letter])
        if not private or key not in held:
            return letter
        payload = dead_letters.payload_of(letter, held[key]).decode()
        return msgspec.structs.replace(letter, payload=payload)

    letter = database.read(data, find)
    if as_json:
        output.as_json(letter)
        return
    output.say(
        f"Letter {letter.letter_key}, {dead_letter_selection.standing(letter)}", style="bold"
    )
    output.say(f"{output.instant(letter.at_us)}  {letter.stage} on {letter.topic}")
    output.say(f"{letter.code}: {letter.explanation}", style="red")
    if letter.subject:
        output.say(f"{letter.subject_kind} {letter.subject} of {letter.merchant_id}")
    if letter.held and not private:
        output.say(f"a private {letter.held} is held apart: --private shows it", style="dim")
    output.say(letter.payload)


@app.command("replay")
@flattened
def replay_letters(
    chosen: dead_letter_selection.Selection,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    reason: actor.Reason = "",
    by: actor.By = "",
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their stage again and close them.

    A running server takes them within a second. Work that was done before is not done twice.
    """
    keys = _choose(chosen, data)
    if dry_run:
        found = database.read(
            data, lambda connection: dead_letter_selection.groups_of(connection, chosen)
        )
        _show_groups(found, as_json=as_json)
        return
    _confirm(len(keys), "replay", yes=yes)
    mark = _mark("replayed", by, reason)

    async def send(opened: db.Database) -> replay.Outcome:
        async with _bus(opened, data) as broker:
            outcome = await replay.replay(opened, broker, keys, mark)
            with contextlib.suppress(errors.BusAway):  # the next command clears its copies
                await dlq_copies.clear(opened, broker)
        return outcome

    outcome = database.use(data, send)
    if as_json:
        output.as_json(outcome)
    else:
        output.say(f"{outcome.replayed} replayed")
    unsent = [(f"letter {key}", _UNREADABLE) for key in outcome.unreadable]
    unsent += [(f"letter {key}", _CAME_BACK) for key in outcome.came_back]
    if unsent:
        raise errors.InvalidInput(unsent)


_UNREADABLE = (
    "a possible card number was removed from it, its end was cut off, or what is private of it was"
    " erased; drop it, and submit the order again if it is not recorded"
)
_CAME_BACK = "its stage failed again at once; it stays open"


@app.command("drop")
@flattened
def drop_letters(
    chosen: dead_letter_selection.Selection,
    *,
    then: Annotated[
        held_orders.Choice | None,
        typer.Option(
            show_default=False,
            help="What becomes of open orders that only these letters belong to. drive-on: the next"
            " stage goes on with them. reject: stock released, money returned, order REJECTED.",
        ),
    ] = None,
    reason: actor.Reason = "",
    by: actor.By = "",
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Close dead letters for good, with a reason. Their rows stay in the table.

    Orders that are open and that nothing else drives on need a --then: it holds for all of them.
    With it a closed letter may be named, too, if its order was left behind.
    """
    mark = _mark("dropped", by, actor.reason_of(reason))
    decision = held_orders.Decision(then, mark.actor, mark.reason, mark.at_us)
    keys = _choose(chosen, data, may_be_closed=then is not None)
    _confirm(len(keys), "drop", yes=yes)

    def transact(connection: sa.Connection) -> tuple[int, held_orders.Result]:
        return replay.drop(connection, keys, mark, functools.partial(held_orders.decide, decision))

    async def close(opened: db.Database) -> tuple[int, held_orders.Result]:
        dropped, became = await opened.write(transact)
        with contextlib.suppress(errors.BusAway):  # the next command clears its copies
            async with _bus(opened, data) as broker:
                await broker.publish(topics.ENVELOPE.pack(became.facts, broker.shard_keys))
                await dlq_copies.clear(opened, broker)
        return dropped, became

    _show_dropped(*database.use(data, close), as_json=as_json)


@contextlib.asynccontextmanager
async def _bus(opened: db.Database, data: Data) -> AsyncIterator[bus.Bus]:
    broker = await backends.open_bus(installation.settings_of(data), opened)
    try:
        yield broker
    finally:
        await broker.close()


def _mark(how: str, by: str, reason: str) -> replay.Mark:
    return replay.Mark(how, actor.name_of(by), reason, clock.SystemClock().now_us())


def _choose(
    chosen: dead_letter_selection.Selection, data: Data, *, may_be_closed: bool = False
) -> list[int]:
    ways = (bool(chosen.keys), bool(chosen.stage or chosen.code), chosen.every)
    if sum(ways) != 1:
        what = "name letters by number, or all of a --stage or --code, or --all"
        raise typer.BadParameter(what, param_hint="LETTER")
    return database.read(
        data, lambda c: dead_letter_selection.keys(c, chosen, may_be_closed=may_be_closed)
    )


def _confirm(letters: int, what: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(f"{what} {letters} letter{'s' if letters > 1 else ''}?", abort=True, err=True)


def _show_dropped(dropped: int, became: held_orders.Result, *, as_json: bool) -> None:
    """Show what became of the orders; an order that was answered OK must not vanish in silence."""
    outcomes = {
        "driven_on": ("is driven on", became.driven_on),
        "rejected": ("is rejected", became.rejected),
        "returning": ("is rejected as soon as its money is returned", became.returning),
        "not_recorded": (_NOT_RECORDED, became.not_recorded),
    }
    if as_json:
        named = {
            key: [{"merchant_id": ref.merchant_id, "order_id": ref.order_id} for ref in refs]
            for key, (_, refs) in outcomes.items()
        }
        output.as_json({"dropped": dropped, **named})
        return
    output.say(f"{dropped} dropped")
    for what, refs in outcomes.values():
        for ref in refs:
            output.say(output.plain(f"{ref.merchant_id}/{ref.order_id} {what}"))


_NOT_RECORDED = (
    "is not recorded: nothing is held, and nothing will process it. If its merchant was answered"
    " OK, tell them; the same order can be placed again under its id"
)


def _show_groups(found: Sequence[dead_letter_selection.Group], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"groups": found})
        return
    if not found:
        output.say("no open letters", style="green")
        return
    table = output.table("Stage", "Cause", "Letters", "Oldest", "Example", right=["Letters"])
    for it in found:
        example = output.plain(f"{it.example}: {it.example_explanation}")
        oldest = output.moment(it.oldest_at_us)
        table.add_row(it.stage, it.code, str(it.letters), oldest, example)
    output.terminal().print(table)


def _show_letters(found: Sequence[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        rows = [msgspec.structs.asdict(letter) for letter in found]
        for row in rows:
            del row["payload"]
        output.as_json({"letters": rows})
        return
    table = output.table(
        "Letter", "When", "Stage", "Cause", "Subject", "Explanation", right=["Letter"]
    )
    for it in found:
        subject = f"{it.subject_kind} {it.merchant_id}/{it.subject}" if it.subject else ""
        when = output.moment(it.at_us)
        table.add_row(
            str(it.letter_key), when, it.stage, it.code, subject, output.plain(it.explanation)
        )
    output.terminal().print(table)
