"""The lock of a data folder: two engines on one file would process every message twice."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from internal.infra.data_folder import files, private
from internal.kernel import errors


@contextlib.contextmanager
def held(folder: Path, *, is_alone: bool) -> Iterator[None]:
    """Make the folder, close it to other users, and lock it.

    Args:
        folder: the data folder.
        is_alone: whether no other process may hold the lock; else those that share it may.

    Raises:
        Misconfigured: an engine holds it, or the folder cannot be used.
    """
    try:
        private.make_folder(folder)
        private.close_files(folder)
        descriptor = private.opener(str(folder / files.LOCK), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise errors.Misconfigured(f"the data folder {folder} cannot be used: {error}") from error
    with os.fdopen(descriptor, "w") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            what = f"another engine is running on the data folder {folder}"
            raise errors.Misconfigured(what) from None
        yield
