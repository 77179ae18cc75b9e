"""Cuts connections whose callers do not read their answers, which gRPC's library cannot do itself.

An answer is in memory, and its call counts as open, until the caller has read it. A cut connection
is shut at its socket; the library then ends the calls on it.
"""

import asyncio
import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from loguru import logger

from internal.api import metrics

LOOK_EVERY_S = 1.0
COUNT_EVERY_S = 5.0
DESCRIPTORS = Path("/dev/fd")

Cut = Callable[[str], None]
"""Shuts the connection of this name; called in a thread."""


class SlowReaders:
    """The answers on their way, and the connections where one has been for too long."""

    def __init__(
        self, unread_s: float, cut: Cut, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the longest time that an answer may be on its way."""
        self._unread_s, self._cut, self._now_s = unread_s, cut, now_s
        self._unsent: dict[int, tuple[float, str]] = {}  # the oldest first
        self._answers = 0

    async def run(self) -> None:
        """Cut them, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Cut the connections where an answer is late now."""
        for connection in self._late():
            metrics.CONNECTIONS_CUT.inc()
            logger.info("connection {} is cut: answers on it are not read", connection)
            await asyncio.to_thread(self._cut, connection)

    def answered(self, connection: str) -> Callable[[], None]:
        """Note that an answer is on its way; return the function to call once it is sent."""
        self._answers += 1
        key = self._answers
        self._unsent[key] = (self._now_s(), connection)

        def sent() -> None:
            self._unsent.pop(key, None)

        return sent

    def _late(self) -> set[str]:
        """Return the connections with a late answer, once: those answers are forgotten."""
        oldest_s = self._now_s() - self._unread_s
        late: dict[int, str] = {}
        for key, (answered_s, connection) in self._unsent.items():
            if answered_s > oldest_s:
                break
            late[key] = connection
        for key in late:
            del self._unsent[key]
        return set(late.values())


async def keep_counted(port: int) -> None:
    """Tell the metrics how many connections are open on a port, until cancelled."""
    while True:
        metrics.CONNECTIONS.set(await asyncio.to_thread(count, port))
        await asyncio.sleep(COUNT_EVERY_S)


def count(port: int) -> int:
    """Count the connections of this process that came in on a port."""
    return sum(local == port for _, local, _ in _connected())


def shut(connection: str) -> None:
    """Shut the socket of this process that is connected to a peer of gRPC's form.

    Args:
        connection: such as `ipv4:192.0.2.1:50000` or `ipv6:%5B2001:db8::1%5D:50000`.
    """
    _, _, wanted = unquote(connection).partition(":")
    for candidate, _, peer in _connected():
        host, port = peer
        plain = host.removeprefix("::ffff:")
        if wanted in {f"{host}:{port}", f"[{host}]:{port}", f"{plain}:{port}"}:
            candidate.shutdown(socket.SHUT_RDWR)


def _connected() -> Iterator[tuple[socket.socket, int, tuple[str, int]]]:
    """Yield the connected sockets of this process, with their own port and their peer.

    Descriptors are looked at and never closed here: they belong to others, and closing one of a
    database's file would give up the locks on it.
    """
    for descriptor in [int(entry.name) for entry in DESCRIPTORS.iterdir()]:
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            candidate = socket.socket(fileno=descriptor)
            try:
                if candidate.family in {socket.AF_INET, socket.AF_INET6}:
                    host, port = candidate.getpeername()[:2]
                    yield candidate, candidate.getsockname()[1], (host, port)
            finally:
                candidate.detach()
