"""The database and the bus that an engine works with: the embedded ones, or real servers."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from internal.infra import bus, db, fixed_settings, migrate, settings
from internal.infra.data_folder import files
from internal.infra.embedded_bus import bus as embedded_bus
from internal.infra.sqlite import database as sqlite

KEY_CONNECTIONS = 2
"""A look-up takes about a millisecond, and each key is looked up twice a minute at most."""


class Backends(NamedTuple):
    """The open backends of an engine."""

    database: db.Database
    bus: bus.Bus


async def opened(
    options: settings.Settings,
    stack: contextlib.AsyncExitStack,
    watched: Callable[[db.Database], db.Database] = lambda database: database,
) -> Backends:
    """Open the backends that the settings name, and migrate the tables; `stack` closes both.

    Args:
        options: the settings of either engine.
        stack: closes what was opened.
        watched: wraps the database for everything that uses it, the embedded bus included.

    Raises:
        DatabaseDamaged: the database is damaged.
        DatabaseAway: the database cannot be reached.
        BusAway: the broker cannot be reached.
        Misconfigured: a server rejects this client, the tables are from a newer Souk, or a setting
            has changed that is fixed.
    """
    database = watched(open_database(options))
    stack.push_async_callback(database.close)
    await database.write(migrate.upgrade)
    await database.write(lambda connection: fixed_settings.keep(connection, options.topics))
    broker = await open_bus(options, database)
    stack.push_async_callback(broker.close)
    return Backends(database, broker)


def open_database(options: settings.Settings, *, readers: int | None = None) -> db.Database:
    """Open the database that the settings name; a server is reached when it is first needed.

    Args:
        options: the settings of either engine.
        readers: reader threads of the embedded database, instead of the number in the settings.
    """
    storage = options.storage
    if storage.engine == "full":
        from internal.infra.mysql import database as mysql  # noqa: PLC0415 - the embedded engine does not need it

        return mysql.MysqlDatabase(options.mysql)
    return sqlite.SqliteDatabase(
        storage.data_dir / files.DATABASE,
        readers=readers or storage.readers,
        busy_timeout_ms=storage.busy_timeout_ms,
        synchronous=storage.synchronous,
        cache_mib=storage.cache_mib,
    )


def open_key_database(options: settings.Settings, database: db.Database) -> db.Database:
    """Return the database to look up API keys in: the same one, on connections of its own.

    The embedded database answers quick reads at once, and needs no other.
    """
    if options.storage.engine != "full":
        return database
    from internal.infra.mysql import database as mysql  # noqa: PLC0415 - as above

    own = options.mysql.model_copy(update={"connections_max": KEY_CONNECTIONS})
    return mysql.MysqlDatabase(own)


async def open_bus(options: settings.Settings, database: db.Database) -> bus.Bus:
    """Open the bus that the settings name; the embedded one is in the database.

    Raises:
        BusAway: the broker cannot be reached.
        Misconfigured: it rejects this client, its tables are from a newer Souk, or a setting has
            changed that is fixed.
    """
    await database.read(lambda connection: fixed_settings.require(connection, options.topics))
    if options.storage.engine == "full":
        from internal.infra.pulsar_bus import bus as pulsar_bus  # noqa: PLC0415 - as above

        broker: embedded_bus.EmbeddedBus | pulsar_bus.PulsarBus
        log = options.storage.data_dir / files.PULSAR_LOG
        broker = pulsar_bus.PulsarBus(options.pulsar, options.topics, client_log=log)
    else:
        broker = embedded_bus.EmbeddedBus(database, topics=options.topics)
    await broker.open()
    return broker
