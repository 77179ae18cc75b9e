"""`souk check`: checks every invariant of the database. Changes nothing but seals."""

from functools import partial
from typing import Annotated, NamedTuple

import msgspec
import sqlalchemy as sa
import typer

from internal.checks import gateway, invariants, seals
from internal.checks.scope import EVERYTHING, Scope
from internal.cli import database
from internal.cli.options import Data
from internal.console import exit_codes, installation, lazy_groups, output
from internal.console.options import AsJson
from internal.flow import backlogs, topics
from internal.infra import backends, clock, db, settings
from internal.infra.sqlite import used_folder
from internal.orders import store as orders_store
from internal.payments.gateways import registry

app = lazy_groups.single()


class Examined(msgspec.Struct, frozen=True):
    """The result of a check."""

    scope: Scope
    tallies: list[invariants.Tally]
    """The orders of the scope by state."""
    findings: list[invariants.Finding]
    planned: seals.Plan | None = None
    """A seal that can be written now."""


class Wanted(msgspec.Struct, frozen=True):
    """What is to be checked."""

    is_drained: bool = False
    """Whether no message may wait."""
    is_since_seal: bool = False
    """Whether what is sealed is left out."""
    is_to_seal: bool = False


@app.command()
def check(
    *,
    drained: Annotated[
        bool,
        typer.Option("--drained", help="Expect all work to be done: no message may still wait."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Check everything, not only what is not sealed.")
    ] = False,
    seal: Annotated[
        bool,
        typer.Option("--seal", help="If all is well, seal the days that are over in every store."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check every invariant: no order lost or doubled, money, stock, ledger and receipts right.

    What has ended and is sealed is left out. 0 means that all hold, 4 that one does not. The server
    may keep running meanwhile.
    """
    wanted = Wanted(is_drained=drained, is_since_seal=not everything, is_to_seal=seal)
    with installation.chosen(data) as found:
        options = found.settings
        require_usable(options, is_quick=wanted.is_since_seal)
        examined = examine(options, wanted)
    if as_json:
        output.as_json(_as_json(examined))
    else:
        _show(examined)
    if examined.findings:
        raise typer.Exit(exit_codes.ExitCode.CHECK_FAILED)


def require_usable(options: settings.Settings, *, is_quick: bool = False) -> None:
    """Check that the database is there, whole, and as new as it was; a server's is taken to be.

    `is_quick` does not read through large files.

    Raises:
        DatabaseAway: it is missing in a new folder, or cannot be opened.
        DatabaseDamaged: it is damaged, older than it was, or missing in a used folder.
        Misconfigured: its tables are from a newer Souk.
    """
    if options.storage.engine == "embedded":
        ledger = registry.ledger_file(options)
        ledgers = [ledger] if ledger else []
        used_folder.require_usable(options.storage.data_dir, ledgers, is_quick=is_quick)
    database.require(options)


def examine(options: settings.Settings, wanted: Wanted = Wanted()) -> Examined:  # noqa: B008 - frozen
    """Check one database; seal its past days if that is wanted and all is well.

    Raises:
        DatabaseAway: it cannot be opened, or stays locked.
        DatabaseDamaged: it or the gateway's ledger is damaged.
        Misconfigured: its tables are of another version.
        InvalidInput: there is nothing to seal, or an order of those days is open.
    """

    async def look(opened: db.Database) -> Examined:
        backlog = await _backlog(options, opened) if wanted.is_drained else None
        scope = await opened.read(seals.last) if wanted.is_since_seal else EVERYTHING
        before = await opened.read(partial(_gateway, options, scope))
        examined = await opened.read(partial(_check, options, wanted, before, backlog, scope))
        if examined.planned is not None:
            now_us = clock.SystemClock().now_us()
            await opened.write(partial(seals.write, planned=examined.planned, now_us=now_us))
        return examined

    return database.run(options, database.on_our_tables(look))


async def _backlog(options: settings.Settings, database_: db.Database) -> dict[str, int]:
    bus = await backends.open_bus(options, database_)
    try:
        await bus.ensure(topics.subscriptions())
        return {it.subscription: await backlogs.messages(bus, it) for it in topics.STAGES}
    finally:
        await bus.close()


class _Gateway(NamedTuple):
    """The gateway's own ledger, if this machine has it."""

    keys: set[str]
    """Of the charges that were looked up; empty if all were."""
    captured: dict[str, int] | None


def _gateway(options: settings.Settings, scope: Scope, connection: sa.Connection) -> _Gateway:
    """Read the ledger of the gateway: what it has of the charges of this snapshot, or all of it."""
    if scope.is_everything:
        connection.execute(sa.select(orders_store.ORDERS.c.order_key).limit(1))
        return _Gateway(set(), registry.captured_by_key(options))
    keys = gateway.keys_of(connection, scope)
    return _Gateway(keys, registry.captured_by_key(options, keys))


def _check(
    options: settings.Settings,
    wanted: Wanted,
    before: _Gateway,
    backlog: dict[str, int] | None,
    scope: Scope,
    connection: sa.Connection,
) -> Examined:
    """Compare one snapshot with the gateway's own file, read before the snapshot and within it.

    A charge that changed in between is still under way, and neither right nor wrong yet.
    """
    after, now_us = _gateway(options, scope, connection), clock.SystemClock().now_us()
    changed = (before.captured or {}).items() ^ (after.captured or {}).items()
    moving = {key for key, _ in changed} | (after.keys ^ before.keys)
    found = invariants.check(
        connection,
        captured_at_gateway=after.captured,
        backlog=backlog,
        now_us=now_us,
        scope=msgspec.structs.replace(scope, moving=frozenset(moving)),
    )
    planned = None
    if wanted.is_to_seal and not found:
        planned = seals.plan(connection, seals.newest_day(connection, now_us), now_us)
    return Examined(scope, invariants.summary(connection, scope), found, planned)


def _as_json(examined: Examined) -> dict[str, object]:
    scope, planned = examined.scope, examined.planned
    return {
        "check_ok": not examined.findings,
        "findings": examined.findings,
        "orders": examined.tallies,
        "since_seal_of": None if scope.is_everything else scope.sealed_day,
        "sealed_day": planned and planned.scope.sealed_day,
    }


def _show(examined: Examined) -> None:
    table = output.table("State", "Reason", "Orders", right=["Orders"])
    for tally in examined.tallies:
        table.add_row(output.state(tally.state), tally.reason, str(tally.orders))
    output.terminal().print(table)
    for finding in examined.findings:
        output.say(
            f"{finding.invariant}: {finding.sentence}: {finding.count} times not", style="red"
        )
        for example in finding.examples:
            output.say(f"    {example}")
    if not examined.scope.is_everything:
        output.remark(f"checked since the seal of {examined.scope.sealed_day}; --all checks more")
    good = not examined.findings
    output.say(output.yes_or_no(good=good, yes="every invariant holds", no="the check FAILED"))
    if examined.planned is not None:
        output.say(f"sealed up to {examined.planned.scope.sealed_day}")
