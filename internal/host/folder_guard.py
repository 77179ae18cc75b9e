"""Guards an embedded engine's data folder: damage, loss and older copies stop the start.

A used folder never becomes a new shop. Must not change a database.
"""

import asyncio

from loguru import logger

from internal.infra import db, settings
from internal.infra.data_folder import files, history
from internal.infra.embedded_bus import store
from internal.infra.sqlite import used_folder
from internal.kernel import errors
from internal.payments.gateways import registry

KEEP_EVERY_S = 1.0
"""How often the newest message is noted: an older database is told by it."""


class FolderGuard:
    """One folder, from before its databases are opened until after they are closed."""

    def __init__(self, options: settings.Settings) -> None:
        self._folder = options.storage.data_dir
        ledger = registry.ledger_file(options)
        self._files = [self._folder / files.DATABASE, *([ledger] if ledger else [])]
        self._writer: history.Writer | None = None

    def require_usable(self) -> None:
        """Check the databases of a used folder; a new folder has none.

        Raises:
            DatabaseDamaged: one is damaged, missing, empty, or older than it was.
            DatabaseAway: one cannot be opened.
            Misconfigured: the tables are from a newer Souk.
        """
        known = used_folder.require_usable(self._folder, self._files[1:])
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
        self._writer = history.Writer(self._folder, history.History(names, newest, is_closed=False))

    async def keep(self, database: db.Database) -> None:
        """Note the newest message again and again.

        Raises:
            DatabaseDamaged: the database is damaged.
        """
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await self.note(database)

    async def note(self, database: db.Database) -> None:
        """Note the newest message; a database or disk that is away does not matter.

        Raises:
            DatabaseDamaged: the database is damaged.
        """
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
