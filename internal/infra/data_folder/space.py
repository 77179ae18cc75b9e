"""Free space on the data folder's disk: at the start, and as a metric."""

import shutil
from collections.abc import Callable
from pathlib import Path

from internal.infra import metrics
from internal.infra.data_folder import files
from internal.kernel import errors

MIB = 1_048_576
NEEDED_MIB = 16
"""Migrations, the log before the database and the engine's own log need this much to begin with."""
WANTED_MIB = 512
"""The log before the database grows to 64 MiB, and is copied into a database that grows too."""


def free_bytes(folder: Path) -> int:
    """Return how much this user can still write there.

    Raises:
        OSError: the folder cannot be read.
    """
    return shutil.disk_usage(folder).free


def require(folder: Path) -> str | None:
    """Return a warning if little space is left, None if there is enough.

    Raises:
        Misconfigured: there is too little to start.
        OSError: as for free_bytes.
    """
    free_mib = free_bytes(folder) // MIB
    if free_mib < NEEDED_MIB:
        raise errors.Misconfigured(
            f"the disk of {folder} is full: {free_mib} MiB free, {NEEDED_MIB} MiB are needed to"
            " start; free some, nothing in the folder itself may be deleted"
        )
    if free_mib < WANTED_MIB:
        return f"only {free_mib} MiB are free on the disk of {folder}; {WANTED_MIB} MiB are advised"
    return None


def measure(folder: Path) -> None:
    """Serve both sizes as metrics of this process."""
    wal = folder / f"{files.DATABASE}-wal"
    metrics.DATA_FREE_BYTES.set_function(lambda: _or_zero(free_bytes, folder))
    metrics.WAL_BYTES.set_function(lambda: _or_zero(lambda it: it.stat().st_size, wal))


def _or_zero(size: Callable[[Path], int], path: Path) -> float:
    try:
        return size(path)
    except OSError:
        return 0.0
