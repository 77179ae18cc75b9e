"""Compares what the tills were told with the books, the broker and the gateway's own ledger.

Of an embedded engine: reads its data folder from outside, one snapshot a question, whether it runs
or not.
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
from internal.infra.embedded_bus import store as embedded_bus_store
from internal.infra.sqlite import database as sqlite
from internal.kernel import ids, states
from internal.lab.chaos import audit, clients
from internal.orders import store
from internal.payments.gateways import registry
from internal.seeds import demo_shop

DATABASE_FILE = "souk.db"
LOOK_EVERY_S = 0.05
NO_LETTERS = audit.NO_LETTERS


class Standing(msgspec.Struct, frozen=True):
    """What is not over yet."""

    missing: int
    """Orders answered OK that are not in the books."""
    open_orders: int
    backlog: dict[str, int]
    """Messages, by stage."""

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is left to do."""
        return not (self.missing or self.open_orders or any(self.backlog.values()))


@contextlib.asynccontextmanager
async def books(folder: Path) -> AsyncIterator[sqlite.SqliteDatabase]:
    """Open the books of a data folder."""
    database = sqlite.SqliteDatabase(folder / DATABASE_FILE, readers=1)
    try:
        yield database
    finally:
        await database.close()


async def quiet(folder: Path, log: clients.Log, within_s: float) -> tuple[Standing, float]:
    """Wait until nothing is left to do or time is up; return how it stands, and after how long."""
    started_s = time.perf_counter()
    async with books(folder) as database:
        while True:
            standing = await database.read(lambda c: _standing(c, log))
            waited_s = time.perf_counter() - started_s
            if standing.is_quiet or waited_s > within_s:
                return standing, waited_s
            await asyncio.sleep(LOOK_EVERY_S)


async def check(folder: Path, log: clients.Log) -> list[findings.Finding]:
    """Return everything that does not hold."""
    captured = registry.captured_by_key(settings.of_folder(folder)) or {}

    def look(connection: sa.Connection) -> list[findings.Finding]:
        found = invariants.check(
            connection,
            captured_at_gateway=captured,
            backlog=_backlog(connection),
            acknowledged=[ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in log.placed],
        )
        compared = audit.compared(audit.recorded(connection), log)
        return [*found, *compared, *audit.letters(connection)]

    async with books(folder) as database:
        return await database.read(look)


def _standing(connection: sa.Connection, log: clients.Log) -> Standing:
    orders = store.ORDERS.c
    known = set(connection.execute(sa.select(orders.order_id)).scalars())
    counting = sa.select(sa.func.count()).where(orders.state.not_in(states.ORDER_TERMINAL))
    open_orders = connection.execute(counting).scalar_one()
    return Standing(len(log.placed.keys() - known), open_orders, _backlog(connection))


def _backlog(connection: sa.Connection) -> dict[str, int]:
    """Count what each stage has not acknowledged, as far as that is written."""
    _, catalog = embedded_bus_store.look(connection)
    return {
        stage.name: embedded_bus_store.backlog(
            connection, catalog.subscriptions[stage.topic, stage.subscription]
        ).messages
        for stage in topics.STAGES
    }
