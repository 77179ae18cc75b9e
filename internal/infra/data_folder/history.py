"""The history of a data folder, in a small file beside the database.

An empty, older or foreign database in a used folder looks like a new one to SQLite. This file
tells it apart: the names of the databases that were there, the newest message of the bus, and
whether the engine closed them. It must never claim more than the databases have on the disk.
"""

import os
from pathlib import Path

import msgspec

from internal.infra.data_folder import files, private

SIZE_BYTES = 512
"""One sector, so that it is written whole or not at all."""


class History(msgspec.Struct, frozen=True):
    """The known facts about a folder."""

    databases: tuple[str, ...]
    """Names of the database files that were there."""
    messages: int
    """The number of the newest message that the bus had stored, or of an earlier one."""
    is_closed: bool
    """The last engine has closed its databases."""


def read(folder: Path) -> History | None:
    """Return a folder's history; None in a new folder, and where the file cannot be understood.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / files.HISTORY).read_bytes().rstrip(), type=History)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


class Writer:
    """Writes the history while an engine runs: in place, so that a full disk does not matter."""

    def __init__(self, folder: Path, history: History) -> None:
        """Open the file, and write the history down to the disk.

        Raises:
            OSError: it cannot be written.
        """
        self._last = history
        path = folder / files.HISTORY
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE_MODE)
        self._write(history)
        os.fsync(self._descriptor)
        private.sync(folder)

    def stored(self, messages: int) -> None:
        """Note the newest message that the database has on the disk.

        Raises:
            OSError: it cannot be written.
        """
        if messages != self._last.messages:
            self._write(msgspec.structs.replace(self._last, messages=messages))

    def closed(self) -> None:
        """Note that the databases are closed.

        Raises:
            OSError: it cannot be written.
        """
        self._write(msgspec.structs.replace(self._last, is_closed=True))
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, history: History) -> None:
        text = msgspec.json.encode(history)
        os.pwrite(self._descriptor, text.ljust(SIZE_BYTES), 0)
        self._last = history
