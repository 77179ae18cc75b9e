"""A proxy between a Pulsar client and its broker, which closes producers while they are made.

A broker does that when a topic moves twice in a short time: it sends CLOSE_PRODUCER and then
PRODUCER_SUCCESS for the same producer. Here the first of the two is the proxy's, so that it comes
at the right moment each time.
Source of the format: pulsar-client-cpp, proto/PulsarApi.proto; a frame is its size, the size of its
command, the command, and a payload.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import urlsplit

from internal.infra import settings

SIZE_BYTES = 4
PRODUCER, CLOSE_PRODUCER = 5, 15
TYPE, PRODUCER_FIELD, PRODUCER_ID = 1, 5, 2
BYTES = 2
"""The wire type of a text, bytes or a message within a message."""
HOST = "127.0.0.1"


class Proxy:
    """Passes everything on; the next `closes` producers are closed while they are made."""

    def __init__(self, broker: tuple[str, int], closes: int) -> None:
        self.closes = closes
        self._broker = broker
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Listen; yield the port."""
        async with await self._server() as server:
            (listening, *_) = server.sockets
            self._port = listening.getsockname()[1]
            yield self._port
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _server(self) -> asyncio.Server:
        """Listen on a port whose name is as long as the broker's, which it stands in for."""
        port = self._broker[1] + 1
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.start_server(self._connected, HOST, port)
            port += 1

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        broker, to_broker = await asyncio.open_connection(*self._broker)
        ways = (self._requests(client, to_broker, to_client), self._answers(broker, to_client))
        for way in ways:
            self._tasks.add(asyncio.create_task(_until_closed(way, to_broker, to_client)))

    async def _requests(
        self,
        client: asyncio.StreamReader,
        to_broker: asyncio.StreamWriter,
        to_client: asyncio.StreamWriter,
    ) -> None:
        while True:
            frame = await _frame(client)
            command = dict(_fields(_command_of(frame)))
            if command[TYPE] == PRODUCER and self.closes:
                self.closes -= 1
                made = dict(_fields(command[PRODUCER_FIELD]))
                to_client.write(_close_producer(made[PRODUCER_ID]))
            to_broker.write(frame)

    async def _answers(self, broker: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Pass on; where the broker names its own address, name ours."""
        theirs, ours = (f":{port}".encode() for port in (self._broker[1], self._port))
        while True:
            to_client.write((await _frame(broker)).replace(theirs, ours))


@contextlib.asynccontextmanager
async def closing_producers(
    options: settings.PulsarSettings, closes: int
) -> AsyncIterator[settings.PulsarSettings]:
    """Run a proxy; yield the settings with which a client goes through it."""
    broker = urlsplit(options.service_url)
    proxy = Proxy((broker.hostname or "", broker.port or 0), closes)
    async with proxy.running() as port:
        yield options.model_copy(update={"service_url": f"pulsar://{HOST}:{port}"})
    assert not proxy.closes


async def _until_closed(way: Awaitable[None], *both: asyncio.StreamWriter) -> None:
    """Pass on in one direction; when that ends, so does the other."""
    try:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await way
    finally:
        for writer in both:
            writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(SIZE_BYTES)
    return size + await reader.readexactly(int.from_bytes(size))


def _command_of(frame: bytes) -> bytes:
    start = 2 * SIZE_BYTES
    return frame[start : start + int.from_bytes(frame[SIZE_BYTES:start])]


def _close_producer(producer_id: int) -> bytes:
    closing = bytes([PRODUCER_ID - 1 << 3, producer_id, 2 << 3, 0])
    tag = bytes([CLOSE_PRODUCER << 3 | BYTES])
    command = bytes([TYPE << 3, CLOSE_PRODUCER]) + tag + bytes([len(closing)]) + closing
    sized = len(command).to_bytes(SIZE_BYTES) + command
    return len(sized).to_bytes(SIZE_BYTES) + sized


def _fields(message: bytes) -> list[tuple[int, Any]]:
    """Return (field, value) of an encoded message: int or bytes, the only kinds these have."""
    found: list[tuple[int, Any]] = []
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, place = _varint(message, place)
        if tag & 7 == BYTES:
            found.append((tag >> 3, message[place : place + number]))
            place += number
        else:
            found.append((tag >> 3, number))
    return found


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
