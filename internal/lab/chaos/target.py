"""What faults are tried on: a stack, the functions on it, one intake, and ways to hurt each.

Nothing here judges what came of it. What is killed is found by its own process id; only processes
of this stack are touched.
"""

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from internal.client.access import Access
from internal.deploy import deploy, functions_api, wheel
from internal.flow import topics
from internal.infra import backends, db, files, settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.full import site as full_site
from internal.lab.chaos import clients, engine_process
from internal.lab.workload import engine_process as workload_process
from internal.stack import processes, stack

PULSAR, MYSQL = "pulsar", "mysql"
FUNCTIONS_FILE, DOOR_FILE = "failpoints", "failpoints-door"
DOOR_SETTINGS: Mapping[str, str] = {"SOUK_JANITOR__INTERVAL_S": "1"}
NO_SETTINGS: Mapping[str, str] = {}
WHOLE_S = 90.0
"""How long instances may take to come back before nothing more is tried on them."""
LOOK_EVERY_S = 0.2
STARTS_MAX = 3
"""A standalone that was killed may fail to find its own bookie when it starts again: its stale
registration is deleted, registered and deleted without end. Source: apache/pulsar #17759.
"""
INSTANCE = "python_instance_main.py"
_NAME = re.compile(r'"name":"([a-z_]+)"')

Instances = dict[int, str]
"""Process id: name of the function."""
Tell = Callable[[str], None]


def watched(folder: Path) -> dict[str, str]:
    """Return what a stack's environment must say, so that its functions can be armed."""
    return {"SOUK_TESTING": "1", "SOUK_FAILPOINTS": f"@{folder / FUNCTIONS_FILE}"}


class Ground:
    """A stack that is up. `opened` makes one that works."""

    def __init__(
        self,
        of: stack.Stack,
        instances_each: int,
        door: Mapping[str, str],
    ) -> None:
        """Take a stack and what it has; `door` are settings of the intake."""
        self._door_settings = {**DOOR_SETTINGS, **door}
        self.stack, self.instances_each = of, instances_each
        self.options: settings.Settings = of.settings()
        self.folder = of.folder.root
        self.port = workload_process.free_port()
        self.crew: clients.Crew | None = None
        """Whoever sends orders now."""
        self.database: db.Database = backends.open_database(self.options)
        self.admin = admin.PulsarAdmin(self.options.pulsar)
        self._door: contextlib.AsyncExitStack | None = None
        self._engine: engine_process.Engine | None = None

    @property
    def gateway(self) -> Path:
        """The gateway simulator's own ledger."""
        return self.options.storage.data_dir / files.GATEWAY

    def access(self) -> Access:
        """Return what opens the door."""
        key = (self.options.storage.data_dir / files.DEMO_KEY).read_text()
        return Access(f"{workload_process.HOST}:{self.port}", key)

    async def open_door(self) -> None:
        """Start the intake, always on the same port, and let the tills send to it.

        Raises:
            Temporary: it ended instead.
        """
        armed = {"SOUK_TESTING": "1", "SOUK_FAILPOINTS": f"@{self.folder / DOOR_FILE}"}
        self._door = contextlib.AsyncExitStack()
        started = engine_process.started(
            self.folder, "--full", settings={**self._door_settings, **armed}, port=self.port
        )
        self._engine = await self._door.enter_async_context(started)
        if not await self._engine.address():
            said = self._engine.said.strip()
            await self.close_door()
            raise errors.Temporary(f"the intake does not start: {said}")
        if self.crew:
            self.crew.connect(self.access())

    async def close_door(self) -> None:
        """End the intake, as a crash does."""
        if self.crew:
            self.crew.disconnect()
        if self._door:
            await self._door.aclose()
        self._door = self._engine = None

    async def door_ended(self, within_s: float) -> bool:
        """Wait until the intake has died by itself; tell whether it has."""
        if self._engine is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._engine.ended()
                return True
        return False

    def arm(self, failpoints: str, file: str = FUNCTIONS_FILE) -> None:
        """Arm failpoints, in one step; "" disarms all."""
        place = self.folder / file
        fresh = place.with_suffix(".new")
        fresh.write_text(failpoints)
        fresh.replace(place)

    def instances(self) -> Instances:
        """Return the living instances of the functions, orphans of a dead broker included."""
        found: Instances = {}
        for pid in self.stack.pids_of(PULSAR):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                name = _NAME.search(command)
                if INSTANCE in command and name:
                    found[pid] = name[1]
        return found

    async def whole(self) -> Instances:
        """Wait until every function has all of its instances, and each reads its topic.

        Raises:
            Temporary: they did not come.
        """
        give_up_at_s = time.perf_counter() + WHOLE_S
        while time.perf_counter() < give_up_at_s:
            there = await asyncio.to_thread(self.instances)
            counts = [list(there.values()).count(stage.name) for stage in topics.STAGES]
            if counts == [self.instances_each] * len(topics.STAGES) and await self._all_read():
                return there
            await asyncio.sleep(LOOK_EVERY_S)
        raise errors.Temporary(f"not all instances are back within {WHOLE_S:.0f} s: {counts}")

    async def backlog(self) -> dict[str, int]:
        """Count the messages that each stage has not acknowledged.

        Raises:
            BusAway: the broker cannot be reached.
        """
        counts = {}
        for stage in topics.STAGES:
            stats = await self.admin.subscription_stats(stage.topic, stage.subscription)
            counts[stage.name] = int(stats["msgBacklog"])
        return counts

    def pid(self, part: str) -> int:
        """Return a part's first process.

        Raises:
            Temporary: it does not run.
        """
        pid = self.stack.pid_of(part)
        if pid is None:
            raise errors.Temporary(f"{part} does not run")
        return pid

    async def kill(self, part: str) -> None:
        """Kill a part's first process, as a crash does; what it has started lives on."""
        os.kill(self.pid(part), signal.SIGKILL)
        named = self.stack.ports.named()
        used = [named[name] for name in self.stack.port_names_of(part)]
        # It may be dead while its last threads still hold what it listened on.
        is_gone = functools.partial(_nobody_listens, used)
        await asyncio.to_thread(processes.until, is_gone, WHOLE_S)

    async def start(self, part: str) -> None:
        """Start a part again, and wait until it answers; again where it ends at its start.

        Who runs it in earnest has a guardian for that.

        Raises:
            Temporary: it ends again and again.
        """
        for _ in range(STARTS_MAX - 1):
            with contextlib.suppress(errors.Temporary):
                return await asyncio.to_thread(self.stack.start, part)
        return await asyncio.to_thread(self.stack.start, part)

    async def _all_read(self) -> bool:
        functions = functions_api.FunctionsApi(self.admin, self.options.pulsar)
        with contextlib.suppress(errors.BusAway, errors.Misconfigured):
            for stage in topics.STAGES:
                readers = await functions.consumers(stage.topic, stage.subscription)
                if len(readers) != self.instances_each:
                    return False
            return True
        return False


