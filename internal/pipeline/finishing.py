"""Runs a stage until its process has to leave, and lets it finish what it has begun.

"Begun" is what is in a batch or at a gateway. Messages that still wait are dropped, unacknowledged:
the broker gives them to other instances. Must not know why the process leaves, or how it ends.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from loguru import logger

from internal.pipeline import handler, runner

FINISH_S = 5.0
"""How long a leaving stage works on what it has begun. A gateway call without an answer is then
left to another instance: its attempt is recorded, and the gateway is asked about it by its key.
"""
CANCEL_S = 2.0
"""How long the rest may take to be cancelled and the crash counts to be taken back."""


class FinishingRunner:
    """A runner that can be told to leave. Everything is called on its event loop."""

    def __init__(
        self,
        stage_handler: handler.StageHandler,
        ports: handler.Ports,
        limits: handler.Limits,
        finish_s: float = FINISH_S,
    ) -> None:
        self._name, self._finish_s = stage_handler.spec.name, finish_s
        self._acknowledge_all = ports.acknowledge
        ports = msgspec.structs.replace(ports, acknowledge=self._acknowledge)
        self._runner = runner.Runner(stage_handler, ports, limits)
        self._told, self._urgent, self._done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open_messages = 0
        """Taken and not acknowledged."""

    def offer(self, incoming: handler.Incoming) -> None:
        """Take a message, unless told to leave: then another instance gets it."""
        if not self._told.is_set():
            self.open_messages += 1
            self._runner.offer(incoming)

    def leave(self) -> None:
        """Take nothing more, and end as soon as everything is done that was begun.

        A second call ends it without that.
        """
        if self._told.is_set():
            self._urgent.set()
            return
        self._told.set()
        self.open_messages -= self._runner.drop_waiting()

    async def run(self) -> None:
        """Work until told to leave; see `leave`.

        Raises:
            RuntimeError: the runner ended by itself.
            BaseException: as Runner.run.
        """
        running, told = (
            asyncio.create_task(self._runner.run()),
            asyncio.create_task(_wait(self._told)),
        )
        try:
            await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
                raise RuntimeError(f"{self._name} came to an end")
            await self._finish(running)
        finally:
            told.cancel()
            await self._end(running)

    async def _finish(self, running: "asyncio.Task[None]") -> None:
        logger.info("leaving; {count} messages to finish", count=self.open_messages)
        if not self.open_messages:
            return
        self._done.clear()
        ends = [asyncio.create_task(_wait(event)) for event in (self._done, self._urgent)]
        await asyncio.wait(
            {running, *ends}, timeout=self._finish_s, return_when=asyncio.FIRST_COMPLETED
        )
        for end in ends:
            end.cancel()
        if self.open_messages:
            logger.warning("left to other instances: {count} messages", count=self.open_messages)

    async def _end(self, running: "asyncio.Task[None]") -> None:
        running.cancel()
        await asyncio.wait({running}, timeout=CANCEL_S)
        if running.done() and not running.cancelled():
            running.result()

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await self._acknowledge_all(handles)
        self.open_messages -= len(handles)
        if not self.open_messages:
            self._done.set()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
