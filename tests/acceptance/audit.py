"""Compares the clients' log with the database, the broker and the gateway's own ledger.

For an embedded engine: reads its data folder directly, one snapshot per question, whether the
engine runs or not.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

from internal.checks import findings, invariants
from internal.flow import topics
from internal.infra import settings
from internal.infra.data_folder import files
from internal.infra.embedded_bus import store as embedded_bus_store
from internal.infra.sqlite import database as sqlite
from internal.kernel import ids, states
from internal.lab.chaos import audit, clients
from internal.orders import store
from internal.payments.gateways import registry
from internal.seeds import demo_shop

LOOK_EVERY_S = 0.05
NO_LETTERS = audit.NO_LETTERS


class Remaining(msgspec.Struct, frozen=True):
    """The work that is left."""

    missing: int
    """Orders answered OK that are not in the database."""
    open_orders: int
    backlog: dict[str, int]
    """Unacknowledged messages, by stage."""

    @property
    def is_quiet(self) -> bool:
        """Tell whether no work is left."""
        return not (self.missing or self.open_orders or any(self.backlog.values()))


@contextlib.asynccontextmanager
async def database_of(folder: Path) -> AsyncIterator[sqlite.SqliteDatabase]:
    """Open the database of a data folder."""
    database = sqlite.SqliteDatabase(folder / files.DATABASE, readers=1)
    try:
        yield database
    finally:
        await database.close()


async def quiet(folder: Path, log: clients.Log, within_s: float) -> tuple[Remaining, float]:
    """Wait until no work is left or time is up; return the rest, and how long it took."""
    started_s = time.perf_counter()
    async with database_of(folder) as database:
        while True:
            remaining = await database.read(lambda c: _remaining(c, log))
            waited_s = time.perf_counter() - started_s
            if remaining.is_quiet or waited_s > within_s:
                return remaining, waited_s
            await asyncio.sleep(LOOK_EVERY_S)


async def check(folder: Path, log: clients.Log) -> list[findings.Finding]:
    """Return all findings."""
    captured = registry.captured_by_key(settings.of_folder(folder)) or {}

    def look(connection: sa.Connection) -> list[findings.Finding]:
        found = invariants.check(
            connection,
            captured_at_gateway=captured,
            backlog=backlog(connection),
            acknowledged=[ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in log.placed],
        )
        compared = audit.compared(audit.recorded(connection), log)
        return [*found, *compared, *audit.letters(connection)]

    async with database_of(folder) as database:
        return await database.read(look)


def _remaining(connection: sa.Connection, log: clients.Log) -> Remaining:
    orders = store.ORDERS.c
    known = set(connection.execute(sa.select(orders.order_id)).scalars())
    counting = sa.select(sa.func.count()).where(orders.state.not_in(states.ORDER_TERMINAL))
    open_orders = connection.execute(counting).scalar_one()
    return Remaining(len(log.placed.keys() - known), open_orders, backlog(connection))


def backlog(connection: sa.Connection) -> dict[str, int]:
    """Count the messages that each stage has not acknowledged, according to the database."""
    _, catalog = embedded_bus_store.look(connection)
    return {
        stage.name: sum(
            embedded_bus_store.backlog(
                connection, catalog.subscriptions[topic, stage.subscription]
            ).messages
            for topic in stage.topics
        )
        for stage in topics.STAGES
    }
