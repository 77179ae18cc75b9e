"""Signs that instances are coming up, for a deployment that waits for their answers.

On a busy machine an instance needs minutes, and the functions worker restarts it meanwhile. Must
not take noise for progress: every probe adds lines to the log of a function that raises, and one
that dies at its start is started again forever.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from internal.deploy import functions_api
from internal.infra import settings
from internal.kernel import errors
from internal.pipeline import handler
from internal.stack import log_tail, patience

RESTARTS_MAX = 8
"""After this many restarts of a function's instances during one wait, another is no progress."""
LOOK_EVERY_S, LOOKS_PER_SIGN = 0.25, 4


class Signs(msgspec.Struct, frozen=True):
    """The visible state of one function's instances."""

    running: int = 0
    restarts: int = 0
    exceptions: int = 0
    consumers: frozenset[functions_api.Consumer] = frozenset()
    log_bytes: int = 0

    def has_moved(self, before: "Signs", first: "Signs") -> bool:
        """Tell whether there was progress since `before`; `first` was seen when the wait began."""
        if self.restarts - first.restarts > RESTARTS_MAX:
            return False
        came_up = self.running > before.running or bool(self.consumers - before.consumers)
        wrote = self.log_bytes != before.log_bytes and self.exceptions == before.exceptions
        return came_up or self.restarts != before.restarts or wrote


class Watch:
    """The progress of one function's instances during one wait."""

    def __init__(
        self,
        functions: functions_api.FunctionsApi,
        stage: handler.Stage,
        files: Iterable[Path],
    ) -> None:
        """Watch a stage's function; `files` are the logs of its instances, if they are here."""
        self._functions, self._stage, self._files = functions, stage, list(files)
        self._first: Signs | None = None
        self._before = Signs()
        self._lowest_backlog: int | None = None

    async def has_moved(self) -> bool:
        """Tell whether there was progress since the last call; the first call finds none.

        A broker or worker that does not answer makes none.
        """
        try:
            return await self._look()
        except (errors.BusAway, errors.Misconfigured):  # Misconfigured: no subscription yet
            return False

    async def exchanged(
        self, old: set[functions_api.Consumer], wanted: int, quiet_s: float
    ) -> bool:
        """Wait until no old instance is connected and enough others are.

        Returns False after `quiet_s` without progress.
        """
        left = patience.Patience(quiet_s)
        for look in itertools.count():
            with contextlib.suppress(errors.BusAway):
                connected = await self._functions.consumers(self._stage)
                if not old & connected and len(connected) >= wanted:
                    return True
            if look % LOOKS_PER_SIGN == 0 and await self.has_moved():
                left.progressed()
            if left.is_over:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    async def _look(self) -> bool:
        status = await self._functions.status(self._stage.name)
        if not status:
            return False
        consumers = await self._functions.consumers(self._stage)
        found = signs(status, consumers, self._files)
        if self._first is None:
            self._first = self._before = found
        moved = found.has_moved(self._before, self._first)
        self._before = found
        return await self._is_backlog_lower() or moved

    async def _is_backlog_lower(self) -> bool:
        backlog = await self._functions.backlog(self._stage)
        before = self._lowest_backlog
        self._lowest_backlog = backlog if before is None else min(backlog, before)
        return before is not None and backlog < before


def signs(
    status: dict[str, Any], consumers: Iterable[functions_api.Consumer], files: Iterable[Path]
) -> Signs:
    """Return the signs in a function's status, its consumers and its logs."""
    instances = [instance.get("status", {}) for instance in status.get("instances", [])]
    counts = ("numUserExceptions", "numSystemExceptions")
    return Signs(
        running=sum(bool(one.get("running")) for one in instances),
        restarts=sum(one.get("numRestarts", 0) for one in instances),
        exceptions=sum(one.get(name, 0) for one in instances for name in counts),
        consumers=frozenset(consumers),
        log_bytes=sum(map(log_tail.size_bytes, files)),
    )


def log_of(logs: Path, options: settings.PulsarSettings, function: str, instance: int) -> Path:
    """Return the file to which the functions worker writes an instance's log."""
    folder = logs / "functions" / options.tenant / options.namespace / function
    return folder / f"{function}-{instance}.log"
