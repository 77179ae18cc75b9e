"""A real Souk in a process of its own: started, watched, killed or asked to stop.

Knows nothing of what the engine is asked to do. Each is ended by its own process id, at the latest
when its context is left.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
START = ROOT / "cmd" / "start.py"
ADDRESS = re.compile(r"takes orders on (\S+) \(gRPC\)")
START_S = 60.0
STOP_S = 60.0
HURRIED: Mapping[str, str] = {
    "SOUK_METRICS__PORT": "0",
    "SOUK_GATEWAY__TIMEOUT_S": "1",
    "SOUK_JANITOR__INTERVAL_S": "0.2",
}
"""Looks often for what waits. Deadlines stay: the janitor must not hide that a message was lost."""
KILLED = -signal.SIGKILL


class Engine:
    """One life of an engine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @property
    def said(self) -> str:
        """What it has told the terminal so far."""
        return "".join(self._lines)

    async def address(self) -> str:
        """Return where it takes orders, as soon as it does; "" when it died before."""
        async with asyncio.timeout(START_S):
            return await asyncio.shield(self._address)

    def kill(self) -> None:
        """Do what a power cut does to a process: SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait for its end; return its exit code, KILLED after SIGKILL."""
        await asyncio.shield(self._listening)
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to drain and stop: SIGTERM."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def stop(self) -> int:
        """Have it drain and stop; return its exit code."""
        self.terminate()
        async with asyncio.timeout(STOP_S):
            return await self.ended()

    async def _listen(self) -> None:
        if self._process.stderr is None:
            return
        async for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace"))
            found = ADDRESS.search(self._lines[-1])
            if found and not self._address.done():
                self._address.set_result(found[1])
        if not self._address.done():
            self._address.set_result("")


@contextlib.asynccontextmanager
async def started(
    folder: Path,
    *arguments: str,
    script: Path = START,
    settings: Mapping[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[Engine]:
    """Start an engine on a data folder, on any free port; kill it at the end if it still lives."""
    where = ("--data", str(folder), "--port", str(port))
    command = (sys.executable, str(script), *where, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=_environment(settings or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    engine = Engine(process)
    try:
        yield engine
    finally:
        engine.kill()
        await engine.ended()


def failing_at(failpoints: str) -> dict[str, str]:
    """Return the settings that arm failpoints."""
    return {"SOUK_TESTING": "1", "SOUK_FAILPOINTS": failpoints}


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return ours without any setting of Souk, and these settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOUK_")}
    return {**ours, **HURRIED, **settings}
