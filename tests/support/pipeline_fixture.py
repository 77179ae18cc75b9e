"""The whole pipeline on one site: database, embedded bus, three functions, janitor, simulator.

All of it is the true thing; only the clock stands still until it is moved. Who opens a second world
on the site of one that crashed goes on where that one was. The database is in the site's folder, in
SQLite, or on a server.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import backlogs, janitor, topics
from internal.host import engine
from internal.host import functions as hosting
from internal.infra import db, migrate, settings
from internal.infra.embedded_bus import bus as embedded_bus
from internal.infra.mysql import database as mysql
from internal.infra.sqlite import database as sqlite
from internal.kernel import ids
from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.orders.messages import Fact
from internal.payments.gateways import simulator
from internal.pipeline import dead_letters, handler
from internal.views import order as order_view
from tests.support import mariadb, shop

PATIENCE_S = 20.0
DATABASE_FILE = "souk.db"
GATEWAY_FILE = "gateway.db"
JANITOR = janitor.Options(interval_s=1.0, orders_max=500, redrive_after_s=30.0)


class Site(NamedTuple):
    """Where a world lives. The bus and the gateway are always in the folder."""

    folder: Path
    server: settings.MysqlSettings | None = None

    def open_books(self) -> db.Database:
        """Open the database that holds the tables."""
        return mysql.MysqlDatabase(self.server) if self.server else self.open_file()

    def open_file(self) -> db.Database:
        """Open the folder's own database."""
        return sqlite.SqliteDatabase(self.folder / DATABASE_FILE, synchronous="NORMAL")


class World:
    """One life of the pipeline, on the event loop that opens it."""

    def __init__(self, site: Site, clock: ManualClock | None = None) -> None:
        self.site, self.folder = site, site.folder
        self.clock = clock or ManualClock(shop.NOW_US)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, stages: Sequence[handler.Stage] = topics.STAGES) -> None:
        """Start everything, or only these stages."""
        self.database = self.site.open_books()
        self.file = self.site.open_file() if self.site.server else self.database
        self.bus = embedded_bus.EmbeddedBus(self.file, self.clock)
        await self.bus.open()
        await self.bus.ensure(topics.subscriptions())
        self.gateway = simulator.SimulatedGateway(self.folder / GATEWAY_FILE, slow_s=0.02)
        self.janitor = janitor.Janitor(self.database, self.bus, self.clock, JANITOR)
        ports = handler.Ports(self.database, self.bus, self.clock, hosting.acknowledge_nothing)
        for function, stage_handler in engine.functions(self.gateway, 5.0):
            if stage_handler.spec in stages:
                hosted = await hosting.host(self.bus, function, stage_handler, 1_000)
                self._tasks.append(asyncio.create_task(hosted.run(ports, handler.Limits())))

    async def close(self) -> None:
        """Stop in good order: all that was acknowledged is written."""
        await self._end_tasks()
        await self.bus.close()
        await self.leave()

    async def leave(self) -> None:
        """Let go of the files, as a killed process does: nothing more is written."""
        await self.database.close()
        if self.file is not self.database:
            await self.file.close()
        await self.gateway.close()

    async def die(self) -> None:
        """Drop everything where it stands."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.leave()

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def publish(self, *facts: Fact) -> None:
        """Put facts on their topics with their tokens, one message for each topic and shard."""
        private = [shop.half_of(fact) for fact in facts]
        await self.bus.publish(topics.ENVELOPE.pack(facts, self.bus.shard_keys, private))

    async def drain(self) -> None:
        """Wait until every stage has acknowledged everything.

        A message is acknowledged after the next one is published, so looking downstream is enough.
        """
        async with asyncio.timeout(PATIENCE_S):
            while any((await self.backlog()).values()):
                self.fail_if_ended()
                await asyncio.sleep(0.001)

    async def run(self, *facts: Fact) -> None:
        """Publish and drain."""
        await self.publish(*facts)
        await self.drain()

    async def backlog(self) -> dict[str, int]:
        """Count what each stage has not acknowledged, in the order of the flow."""
        return {s.name: await backlogs.messages(self.bus, s) for s in topics.STAGES}

    def fail_if_ended(self) -> None:
        """Raise what ended a stage."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def pass_time(self, seconds: int) -> int:
        """Move the clock, have the janitor look, drain; return how many orders it drove on."""
        self.clock.advance_us(seconds * US_PER_SECOND)
        driven = await self.janitor.look()
        await self.drain()
        return driven

    async def view(self, order_id: str) -> order_view.OrderView:
        """Return all of an order of the shop."""
        found = await self.database.read(lambda c: order_view.get(c, shop.MERCHANT, order_id))
        assert found is not None, f"{order_id} is not recorded"
        return found

    async def states(self, *order_ids: str) -> list[str]:
        """Return "STATE" or "STATE REASON" of orders."""
        views = [await self.view(order_id) for order_id in order_ids]
        return [f"{view.state} {view.reason}".strip() for view in views]

    async def letters(self) -> list[dead_letters.DeadLetter]:
        """Return the open dead letters."""
        return await self.database.read(dead_letters.list_open)

    async def check(
        self, acknowledged: Iterable[str] = (), *, is_drained: bool = True
    ) -> list[invariants.Finding]:
        """Check every invariant, the gateway's ledger included."""
        captured = simulator.SimulatorLedger(self.folder / GATEWAY_FILE).captured_by_key()
        backlog = await self.backlog() if is_drained else None
        names = [ids.OrderRef(shop.MERCHANT, order_id) for order_id in acknowledged]
        return await self.database.read(
            lambda c: invariants.check(
                c,
                captured_at_gateway=captured,
                backlog=backlog,
                acknowledged=names,
                may_wait=True,
                now_us=self.clock.now_us(),
            )
        )

    async def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Return every row of every table of the database, to see that nothing has changed."""
        return await self.database.read(_dump)


def _dump(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: sorted(tuple(row) for row in connection.execute(sa.select(table)))
        for name, table in db.METADATA.tables.items()
    }


async def found(site: Site) -> None:
    """Open the shop in an empty database; one on a server has its tables."""
    database = site.open_books()
    await database.write(mariadb.clear if site.server else migrate.upgrade)
    await database.write(shop.open_for_business)
    await database.close()


def copy(template: Path, folder: Path) -> Site:
    """Copy a site, books and all, that was founded elsewhere in a folder of its own."""
    return Site(Path(shutil.copytree(template, folder)))


@asynccontextmanager
async def opened(
    site: Site, clock: ManualClock | None = None, stages: Sequence[handler.Stage] = topics.STAGES
) -> AsyncIterator[World]:
    """Open a world, and close it in good order."""
    world = World(site, clock)
    await world.open(stages)
    try:
        yield world
    finally:
        await world.close()
