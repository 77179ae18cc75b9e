"""MySQL and MariaDB behind internal.infra.db.Database.

SQLAlchemy's async driver over aiomysql. A transaction is one of its greenlets: `work` is as plain
and synchronous as on SQLite, and its waits are the event loop's. Only the statements of `work` and
a COMMIT are sent: a writer's connection is not in autocommit mode, so there is no BEGIN, and no
request is made when it leaves or enters the pool. It must not know what it writes.
"""

import asyncio
import re
import ssl
from functools import partial
from typing import Any, TypeVar

import aiomysql
import sqlalchemy as sa
import sqlalchemy.ext.asyncio as sa_asyncio

from internal.infra import columns, db, failpoints, retry, settings
from internal.infra.mysql import connection as mysql_connection
from internal.infra.mysql import errors as mysql_errors
from internal.kernel import errors

T = TypeVar("T")

SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
"""The server cuts or guesses nothing silently, and reads strings as mysql/bulk.py quotes them."""
LOCK_WAIT_S = 10
"""A transaction that waits longer than this for a row lock is retried. Shorter than any sensible
statement_timeout_s, so that the server gives up before the client cuts the connection.
"""
IDLE_S = 600
"""The server closes a connection after this time without a statement. Otherwise the connections and
locks of a client that vanished (a cut cable) would stay for the default of eight hours.
"""
SERVER_SHARE = 0.9
"""The server ends a read that takes longer than this share of statement_timeout_s. If the client
cut the connection first, the server would go on, and the next try would come on top.
"""
QUICK_CONNECTIONS = 2
"""Connections that reads of many rows leave to quick reads and to writes."""
OLDEST = {"MySQL": (8, 0, 19), "MariaDB": (10, 6, 0)}
"""JSON_TABLE came with MySQL 8.0.4 and MariaDB 10.6; older versions than these were never tried."""
SESSION = (
    f"SET NAMES utf8mb4 COLLATE {columns.BINARY_COLLATION}",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION sql_mode = '{SQL_MODE}', innodb_lock_wait_timeout = {LOCK_WAIT_S},"
    f" wait_timeout = {IDLE_S}, default_storage_engine = 'InnoDB'"
    " /*!80020 , optimizer_switch = 'block_nested_loop=off' */",
)
"""The first statements of a new connection.

With hash joins, a part of block_nested_loop, MySQL would scan and lock a whole table of some
thousand rows instead of looking up a batch's rows by their keys. MariaDB takes that part for a
comment.
"""


