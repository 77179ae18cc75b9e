"""A client that reads one order at a steady pace, and times the answers."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from internal.client import client

CALLS_PER_S = 50
CALL_S = 30.0
P99 = 0.99
MS = 1_000


class Figures(msgspec.Struct, frozen=True):
    """The answers in a stretch of time."""

    ok: int
    failed: dict[str, int]
    """By code and reason."""
    p99_ms: float

    @property
    def untyped(self) -> int:
        """Failures without a reason."""
        return sum(count for name, count in self.failed.items() if " " not in name)


class GoodClient:
    """Calls at its own pace, however long the answers take."""

    def __init__(self, connection: client.Client, order_id: str) -> None:
        """Take the order to read."""
        self._client, self._order_id = connection, order_id
        self._begin()

    def _begin(self) -> None:
        self._took_ms: list[float] = []
        self._failed: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Call until the context is left, and wait for all answers."""
        self._begin()
        stop = asyncio.Event()
        calling = asyncio.create_task(self._call(stop))
        try:
            yield
        finally:
            stop.set()
            await calling

    def figures(self) -> Figures:
        """Return the result of the last work."""
        took = sorted(self._took_ms)
        p99 = took[min(len(took) - 1, int(len(took) * P99))] if took else 0.0
        failed = self._failed.total()
        return Figures(len(took) - failed, dict(self._failed), p99)

    async def _call(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as calls:
            while not stop.is_set():
                calls.create_task(self._call_once())
                await asyncio.sleep(1 / CALLS_PER_S)

    async def _call_once(self) -> None:
        began_s = time.perf_counter()
        answer = await self._client.get(self._order_id, CALL_S)
        self._took_ms.append((time.perf_counter() - began_s) * MS)
        if isinstance(answer, client.Failure):
            self._failed[f"{answer.code} {answer.reason}".rstrip()] += 1
