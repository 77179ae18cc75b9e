"""A wire between a client and a server that can be cut, or go silent in mid-sentence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Wire:
    """Forwards bytes both ways. When it `is_silent` nothing comes through: nobody hangs up."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.port = 0
        self.is_silent = False
        self.swallow_after: bytes | None = None
        """The first answer after these bytes were sent is lost, and the wire with it."""

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        there, back = await asyncio.open_connection(*self._to)
        self._writers |= {writer, back}
        lost = asyncio.Event()
        for source, target, is_answer in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._pump(source, target, lost, is_answer=is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        lost: asyncio.Event,
        *,
        is_answer: bool,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if self.is_silent:
                    continue
                if is_answer and lost.is_set():
                    self.cut()
                    return
                if not is_answer and self.swallow_after and self.swallow_after in data:
                    self.swallow_after = None
                    lost.set()
                target.write(data)
            target.close()

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        """Cut everything, and end."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def stretched(host: str, port: int) -> AsyncIterator[Wire]:
    """Stretch a wire to there from a free port of this machine."""
    wire = Wire(host, port)
    server = await asyncio.start_server(wire.forward, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()