class MysqlDatabase:
    """A pool of at most `connections_max` connections, each opened when it is first needed."""

    def __init__(self, options: settings.MysqlSettings) -> None:
        """Prepare the pool; the server is not contacted yet.

        Raises:
            Misconfigured: a file that the settings name cannot be read.
        """
        self._connections_max = options.connections_max
        self._connection_options = _connection_options(options)
        self._is_closed = False
        self._statement_max_s = SERVER_SHARE * options.statement_timeout_s
        self._free = asyncio.Semaphore(options.connections_max)
        self._snapshots = asyncio.Semaphore(max(1, options.connections_max - QUICK_CONNECTIONS))
        self.engine = sa_asyncio.create_async_engine(
            "mysql+aiomysql://",
            async_creator=self._connect,
            pool_size=options.connections_max,
            max_overflow=0,
            pool_use_lifo=True,  # surplus connections stay idle and are closed: see IDLE_S
            pool_reset_on_return=None,  # each function here ends what it began
            skip_autocommit_rollback=True,
            hide_parameters=True,  # an error's text goes into logs and dead letters
        )
        sa.event.listen(self.engine.sync_engine, "connect", _prepare)
        sa.event.listen(self.engine.sync_engine, "checkout", _require_connection)
        sa.event.listen(self.engine.sync_engine, "handle_error", _as_integrity_error)

    async def write(self, work: db.Work[T], *, is_quick: bool = False) -> T:
        """See Database.write."""
        del is_quick  # waiting for the server never holds up the loop
        return await self._tried(partial(_write, work))

    async def read(
        self, work: db.Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        """See Database.read.

        A quick read gets no snapshot: beginning and ending it would cost more than its statements.
        """
        most_s = self._statement_max_s if limit_s is None else min(limit_s, self._statement_max_s)
        if is_quick:
            return await self._tried(partial(_look_up, work, most_s))
        async with self._snapshots:
            return await self._tried(partial(_read, work, most_s))

    async def close(self) -> None:
        """See Database.close."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in range(self._connections_max):
            await self._free.acquire()
        await self.engine.dispose()

    async def _tried(self, transaction: db.Work[T]) -> T:
        return await retry.shortly(errors.DatabaseAway, lambda: self._once(transaction))

    async def _once(self, transaction: db.Work[T]) -> T:
        """Run a transaction from its beginning, on a connection of its own."""
        async with self._free:
            connection = self.engine.connect()
            try:
                await connection.start()
                return await connection.run_sync(transaction)
            except (sa.exc.DBAPIError, aiomysql.Error) as error:
                meaning = mysql_errors.meaning(error)
                if meaning is None:
                    raise
                raise meaning from error
            finally:
                if connection.sync_connection is not None:
                    await connection.close()

    async def _connect(self) -> mysql_connection.Connection:
        return await mysql_connection.Connection.open(**self._connection_options)


def _write(work: db.Work[T], connection: sa.Connection) -> T:
    _set_mode(connection, autocommit=False, limit_s=None)
    try:
        connection.begin()
        result = work(connection)
        mysql_connection.flush(connection)
        failpoints.hit("db.before_commit")
        connection.commit()
    except Exception:
        _roll_back(connection)
        raise
    except BaseException:
        connection.invalidate()  # cancelled: the answer that it waited for is never read
        raise
    failpoints.hit("db.after_commit")
    return result


def _look_up(work: db.Work[T], limit_s: float, connection: sa.Connection) -> T:
    _set_mode(connection, autocommit=True, limit_s=limit_s)
    try:
        return work(connection)
    except asyncio.CancelledError:
        connection.invalidate()
        raise


def _read(work: db.Work[T], limit_s: float, connection: sa.Connection) -> T:
    _set_mode(connection, autocommit=True, limit_s=limit_s)
    try:
        _ask(connection, "begin_snapshot")
        result = work(connection)
        _ask(connection, "commit")
    except Exception:
        _roll_back(connection)
        raise
    except BaseException:
        connection.invalidate()
        raise
    return result


def _set_mode(connection: sa.Connection, *, autocommit: bool, limit_s: float | None) -> None:
    """Switch only if needed: a process that only writes, or whose reads are alike, never has to.

    A transaction that writes has no limit of this kind: its statements may wait for locks.
    """
    driver: Any = connection.connection.driver_connection
    if driver.mode != (autocommit, limit_s):
        _ask(connection, "set_mode", autocommit=autocommit, limit_s=limit_s)


def _ask(connection: sa.Connection, method: str, **arguments: object) -> None:
    """Await a method of the driver's own connection."""
    own: Any = connection.connection.dbapi_connection
    own.run_async(lambda driver: getattr(driver, method)(**arguments))


def _roll_back(connection: sa.Connection) -> None:
    """Roll back; a connection that cannot even do that is dropped."""
    try:
        _ask(connection, "rollback")
    except (sa.exc.SQLAlchemyError, aiomysql.Error):
        connection.invalidate()


def _prepare(own: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
    """Set up a session as Souk needs it, after SQLAlchemy's own set-up."""
    try:
        check_version(own.driver_connection.server_version)
        for statement in SESSION:
            own.run_async(lambda driver, statement=statement: driver.query(statement))
    except BaseException:
        own.driver_connection.close()
        raise


def _require_connection(own: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - the driver's
    """Have the pool open another connection if the server has closed this one."""
    if own.driver_connection.is_lost:
        raise sa.exc.DisconnectionError


def _as_integrity_error(context: sa.engine.ExceptionContext) -> None:
    error = mysql_errors.as_integrity(context.original_exception)
    if error is not None:
        raise sa.exc.IntegrityError(context.statement, None, error, hide_parameters=True)


def check_version(text: str) -> None:
    """Raise Misconfigured when the server is older than Souk needs."""
    product = "MariaDB" if "MariaDB" in text else "MySQL"
    pattern = r"(\d+)\.(\d+)\.(\d+)" + ("-MariaDB" if product == "MariaDB" else "")
    match = re.search(pattern, text)
    if match is None or tuple(map(int, match.groups())) < OLDEST[product]:
        wanted = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in OLDEST.items())
        what = f"SOUK_MYSQL__HOST: the server is {text}; Souk needs {wanted} or newer"
        raise errors.Misconfigured(what)


def _connection_options(options: settings.MysqlSettings) -> dict[str, Any]:
    return {
        "host": options.host,
        "port": options.port,
        "user": options.user,
        "password": _password(options),
        "db": options.database,
        "ssl": _tls(options),
        "charset": "utf8mb4",
        "autocommit": None,
        "program_name": "souk",
        "connect_timeout_s": options.connect_timeout_s,
        "statement_timeout_s": options.statement_timeout_s,
    }


def _password(options: settings.MysqlSettings) -> str:
    if options.password_file is None:
        return options.password.get_secret_value()
    try:
        return options.password_file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        what = f"SOUK_MYSQL__PASSWORD_FILE: {options.password_file} cannot be read: {error}"
        raise errors.Misconfigured(what) from error


def _tls(options: settings.MysqlSettings) -> ssl.SSLContext | None:
    if options.tls_ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=options.tls_ca_file)
    except OSError as error:
        what = f"SOUK_MYSQL__TLS_CA_FILE: {options.tls_ca_file} cannot be used: {error}"
        raise errors.Misconfigured(what) from error
