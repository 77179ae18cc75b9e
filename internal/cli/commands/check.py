"""`souk check`: checks every invariant of the database. Must not change anything."""

from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
import typer

from internal.checks import invariants
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


@app.command()
def check(
    *,
    drained: Annotated[
        bool,
        typer.Option("--drained", help="Expect all work to be done: no message may still wait."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check every invariant: no order lost or doubled, money, stock, ledger and receipts right.

    0 means that all hold, 4 that one does not. The server may keep running meanwhile.
    """
    with installation.chosen(data) as found:
        options = found.settings
        require_usable(options)
        tallies, findings = examine(options, is_drained=drained)
    if as_json:
        output.as_json({"check_ok": not findings, "findings": findings, "orders": tallies})
    else:
        _show(tallies, findings)
    if findings:
        raise typer.Exit(exit_codes.ExitCode.CHECK_FAILED)


def require_usable(options: settings.Settings) -> None:
    """Check that the database is there, whole, and as new as it was; a server's is taken to be.

    Raises:
        DatabaseAway: it is missing in a new folder, or cannot be opened.
        DatabaseDamaged: it is damaged, older than it was, or missing in a used folder.
        Misconfigured: its tables are from a newer Souk.
    """
    if options.storage.engine == "embedded":
        ledger = registry.ledger_file(options)
        used_folder.require_usable(options.storage.data_dir, [ledger] if ledger else [])
    database.require(options)


def examine(
    options: settings.Settings, *, is_drained: bool = False
) -> tuple[list[invariants.Tally], list[invariants.Finding]]:
    """Check one database; return its orders by state, and what does not hold.

    Raises:
        DatabaseAway: it cannot be opened, or stays locked.
        DatabaseDamaged: it or the gateway's ledger is damaged.
        Misconfigured: its tables are of another version.
    """

    async def look(
        opened: db.Database,
    ) -> tuple[list[invariants.Tally], list[invariants.Finding]]:
        backlog = await _backlog(options, opened) if is_drained else None
        before = registry.captured_by_key(options)
        return await opened.read(lambda connection: _check(connection, options, before, backlog))

    return database.run(options, database.on_our_tables(look))


async def _backlog(options: settings.Settings, database_: db.Database) -> dict[str, int]:
    bus = await backends.open_bus(options, database_)
    try:
        await bus.ensure(topics.subscriptions())
        return {it.subscription: await backlogs.messages(bus, it) for it in topics.STAGES}
    finally:
        await bus.close()


def _check(
    connection: sa.Connection,
    options: settings.Settings,
    before: dict[str, int] | None,
    backlog: dict[str, int] | None,
) -> tuple[list[invariants.Tally], list[invariants.Finding]]:
    """Compare one snapshot with the gateway's own file, read before the snapshot and within it.

    A charge that changed in between is still under way, and neither right nor wrong yet.
    """
    connection.execute(sa.select(orders_store.ORDERS.c.order_key).limit(1))
    after = registry.captured_by_key(options)
    changed = {} if before is None or after is None else dict(before.items() ^ after.items())
    found = invariants.check(
        connection,
        captured_at_gateway=after,
        moving_at_gateway=changed.keys(),
        backlog=backlog,
        now_us=clock.SystemClock().now_us(),
    )
    return invariants.summary(connection), found


def _show(tallies: Sequence[invariants.Tally], findings: Sequence[invariants.Finding]) -> None:
    table = output.table("State", "Reason", "Orders", right=["Orders"])
    for tally in tallies:
        table.add_row(output.state(tally.state), tally.reason, str(tally.orders))
    output.terminal().print(table)
    for finding in findings:
        output.say(
            f"{finding.invariant}: {finding.sentence}: {finding.count} times not", style="red"
        )
        for example in finding.examples:
            output.say(f"    {example}")
    output.say(
        output.yes_or_no(good=not findings, yes="every invariant holds", no="the check FAILED")
    )
