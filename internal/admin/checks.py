"""`souk check`: does everything in the books hold? Reads; changes nothing."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from internal.admin import database, exits, folder, groups, show
from internal.admin.options import AsJson, Data
from internal.infra import clock, db, files, settings
from internal.infra.embedded_bus import bus as embedded_bus
from internal.kernel import errors
from internal.orders import store as orders_store
from internal.payments import simulator
from internal.pipeline import flow
from internal.reports import invariants

app = groups.single()


@app.command()
def check(
    *,
    drained: Annotated[
        bool,
        typer.Option("--drained", help="Expect all work to be done: no message may wait any more."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check every invariant: no order lost or doubled, money, stock, ledger and receipts right.

    0 means that all hold, 4 that one does not. The server may go on meanwhile.
    """
    storage = folder.storage_of(data)

    async def look(
        opened: db.SqliteDatabase,
    ) -> tuple[list[invariants.Tally], list[invariants.Finding]]:
        backlog = await _backlog(opened) if drained else None
        return await opened.read(lambda connection: _check(connection, storage, backlog))

    tallies, findings = database.use(data, look)
    if as_json:
        show.as_json({"check_ok": not findings, "findings": findings, "orders": tallies})
    else:
        _show(tallies, findings)
    if findings:
        raise typer.Exit(exits.ExitCode.CHECK_FAILED)


async def _backlog(database_: db.SqliteDatabase) -> dict[str, int]:
    bus = embedded_bus.EmbeddedBus(database_)
    await bus.open()
    try:
        await bus.ensure(flow.subscriptions())
        return {it.subscription: await bus.backlog(it.topic, it.subscription) for it in flow.STAGES}
    finally:
        await bus.close()


def _check(
    connection: sa.Connection, storage: settings.StorageSettings, backlog: dict[str, int] | None
) -> tuple[list[invariants.Tally], list[invariants.Finding]]:
    captured = None
    gateway_file = storage.data_dir / files.GATEWAY
    if gateway_file.is_file():
        with _writers_halted(storage.data_dir / files.DATABASE, storage.busy_timeout_ms):
            connection.execute(sa.select(orders_store.ORDERS.c.order_key).limit(1))
            captured = simulator.captured_by_key(gateway_file)
    now_us = clock.SystemClock().now_us()
    found = invariants.check(
        connection, captured_at_gateway=captured, backlog=backlog, now_us=now_us
    )
    return invariants.summary(connection), found


@contextlib.contextmanager
def _writers_halted(path: Path, timeout_ms: int) -> Iterator[None]:
    """Hold the write lock for a moment.

    The gateway keeps its own file. What is recorded between the looks at both would be taken for
    money that one of them has lost; a call under way is recorded as such before it is made.
    """
    connection = sqlite3.connect(path, timeout_ms / 1_000, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    except sqlite3.OperationalError as error:
        raise errors.DatabaseAway(f"{path}: {error}") from error
    finally:
        connection.close()


def _show(tallies: Sequence[invariants.Tally], findings: Sequence[invariants.Finding]) -> None:
    table = show.table("State", "Reason", "Orders", right=["Orders"])
    for tally in tallies:
        table.add_row(show.state(tally.state), tally.reason, str(tally.orders))
    show.terminal().print(table)
    for finding in findings:
        show.say(f"{finding.invariant}: {finding.sentence}: {finding.count} times not", style="red")
        for example in finding.examples:
            show.say(f"    {example}")
    show.say(show.yes_or_no(good=not findings, yes="every invariant holds", no="the check FAILED"))
