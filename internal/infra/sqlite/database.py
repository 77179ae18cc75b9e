"""SQLite behind the database port: one file in WAL mode, one writer, a few readers.

It must not know how transactions share a commit: see group_commit.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from internal.infra import db, retry
from internal.infra.data_folder import private
from internal.infra.sqlite import checkpoints, group_commit, meaning
from internal.kernel import errors

T = TypeVar("T")

SQLITE_OLDEST = (3, 35, 0)
"""Bound values up to 32,766 came with 3.32, UPDATE … FROM with 3.33; versions before 3.35 were
never tried.
"""
LOOK_EVERY_STEPS = 10_000
"""A read with a limit looks at the clock after this many of SQLite's steps: about 0.2 ms."""
PREPARED_STATEMENTS_MAX = 1_024
"""Per connection: every bulk statement in each of its chunk sizes, some 50 times 20."""


class SqliteDatabase:
    """One file in WAL mode: one writer, a few readers that never wait for it."""

    def __init__(
        self,
        path: Path,
        *,
        readers: int = 2,
        busy_timeout_ms: int = 5_000,
        synchronous: str = "FULL",
        cache_mib: int = 16,
    ) -> None:
        check_sqlite_version(sqlite3.sqlite_version_info)
        self._path = path
        self._pragmas = (
            f"PRAGMA busy_timeout={busy_timeout_ms}",
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={synchronous}",
            f"PRAGMA cache_size=-{cache_mib * 1024}",
            "PRAGMA foreign_keys=OFF",
            "PRAGMA temp_store=MEMORY",
            f"PRAGMA wal_autocheckpoint={checkpoints.LIMIT_PAGES}",
            f"PRAGMA journal_size_limit={checkpoints.KEPT_BYTES}",
        )
        self.engine = sa.create_engine(
            f"sqlite+pysqlite:///{path}",
            poolclass=NullPool,
            connect_args={
                "cached_statements": PREPARED_STATEMENTS_MAX,
                "check_same_thread": False,  # the writer's connection is handed over: see there
            },
            hide_parameters=True,  # an error's text goes into logs and dead letters
        )
        sa.event.listen(self.engine, "connect", self._prepare)
        self._local = threading.local()
        self._connections: list[sa.Connection] = []
        self._lock = threading.Lock()
        self._writer = group_commit.Writer(self._connection, checkpoints.Checkpoints(path))
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="db-reader")

    async def write(self, work: db.Work[T], *, is_quick: bool = False) -> T:
        """See Database.write. Transactions that wait at the same time share a commit."""
        return await _tried(self._path, lambda: self._writer.submit(work, is_quick=is_quick))

    async def read(
        self, work: db.Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        """See Database.read. A quick read costs less here than a switch to another thread.

        The limit is one for all statements of the read together.
        """
        if is_quick:
            return await _tried(self._path, lambda: _at_once(partial(self._read, work, limit_s)))
        run = asyncio.get_running_loop().run_in_executor
        return await _tried(self._path, lambda: run(self._readers, self._read, work, limit_s))

    async def close(self) -> None:
        """See Database.close."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.invalidate()
            connection.close()
        self.engine.dispose()

    def _read(self, work: db.Work[T], limit_s: float | None) -> T:
        connection = self._connection()
        raw: Any = connection.connection.dbapi_connection
        if limit_s is not None:
            until_s = time.monotonic() + limit_s
            raw.set_progress_handler(lambda: time.monotonic() > until_s, LOOK_EVERY_STEPS)
        try:
            raw.execute("BEGIN")
            return work(connection)
        finally:
            raw.set_progress_handler(None, 0)
            raw.execute("ROLLBACK")

    def _connection(self) -> sa.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            with contextlib.suppress(OSError):  # SQLite says better what is wrong with the path
                private.make_file(self._path)
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _prepare(self, raw: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own connection
        cursor = raw.cursor()
        for pragma in self._pragmas:
            cursor.execute(pragma)
        cursor.close()


async def _at_once(work: Callable[[], T]) -> T:
    return work()


async def _tried(path: Path, operation: Callable[[], Awaitable[T]]) -> T:
    """Retry errors that may pass, for about a second.

    Raises:
        DatabaseAway: the error did not pass.
        DatabaseDamaged: the file is damaged, or is not a database.
    """

    async def once() -> T:
        try:
            return await operation()
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            known = meaning.of_error(error, path)
            if known is None:
                raise
            raise known from error

    return await retry.shortly(errors.DatabaseAway, once)


def check_sqlite_version(version: tuple[int, ...]) -> None:
    """Raise Misconfigured when Python's SQLite is too old for the SQL that Souk uses."""
    if version < SQLITE_OLDEST:
        wanted, found = (".".join(map(str, v)) for v in (SQLITE_OLDEST, version))
        raise errors.Misconfigured(f"Python's sqlite3 is {found}; Souk needs {wanted} or newer")
