"""A Pulsar that is not there, and an admin API that always gives the same answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from internal.infra import settings

NOWHERE = settings.PulsarSettings(
    service_url="pulsar://127.0.0.1:1",
    admin_url="http://127.0.0.1:1",
    operation_timeout_s=0.5,
    send_timeout_s=1,
)
"""No process listens on that port."""

TOPICS = settings.TopicSettings()

TIMEOUT_S = 10.0


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[settings.PulsarSettings]:
    """Serve an admin API that answers every request alike."""
    head = f"HTTP/1.1 {status} What\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield NOWHERE.model_copy(update={"admin_url": f"http://127.0.0.1:{port}"})