def _nobody_listens(used: Iterable[int]) -> bool:
    for port in used:
        with socket.socket() as probe:
            if probe.connect_ex((workload_process.HOST, port)) == 0:
                return False
    return True


async def put(at: Ground, package: wheel.Wheel) -> None:
    """Deploy this wheel's functions.

    Raises:
        Temporary: one of them does not answer.
    """
    wish = deploy.Wish(package=package, parallelism=at.instances_each, logs=at.stack.folder.logs)
    for done in await deploy.carry_out(at.options, wish):
        if done.problem:
            raise errors.Temporary(f"{done.function}: {done.problem}")


@contextlib.asynccontextmanager
async def opened(
    of: stack.Stack,
    package: wheel.Wheel,
    instances_each: int,
    door: Mapping[str, str] = NO_SETTINGS,
) -> AsyncIterator[Ground]:
    """Deploy on a stack that is up, open the door; in the end everything but the stack is gone.

    Raises:
        Misconfigured: something is missing on this machine.
        Temporary: something does not start.
    """
    at = Ground(of, instances_each, door)
    try:
        at.arm("")
        at.arm("", DOOR_FILE)
        await _until_led(at)
        await put(at, package)
        await at.open_door()
        yield at
    finally:
        await at.close_door()
        await at.database.close()
        await _undeploy(at)
        await at.admin.close()


async def _until_led(at: Ground) -> None:
    """Wait for the functions workers to have a leader: what is deployed before stays half done."""
    async with asyncio.timeout(WHOLE_S):
        while True:
            with contextlib.suppress(errors.BusAway):
                if await at.admin.get(full_site.LEADER):
                    return
            await asyncio.sleep(LOOK_EVERY_S)


async def _undeploy(at: Ground) -> None:
    """Delete the functions; where there is no broker there are none."""
    functions = functions_api.FunctionsApi(at.admin, at.options.pulsar)
    with contextlib.suppress(errors.BusAway, errors.Misconfigured):
        for name in await at.admin.list_functions():
            await functions.delete(name)


async def clear(of: stack.Stack) -> None:
    """Forget all orders of a stack without functions: books, messages, the gateway's ledger."""
    options = of.settings()
    async with admin.PulsarAdmin(options.pulsar) as api:
        for topic, names in topics.subscriptions().items():
            for name in names:
                where = f"/admin/v2/persistent/{options.pulsar.tenant}/{options.pulsar.namespace}"
                with contextlib.suppress(errors.Misconfigured):
                    await api.post(f"{where}/{topic}/subscription/{name}/skip_all")
    await full_lab.recreate(options)
    for file in options.storage.data_dir.glob(f"{files.GATEWAY}*"):
        file.unlink()
