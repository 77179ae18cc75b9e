"""The database and the bus that an engine works with: the embedded ones, or real servers."""

import contextlib
from typing import NamedTuple, Protocol

from internal.infra import bus, db, files, migrate, settings
from internal.infra.embedded_bus import bus as embedded_bus


class CountingBus(bus.Bus, Protocol):
    """A bus that also knows how many orders wait, not only messages."""

    async def backlog_orders(self, topic: str, subscription: str) -> int:
        """Return how many orders this subscription has not acknowledged; may be an estimate.

        Raises:
            BusAway: the broker cannot be reached.
        """
        ...


class Parts(NamedTuple):
    """What everything else stands on."""

    database: db.Database
    bus: CountingBus


async def opened(options: settings.Settings, stack: contextlib.AsyncExitStack) -> Parts:
    """Open what the settings name, its tables up to date; `stack` closes it.

    Raises:
        DatabaseAway: the database cannot be reached.
        BusAway: the broker cannot be reached.
        Misconfigured: a server refuses us, or its tables are from a newer Souk.
    """
    database = open_database(options)
    stack.push_async_callback(database.close)
    await database.write(migrate.upgrade)
    if options.storage.engine == "full":
        return Parts(database, await _pulsar(options.pulsar, stack))
    broker = embedded_bus.EmbeddedBus(database)
    await broker.open()
    stack.push_async_callback(broker.close)
    return Parts(database, broker)


async def _pulsar(
    options: settings.PulsarSettings, stack: contextlib.AsyncExitStack
) -> CountingBus:
    from internal.infra.pulsar_bus import bus as pulsar_bus  # noqa: PLC0415 - the full engine's

    broker = pulsar_bus.PulsarBus(options)
    await broker.open()
    stack.push_async_callback(broker.close)
    return broker


def open_database(options: settings.Settings) -> db.Database:
    """Open the database that the settings name; the servers' one connects when it is needed."""
    if options.storage.engine == "full":
        from internal.infra import mysql  # noqa: PLC0415 - the full engine's

        return mysql.MysqlDatabase(options.mysql)
    storage = options.storage
    return db.SqliteDatabase(
        storage.data_dir / files.DATABASE,
        readers=storage.readers,
        busy_timeout_ms=storage.busy_timeout_ms,
        synchronous=storage.synchronous,
        cache_mib=storage.cache_mib,
    )
