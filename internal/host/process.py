"""The limits of the engine's process: enough descriptors, a standard error that stays small.

Standard error usually goes to a file without rotation, on the disk of the database. So what
Python's own logging would write there goes to Souk's log, and the file is emptied when it is large.
"""

import asyncio
import contextlib
import logging
import os
import resource
import stat

import grpc.aio
from loguru import logger

STANDARD_ERROR = 2
STANDARD_ERROR_BYTES_MAX = 64 * 1024 * 1024
LOOK_EVERY_S = 5.0
DESCRIPTORS_WANTED = 65_536
DESCRIPTORS_KEPT = 256
"""For files, the database, the broker and metrics: connections never get the last ones."""


class _ToSoukLog(logging.Handler):
    """Passes Python's own log lines on."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        level = "DEBUG" if _tells_of_a_lost_caller(record) else record.levelname
        logger.opt(exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())


def _tells_of_a_lost_caller(record: logging.LogRecord) -> bool:
    """Tell whether gRPC only says that it could not send an answer: its caller has gone."""
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, grpc.aio.BaseError)


def prepare() -> None:
    """Raise the limit on descriptors as far as this user may, and take over Python's own log."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    logging.basicConfig(handlers=[_ToSoukLog()], level=logging.WARNING, force=True)


def connections_max(wanted: int) -> int:
    """Return how many connections may be open: as many as wanted, if the descriptors are enough."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - DESCRIPTORS_KEPT))


async def keep_standard_error_small(bytes_max: int = STANDARD_ERROR_BYTES_MAX) -> None:
    """Empty the file behind standard error whenever it is too large, until cancelled."""
    while True:
        shorten(STANDARD_ERROR, bytes_max)
        await asyncio.sleep(LOOK_EVERY_S)


def shorten(descriptor: int, bytes_max: int) -> None:
    """Empty a file that is larger than this. A terminal, a pipe or a lost file is left alone."""
    with contextlib.suppress(OSError):
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size > bytes_max:
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            logger.warning("standard error had {} bytes and was emptied", found.st_size)
