"""Guards an embedded engine's data folder: damage, loss and older copies stop the start.

A used folder never becomes a new shop. Must not change a database.
"""

import asyncio
import sqlite3
from pathlib import Path

from loguru import logger

from internal.infra import db, files, schema, settings
from internal.infra.data_folder import history
from internal.infra.embedded_bus import store
from internal.infra.sqlite import integrity, meaning
from internal.kernel import errors
from internal.payments.gateways import registry

KEEP_EVERY_S = 1.0
"""How often the newest message is noted: an older database is told by it."""
USED = "this folder's engine has used it before"


class FolderGuard:
    """One folder, from before its databases are opened until after they are closed."""

    def __init__(self, options: settings.Settings) -> None:
        self._folder = options.storage.data_dir
        self._database = self._folder / files.DATABASE
        ledger = registry.ledger_file(options)
        self._files = [self._database, *([ledger] if ledger else [])]
        self._writer: history.Writer | None = None

    def require_usable(self) -> None:
        """Check the databases of a used folder; a new folder has none.

        Raises:
            DatabaseDamaged: one is damaged, missing, empty, or older than it was.
            DatabaseAway: one cannot be opened.
            Misconfigured: the tables are from a newer Souk.
        """
        known = history.read(self._folder)
        names = known.databases if known else self._names_without_history()
        for name in names:
            integrity.require_file(self._folder / name, USED)
        if integrity.is_missing(self._database):
            return
        for file in self._files:
            if not integrity.is_missing(file):
                integrity.check(file, is_thorough=known is None or not known.is_closed)
        with integrity.opened(self._database) as connection:
            self._require_tables(connection, is_used=bool(names))
            if known:
                self._require_newest(connection, known)
        if known:
            self._writer = history.Writer(
                self._folder, history.History(known.databases, known.messages, is_closed=False)
            )

    async def begin(self, database: db.Database) -> None:
        """Note that the databases are there now, and open.

        Raises:
            OSError: the folder cannot be written.
            DatabaseAway: the newest message cannot be read.
        """
        newest = await database.read(store.newest)
        names = tuple(file.name for file in self._files if file.is_file())
        self._close_writer()
        self._writer = history.Writer(
            self._folder, history.History(names, newest, is_closed=False)
        )

    async def keep(self, database: db.Database) -> None:
        """Note the newest message again and again.

        Raises:
            DatabaseDamaged: the database is damaged.
        """
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            try:
                newest = await database.read(store.newest, is_quick=True)
                if self._writer:
                    self._writer.stored(newest)
            except (errors.DatabaseAway, OSError) as error:
                logger.bind(seldom="history").warning("the newest message is not noted: {}", error)

    def end(self, *, is_well: bool) -> None:
        """Note that the databases are closed, unless the engine has failed."""
        try:
            if self._writer and is_well:
                self._writer.closed()
        except OSError as problem:
            logger.warning("the end is not noted: {}", problem)
        self._close_writer()

    def _close_writer(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _names_without_history(self) -> list[str]:
        """Return the databases that must be there in a folder of an older Souk."""
        traces = (self._folder / files.DEMO_KEY, *self._files[1:], _log_of(self._database))
        is_used = any(not integrity.is_missing(trace) for trace in traces)
        return [files.DATABASE] if is_used else []

    def _require_tables(self, connection: sqlite3.Connection, *, is_used: bool) -> None:
        found = integrity.value(connection, "alembic_version", "version_num")
        if found is None and is_used:
            raise errors.DatabaseDamaged(
                f"{self._database} has lost its tables, and {USED}: its -wal was removed; put it"
                f" back, or `souk restore` a backup into a new folder; {meaning.RUNBOOK}"
            )
        if found is not None and found not in schema.versions():
            raise errors.Misconfigured(f"{self._database}: {schema.other_version(str(found))}")

    def _require_newest(self, connection: sqlite3.Connection, known: history.History) -> None:
        found = integrity.value(connection, "sqlite_sequence", "seq", "name = 'bus_messages'")
        found = found if isinstance(found, int) else 0
        if found < known.messages:
            raise errors.DatabaseDamaged(
                f"{self._database} is older than it was (message {found}, {known.messages} before):"
                " its -wal was removed, or this is an old copy. Put back the newest one with its"
                f" -wal, or `souk restore` into a new folder; {meaning.RUNBOOK}"
            )


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
