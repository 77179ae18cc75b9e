"""Where full engines are measured: a fresh stack of our own, or one that runs already.

The script in cmd/ hands in the functions that make and deploy a stack: this room imports neither.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from internal.infra import settings
from internal.infra.data_folder import files
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.lab.bench.full import lab as full_lab

STACK = "stack"
LEADER = "/admin/v2/worker/cluster/leader"
DEPLOY_TRIES, DEPLOY_PAUSE_S = 4, 3.0
LEADER_S, LOOK_EVERY_S = 90.0, 0.5
STATEMENT_TIMEOUT_S = 600.0
"""Checks and copies of a million orders take longer than any statement of the engine."""


class Stack(Protocol):
    """A broker and a database in one folder. All methods block."""

    def up(self) -> object:
        """Start them and wait until they answer."""
        ...

    def logs_kept(self, place: Path) -> AbstractContextManager[None]:
        """Keep the logs if anything fails within."""
        ...

    def reset(self) -> object:
        """End them and delete the folder."""
        ...


class Deployed(Protocol):
    """The result of deploying one function."""

    @property
    def problem(self) -> str:
        """Empty if the function works."""
        ...


class Provisioning(NamedTuple):
    """How a stack is made and its functions are deployed."""

    make_stack: Callable[[Path], Stack]
    """On any free ports; does not start it."""
    deploy: Callable[[settings.Settings, int], Awaitable[Sequence[Deployed]]]
    """Deploys the functions, each with this many instances."""
    plain_functions: Path
    """The functions that Souk is compared with."""


@contextlib.asynccontextmanager
async def opened(
    provisioning: Provisioning, near: Path, folder: Path | None
) -> AsyncIterator[full_lab.Site]:
    """Return the stack in `folder`, or a fresh one in `near` that is deleted afterwards.

    Raises:
        Misconfigured: the stack does not exist, or something is missing on this machine.
        Temporary: a part does not start, or a function does not work.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=near) as name:
        if folder:
            yield _site(provisioning, Path(name), folder, is_own=False)
            return
        async with _running(provisioning.make_stack(Path(name) / STACK), near):
            site = _site(provisioning, Path(name), Path(name) / STACK, is_own=True)
            await wait_for_leader(site.options.pulsar)
            await site.deploy(1)
            yield site


@contextlib.asynccontextmanager
async def _running(stack: Stack, near: Path) -> AsyncIterator[None]:
    """Start a stack and delete it; an interrupted start is awaited so that nothing is left.

    After a failure its logs are kept in `near`.
    """
    starting = asyncio.create_task(asyncio.to_thread(stack.up))
    try:
        with stack.logs_kept(near):
            await asyncio.shield(starting)
            yield
    finally:
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.to_thread(stack.reset)


def _site(
    provisioning: Provisioning, folder: Path, stack_folder: Path, *, is_own: bool
) -> full_lab.Site:
    config = stack_folder / files.CONFIG
    if not config.is_file():
        raise errors.Misconfigured(f"there is no {config}: scripts/stack up makes a stack")
    options = settings.of_folder(stack_folder)

    async def deploy(instances: int) -> None:
        for deployed in await _retried(lambda: provisioning.deploy(options, instances)):
            if deployed.problem:
                raise errors.Temporary(f"a function does not work: {deployed.problem}")

    patient = options.mysql.model_copy(update={"statement_timeout_s": STATEMENT_TIMEOUT_S})
    ours = options.model_copy(update={"mysql": patient})
    return full_lab.Site(
        provisioning.plain_functions, folder, config.absolute(), ours, deploy, is_own
    )


async def _retried(deploy: Callable[[], Awaitable[Sequence[Deployed]]]) -> Sequence[Deployed]:
    """Deploy; retry if a functions worker that has just started leaves it half done."""
    for _ in range(DEPLOY_TRIES - 1):
        with contextlib.suppress(errors.BusAway):
            return await deploy()
        await asyncio.sleep(DEPLOY_PAUSE_S)
    return await deploy()


async def wait_for_leader(options: settings.PulsarSettings) -> None:
    """Wait until the functions workers have a leader: deployments before that stay half done.

    Raises:
        BusAway: they had none in time.
    """
    give_up_at_s = time.perf_counter() + LEADER_S
    async with admin.PulsarAdmin(options) as api:
        while time.perf_counter() < give_up_at_s:
            with contextlib.suppress(errors.BusAway):
                if await api.get(LEADER):
                    return
            await asyncio.sleep(LOOK_EVERY_S)
    raise errors.BusAway(f"the functions workers had no leader within {LEADER_S:.0f} s")
