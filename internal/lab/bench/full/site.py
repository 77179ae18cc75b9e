"""Where full engines are measured: a fresh stack of our own, or one that is up already.

What makes a stack is handed in by the script in cmd/: this room knows none.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from internal.infra import files, settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.lab.bench.full import lab as full_lab

STACK = "stack"
LEADER = "/admin/v2/worker/cluster/leader"
DEPLOY_TRIES, DEPLOY_PAUSE_S = 4, 3.0
LED_S, LOOK_EVERY_S = 60.0, 0.5
STATEMENT_TIMEOUT_S = 600.0
"""Checks and copies of a million orders take longer than any statement of the engine."""


class Stack(Protocol):
    """A broker and a database in one folder. Everything blocks."""

    def up(self) -> object:
        """Start them and wait until they answer."""
        ...

    def reset(self) -> object:
        """End them and delete the folder."""
        ...


class Deployed(Protocol):
    """What became of one function."""

    @property
    def problem(self) -> str:
        """Empty when it works."""
        ...


class Scripts(NamedTuple):
    """Files that are run."""

    start: Path
    """Starts an engine: cmd/start.py."""
    plain_functions: Path
    """What Souk is compared with."""


class Ground(NamedTuple):
    """Makes what a full engine stands on."""

    make_stack: Callable[[Path], Stack]
    """On any free ports; nothing happens yet."""
    deploy: Callable[[settings.Settings, int], Awaitable[Sequence[Deployed]]]
    """Deploys the functions, each with so many instances."""


@contextlib.asynccontextmanager
async def opened(
    ground: Ground, scripts: Scripts, near: Path, folder: Path | None
) -> AsyncIterator[full_lab.Site]:
    """Return the stack in `folder`, or a fresh one near `near` that is deleted afterwards.

    Raises:
        Misconfigured: there is no stack, or something is missing on this machine.
        Temporary: a part does not start, or a function does not work.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=near) as name:
        if folder:
            yield _site(ground, scripts, Path(name), folder, is_own=False)
            return
        async with _running(ground.make_stack(Path(name) / STACK)):
            site = _site(ground, scripts, Path(name), Path(name) / STACK, is_own=True)
            await _until_led(site.options.pulsar)
            await site.deploy(1)
            yield site


@contextlib.asynccontextmanager
async def _running(stack: Stack) -> AsyncIterator[None]:
    """Start it, delete it; who interrupts the start waits for it: nothing may be left behind."""
    starting = asyncio.create_task(asyncio.to_thread(stack.up))
    try:
        await asyncio.shield(starting)
        yield
    finally:
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.to_thread(stack.reset)


def _site(
    ground: Ground, scripts: Scripts, folder: Path, stack_folder: Path, *, is_own: bool
) -> full_lab.Site:
    config = stack_folder / files.CONFIG
    if not config.is_file():
        raise errors.Misconfigured(f"there is no {config}: scripts/stack up makes a stack")
    options = settings.of_folder(stack_folder)

    async def deploy(instances: int) -> None:
        for deployed in await _patiently(lambda: ground.deploy(options, instances)):
            if deployed.problem:
                raise errors.Temporary(f"a function does not work: {deployed.problem}")

    patient = options.mysql.model_copy(update={"statement_timeout_s": STATEMENT_TIMEOUT_S})
    ours = options.model_copy(update={"mysql": patient})
    return full_lab.Site(*scripts, folder, config.absolute(), ours, deploy, is_own)


async def _patiently(deploy: Callable[[], Awaitable[Sequence[Deployed]]]) -> Sequence[Deployed]:
    """Deploy; again when a functions worker that has just started leaves it half done."""
    for _ in range(DEPLOY_TRIES - 1):
        with contextlib.suppress(errors.BusAway):
            return await deploy()
        await asyncio.sleep(DEPLOY_PAUSE_S)
    return await deploy()


async def _until_led(options: settings.PulsarSettings) -> None:
    """Wait for the functions workers to have a leader: what is deployed before stays half done.

    Raises:
        BusAway: they had none in time.
    """
    give_up_at_s = time.perf_counter() + LED_S
    async with admin.PulsarAdmin(options) as api:
        while time.perf_counter() < give_up_at_s:
            with contextlib.suppress(errors.BusAway):
                if await api.get(LEADER):
                    return
            await asyncio.sleep(LOOK_EVERY_S)
    raise errors.BusAway(f"the functions workers had no leader within {LED_S:.0f} s")
