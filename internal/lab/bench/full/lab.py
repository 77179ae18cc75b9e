"""A full engine under measurement: a broker, a database, functions in the official runtime, a door.

Broker and database are there already; the door is started for each measurement, on empty tables
where the engine is our own. Reads the database from beside, as seldom and as cheaply as it can.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from internal.client import client
from internal.infra import backends, db, files, settings
from internal.infra.pulsar_bus import admin, bus
from internal.kernel import errors, ids, states
from internal.lab.bench import lab
from internal.lab.bench.full import function_control, process_costs
from internal.lab.workload import engine_process, progress, templates
from internal.orders import store as order_store

SEED = 1
LOOK_EVERY_S = 0.05
STALLED_S = 120.0
"""So long without another order at its end is no progress."""


class Site(NamedTuple):
    """Where full engines are measured."""

    script: Path
    """Starts the door: cmd/start.py."""
    plain_functions: Path
    """What Souk is compared with."""
    folder: Path
    """Holds what the door says."""
    config: Path
    """The file of settings of the engine."""
    options: settings.Settings
    deploy: Callable[[int], Awaitable[None]]
    """Deploys the functions, each with so many instances."""
    is_own: bool
    """Made for this run: its tables may be emptied."""


class Progress(NamedTuple):
    """How far the orders are, by the database."""

    recorded: int
    """The largest order key."""
    latest_due_us: int | None
    """The last deadline of those that are under way; None when none is."""


class Beside(NamedTuple):
    """Ways into the engine that its clients do not have."""

    database: db.Database
    bus: bus.PulsarBus
    api: admin.PulsarAdmin


class FullLab(lab.Lab):
    """One full engine and one client."""

    def __init__(
        self,
        engine: engine_process.Engine,
        connection: client.Client,
        made: templates.Stencils,
        beside: Beside,
    ) -> None:
        super().__init__(engine, connection, made)
        self.database, self.bus, self.api = beside
        self.tap = function_control.Tap(self.api, engine.options.pulsar)
        self._processes = process_costs.Processes(engine.options, engine.process.pid)

    def costs(self) -> process_costs.Costs:
        """Return what each part took so far."""
        return self._processes.costs()

    async def look(self) -> Progress:
        """Look how far the orders are: one step into each of two indexes."""
        return await self.database.read(_progress, is_quick=True)

    async def until_recorded(self, after: int) -> None:
        """Wait until an order is recorded under a larger key than `after`.

        Raises:
            Temporary: none came in time.
        """
        give_up_at_s = time.perf_counter() + STALLED_S
        while (await self.look()).recorded <= after:
            if time.perf_counter() > give_up_at_s:
                raise errors.Temporary(f"no order was recorded within {STALLED_S:.0f} s")
            await asyncio.sleep(LOOK_EVERY_S)

    async def until_finished(self, after: int, orders: int, tell: progress.Tell) -> None:
        """Wait until so many orders are recorded after this key and none is under way any more.

        Raises:
            Temporary: there was no progress for too long.
        """
        last, moved_at_s = Progress(0, 0), time.perf_counter()
        while not await self._are_finished(now := await self.look(), after, orders):
            tell(min(now.recorded - after, orders - 1))
            if now != last:
                last, moved_at_s = now, time.perf_counter()
            if time.perf_counter() > moved_at_s + STALLED_S:
                what = f"orders do not move, the last of them is {now.recorded}"
                raise errors.Temporary(f"{what}; {orders} after {after} were to come")
            await asyncio.sleep(LOOK_EVERY_S)
        tell(orders)

    async def count(self) -> int:
        """Count the orders in the tables."""
        return await self.database.read(lambda c: _count(c, 0))

    async def verify(self) -> None:
        """See that all orders in the tables are finalized, and that the books hold.

        For tables too full for `ends`.

        Raises:
            Temporary: they are not, or the books do not.
        """
        others = await self.database.read(_count_others)
        if others:
            raise errors.Temporary(f"{others} orders were not finalized")
        await self.check()

    async def _are_finished(self, now: Progress, after: int, orders: int) -> bool:
        """Keys may have gaps, so the orders are counted in the end."""
        if now.latest_due_us is not None or now.recorded < after + orders:
            return False
        return await self.database.read(lambda c: _count(c, after), is_quick=True) >= orders


@contextlib.asynccontextmanager
async def opened(
    site: Site, name: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[FullLab]:
    """Start the door, with `environment` on top of ours, and connect to it; its functions run.

    Orders are named by `name` and chance, so that a run can be repeated on the same tables.

    Raises:
        Misconfigured: something does not start, or the functions are not deployed.
        Temporary: a part cannot be reached.
    """
    options = site.options
    async with contextlib.AsyncExitStack() as stack:
        beside = await _beside(options, stack)
        functions = function_control.Tap(beside.api, options.pulsar)
        if site.is_own:
            await functions.stop()
            await _empty(options)
        start = engine_process.Start(
            site.script,
            ("--full",),
            {"SOUK_CONFIG": str(site.config), **(environment or {})},
            site.folder / f"{name}-{engine_process.OUTPUT_FILE}",
        )
        engine = await stack.enter_async_context(engine_process.serving(options, start))
        await functions.start()
        made = templates.Stencils(
            await engine.books().shop(), f"{name}-{ids.random_token(4)}", SEED
        )
        connection = client.Client(engine.access())
        await stack.enter_async_context(contextlib.aclosing(connection))
        yield FullLab(engine, connection, made, beside)


async def _beside(options: settings.Settings, stack: contextlib.AsyncExitStack) -> Beside:
    database = backends.open_database(options)
    stack.push_async_callback(database.close)
    api = await stack.enter_async_context(admin.PulsarAdmin(options.pulsar))
    broker = bus.PulsarBus(options.pulsar)
    await broker.open()
    stack.push_async_callback(broker.close)
    return Beside(database, broker, api)


async def _empty(options: settings.Settings) -> None:
    """Forget all orders: the tables, and what the simulated gateway knows."""
    await recreate(options)
    for file in options.storage.data_dir.glob(f"{files.GATEWAY}*"):
        file.unlink()


async def recreate(options: settings.Settings) -> None:
    """Make the database anew, without tables."""
    await drop(options)
    await _on_server(options, "CREATE DATABASE `{name}` CHARACTER SET utf8mb4")


async def drop(options: settings.Settings) -> None:
    """Delete the database, if there is one."""
    await _on_server(options, "DROP DATABASE IF EXISTS `{name}`")


async def _on_server(options: settings.Settings, statement: str) -> None:
    nowhere = options.mysql.model_copy(update={"database": ""})
    server = backends.open_database(options.model_copy(update={"mysql": nowhere}))
    text = statement.format(name=options.mysql.database)
    try:
        await server.write(lambda connection: connection.exec_driver_sql(text))
    finally:
        await server.close()


def _progress(connection: sa.Connection) -> Progress:
    o = order_store.ORDERS.c
    recorded = connection.scalar(sa.select(sa.func.max(o.order_key)))
    latest = sa.select(o.due_at_us).where(o.due_at_us.is_not(None))
    return Progress(recorded or 0, connection.scalar(latest.order_by(o.due_at_us.desc()).limit(1)))


def _count_others(connection: sa.Connection) -> int:
    unlike = order_store.ORDERS.c.state != str(states.OrderState.FINALIZED)
    return connection.scalar(sa.select(sa.func.count()).where(unlike)) or 0


def _count(connection: sa.Connection, after: int) -> int:
    o = order_store.ORDERS.c
    query = sa.select(sa.func.count()).where(o.order_key > after, o.due_at_us.is_(None))
    return connection.scalar(query) or 0
