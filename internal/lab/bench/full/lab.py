"""A full engine under measurement: broker, database, functions in the official runtime, intake.

Broker and database run already; the intake is started for each measurement, on empty tables if the
stack is our own. The database is also read directly, as seldom and as cheaply as possible.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from internal.client import client
from internal.infra import backends, db, settings
from internal.infra.data_folder import files
from internal.infra.pulsar_bus import admin, bus
from internal.kernel import errors, ids, states
from internal.lab import engine_process
from internal.lab.bench import lab
from internal.lab.bench.full import function_control, process_costs
from internal.lab.workload import progress, templates, verification
from internal.orders import store as order_store
from internal.payments.gateways import registry

SEED = 1
LOOK_EVERY_S = 0.05
STALLED_S = 120.0
"""A measurement without progress for this long is given up."""


class Site(NamedTuple):
    """The stack on which full engines are measured."""

    plain_functions: Path
    """The functions that Souk is compared with."""
    folder: Path
    """For temporary files."""
    config: Path
    """The engine's settings file."""
    options: settings.Settings
    deploy: Callable[[int], Awaitable[None]]
    """Deploys the functions, each with this many instances."""
    is_own: bool
    """The stack was made for this run, so its tables may be emptied."""


class Progress(NamedTuple):
    """How far the orders have come, according to the database."""

    recorded: int
    """The largest order key."""
    latest_due_us: int | None
    """The last deadline of the open orders; None if none is open."""


class Internals(NamedTuple):
    """Access to the engine's servers, which its clients do not have."""

    options: settings.Settings
    database: db.Database
    bus: bus.PulsarBus
    api: admin.PulsarAdmin


class FullLab(lab.Lab):
    """One full engine and one client."""

    def __init__(
        self,
        engine: engine_process.Serving,
        records: verification.Records,
        connection: client.Client,
        made: templates.Templates,
        internals: Internals,
    ) -> None:
        super().__init__(engine, records, connection, made)
        self.options, self.database, self.bus, self.api = internals
        self.control = function_control.FunctionControl(self.api, self.options.pulsar)
        self._processes = process_costs.Processes(self.options, engine.pid)

    def costs(self) -> process_costs.Costs:
        """Return each part's cost so far."""
        return self._processes.costs()

    async def look(self) -> Progress:
        """Read how far the orders have come: one step into each of two indexes."""
        return await self.database.read(_progress, is_quick=True)

    async def until_recorded(self, after: int) -> None:
        """Wait until an order is recorded with a larger key than `after`.

        Raises:
            Temporary: none was recorded in time.
        """
        give_up_at_s = time.perf_counter() + STALLED_S
        while (await self.look()).recorded <= after:
            if time.perf_counter() > give_up_at_s:
                raise errors.Temporary(f"no order was recorded within {STALLED_S:.0f} s")
            await asyncio.sleep(LOOK_EVERY_S)

    async def until_finished(self, after: int, orders: int, tell: progress.Tell) -> None:
        """Wait until this many orders are recorded after the key `after` and none is open.

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
                raise errors.Temporary(f"{what}; {orders} after {after} were expected")
            await asyncio.sleep(LOOK_EVERY_S)
        tell(orders)

    async def count(self) -> int:
        """Count the orders in the tables."""
        return await self.database.read(lambda c: _count(c, 0))

    async def verify(self) -> None:
        """Check that all orders in the tables are finalized, and that every invariant holds.

        For tables that are too full for `ends`.

        Raises:
            Temporary: an order is not finalized, or an invariant does not hold.
        """
        others = await self.database.read(_count_others)
        if others:
            raise errors.Temporary(f"{others} orders were not finalized")
        await self.check()

    async def _are_finished(self, now: Progress, after: int, orders: int) -> bool:
        """Tell whether all have ended; keys may have gaps, so the orders are counted at the end."""
        if now.latest_due_us is not None or now.recorded < after + orders:
            return False
        return await self.database.read(lambda c: _count(c, after), is_quick=True) >= orders


@contextlib.asynccontextmanager
async def opened(
    site: Site, name: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[FullLab]:
    """Start the functions and the intake, and connect to it; `environment` extends ours.

    Order ids begin with `name` and a random token, so a run can be repeated on the same tables.

    Raises:
        Misconfigured: something does not start, or the functions are not deployed.
        Temporary: a part cannot be reached.
    """
    options = site.options
    async with contextlib.AsyncExitStack() as stack:
        internals = await _connected(options, stack)
        functions = function_control.FunctionControl(internals.api, options.pulsar)
        if site.is_own:
            await functions.stop()
            await _delete_orders(options)
        intake = engine_process.serving(
            ("--full",),
            options.storage.data_dir,
            {"SOUK_CONFIG": str(site.config), **(environment or {})},
        )
        engine = await stack.enter_async_context(intake)
        await functions.start()
        records = verification.Records(options, engine.access.api_key)
        made = templates.Templates(await records.shop(), f"{name}-{ids.random_token(4)}", SEED)
        connection = client.Client(engine.access)
        await stack.enter_async_context(contextlib.aclosing(connection))
        yield FullLab(engine, records, connection, made, internals)


async def _connected(options: settings.Settings, stack: contextlib.AsyncExitStack) -> Internals:
    database = backends.open_database(options)
    stack.push_async_callback(database.close)
    api = await stack.enter_async_context(admin.PulsarAdmin(options.pulsar))
    broker = bus.PulsarBus(options.pulsar, options.topics)
    await broker.open()
    stack.push_async_callback(broker.close)
    return Internals(options, database, broker, api)


async def _delete_orders(options: settings.Settings) -> None:
    """Delete all orders: the tables, and the gateway's ledger."""
    await recreate(options)
    clear_gateway(options)


def clear_gateway(options: settings.Settings) -> None:
    """Delete the gateway's ledger, if there is one."""
    ledger = registry.find_ledger(options)
    if ledger is not None:
        ledger.clear()


async def recreate(options: settings.Settings) -> None:
    """Drop the database and create it again, without tables; its shop's key goes with it."""
    await drop(options)
    (options.storage.data_dir / files.DEMO_KEY).unlink(missing_ok=True)
    await _on_server(options, "CREATE DATABASE `{name}` CHARACTER SET utf8mb4")


async def drop(options: settings.Settings) -> None:
    """Drop the database if it exists."""
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
