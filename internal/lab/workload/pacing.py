"""When calls go out: as fast as answers come back (closed loop), or by the clock (open loop).

The open loop passes every call the instant at which it was due, so that a call that had to wait for
its turn does not look fast ("coordinated omission").
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Send = Callable[[T, float], Awaitable[None]]
"""Takes a call, and the instant at which it was due by time.perf_counter."""


@contextlib.asynccontextmanager
async def _workers() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks together; the first error ends them all and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def closed_loop(calls: Iterable[T], send: Send[T], concurrency: int) -> None:
    """Keep `concurrency` calls open until all are done."""
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await send(call, time.perf_counter())

    async with _workers() as workers:
        for _ in range(concurrency):
            workers.create_task(work())


async def open_loop(calls: Iterable[T], send: Send[T], per_s: float, concurrency: int) -> None:
    """Send `per_s` calls per second, however they end; at most `concurrency` are open."""
    started_s = time.perf_counter()
    places = asyncio.Semaphore(concurrency)

    async def work(call: T, due_s: float) -> None:
        try:
            await send(call, due_s)
        finally:
            places.release()

    async with _workers() as workers:
        for number, call in enumerate(calls):
            due_s = started_s + number / per_s
            await asyncio.sleep(due_s - time.perf_counter())
            await places.acquire()
            workers.create_task(work(call, due_s))
