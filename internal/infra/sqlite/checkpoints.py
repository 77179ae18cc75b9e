"""Decides when the write-ahead log is copied into the database file, besides SQLite's own limit.

SQLite copies at a size alone, which is large here for speed. So a quiet engine would keep hours of
orders in the log only, and a small disk would fill up with it. Belongs to the writer's thread.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from loguru import logger

from internal.infra.data_folder import space

LIMIT_PAGES = 16_000
"""SQLite copies the log every 64 MiB: measured a tenth faster than with its own 4 MiB, because a
page that changes often is copied once.
"""
KEPT_BYTES = 64 * 1_048_576
"""The log file is cut to this size when it is begun anew after a peak."""
IDLE_S = 2.0
"""The log is copied and emptied when nothing has been written for so long."""
OLDEST_S = 10.0
"""Under a slow stream of orders, none of them is in the log alone for longer than this."""
SHORT_BYTES = 4 * KEPT_BYTES
"""With less free space than this, the log may only take a part of what is left."""
SHARE = 4
"""That part: one in this many bytes. The copy itself makes the database file grow."""
READERS_MS = 50
"""The log can only be emptied while no reader needs it; reads take a few milliseconds."""
LOOK_S = 0.2
"""How often the free space is looked at."""


class Checkpoints:
    """What the log holds that the database file does not. Times are the monotonic clock's."""

    def __init__(
        self,
        path: Path,
        now_s: Callable[[], float] = time.monotonic,
        free_bytes: Callable[[Path], int] = space.free_bytes,
    ) -> None:
        self._folder, self._log = path.parent, Path(f"{path}-wal")
        self._now_s, self._free_bytes = now_s, free_bytes
        self._oldest_s: float | None = None
        self._looked_s = 0.0

    @property
    def idle_s(self) -> float | None:
        """How long to wait for a transaction before `idle`; None if there is nothing to copy."""
        return None if self._oldest_s is None else IDLE_S

    def committed(self, raw: sqlite3.Connection) -> None:
        """Copy the log if it is old, or large for the space that is left; after each commit."""
        now_s = self._now_s()
        self._oldest_s = now_s if self._oldest_s is None else self._oldest_s
        if now_s - self._oldest_s >= OLDEST_S:
            self._copy(raw, "PASSIVE")
        elif now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            if self._is_large():
                self._copy(raw, "TRUNCATE")

    def failed(self, raw: sqlite3.Connection) -> None:
        """Copy the log if the disk is about full, so that the next transaction may have room."""
        with contextlib.suppress(OSError):
            if self._free_bytes(self._folder) < SHORT_BYTES:
                self._copy(raw, "TRUNCATE")

    def idle(self, raw: sqlite3.Connection) -> None:
        """Copy and empty the log; nothing was written for IDLE_S."""
        self._copy(raw, "TRUNCATE")

    def _is_large(self) -> bool:
        try:
            free_bytes = self._free_bytes(self._folder)
            return free_bytes < SHORT_BYTES and self._log.stat().st_size > free_bytes // SHARE
        except OSError:
            return False

    def _copy(self, raw: sqlite3.Connection, mode: str) -> None:
        """Copy what no reader still needs; a failure leaves the log as it is, which is safe."""
        self._oldest_s = None
        try:
            with _waiting_shortly(raw):
                raw.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.Error as error:
            self._oldest_s = self._now_s()
            logger.bind(seldom="checkpoint").warning("the log is not copied: {e!r}", e=error)


@contextlib.contextmanager
def _waiting_shortly(raw: sqlite3.Connection) -> Iterator[None]:
    """Wait for readers no longer than a transaction may wait for this copy."""
    (before_ms,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout={READERS_MS}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout={before_ms}")
