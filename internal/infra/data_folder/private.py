"""Folders and files that only their owner can use, whatever the process's umask is.

Must not touch files that Souk did not make: a data folder may be anything that somebody named.
"""

import contextlib
import os
import stat
from pathlib import Path

from internal.infra.data_folder import files

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
"""The bits of a mode that let the group and others in."""
UMASK = 0o077
"""For processes whose libraries make files by themselves."""


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, or close an existing one to others.

    A folder of another owner and one with the sticky bit, such as /tmp, stay as they are.

    Raises:
        OSError: it cannot be made, or is not a folder.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    found = folder.stat()
    is_shared = found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX
    if found.st_mode & OTHERS and not is_shared:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def close_files(folder: Path) -> None:
    """Take the rights of others from the engine's files in a folder, as an older Souk left them.

    Raises:
        OSError: one cannot be changed.
    """
    for file in folder.iterdir():
        found = file.lstat()
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if is_ours and found.st_mode & OTHERS and file.name.startswith(files.PRIVATE):
            file.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def opener(path: str, flags: int) -> int:
    """Open a file as open() does, a new one for its owner only: for open(…, opener=opener)."""
    return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)


def make_file(file: Path) -> None:
    """Make an empty file unless there is one. SQLite gives its mode to the files beside it.

    An existing file is not opened: closing it would release the locks of this process's own
    connections. Source: "How To Corrupt An SQLite Database File", 2.2.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))


def write_new(file: Path, text: str) -> None:
    """Write a file that must not exist yet, down to the disk.

    Raises:
        FileExistsError: there is one; it stays as it is.
        OSError: it cannot be written.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
