"""A backup's folder: one SQLite file for each of the engine's, and a list with their digests.

Must not know how the files were copied, or what a running engine is.
"""

import hashlib
from pathlib import Path

import msgspec

from internal.infra.data_folder import files, private
from internal.infra.sqlite import integrity
from internal.kernel import errors

CHUNK_BYTES = 1_048_576


class Part(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size_bytes: int
    sha256: str


class Contents(msgspec.Struct, frozen=True):
    """The contents of a backup."""

    made_at: str
    """RFC 3339, UTC: the moment whose orders are all in it."""
    tables: str
    """Version of the tables."""
    orders: int
    check_ok: bool | None
    """Every invariant holds in it; None if that was not checked."""
    parts: tuple[Part, ...]


def part_of(path: Path) -> Part:
    """Return the size and digest of a file that no process has open.

    Raises:
        OSError: it cannot be read.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return Part(path.name, size_bytes, digest.hexdigest())


def write(folder: Path, contents: Contents) -> None:
    """Write the list, last of all, down to the disk.

    Raises:
        OSError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(contents), indent=2).decode()
    private.write_new(folder / files.BACKUP, f"{text}\n")
    private.sync(folder)


def read(folder: Path) -> Contents:
    """Read a backup's list.

    Raises:
        Misconfigured: the folder is not a backup.
    """
    try:
        return msgspec.json.decode((folder / files.BACKUP).read_bytes(), type=Contents)
    except (OSError, msgspec.MsgspecError) as error:
        raise errors.Misconfigured(
            f"{folder} is not a backup of `souk backup`: {files.BACKUP} in it cannot be read"
        ) from error


def require_whole(folder: Path, part: Part) -> None:
    """Check that a file of a backup, or a copy of it, is what the backup's list says.

    Raises:
        DatabaseDamaged: it is missing, changed or damaged.
        OSError: it cannot be read.
    """
    path = folder / part.name
    if not path.is_file():
        raise errors.DatabaseDamaged(f"{path} is missing: restore another backup")
    if part_of(path) != part:
        raise errors.DatabaseDamaged(
            f"{path} is not as `souk backup` wrote it: restore another backup"
        )
    with integrity.opened(path, is_read_only=True) as connection:
        integrity.require_whole(connection, path)


def as_values(contents: Contents) -> dict[str, object]:
    """Return a backup's list as JSON's values."""
    values: dict[str, object] = msgspec.to_builtins(contents)
    return values
