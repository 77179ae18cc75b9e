"""The target of faults: a stack, the functions on it, one intake, and ways to hurt each.

Does not judge the results. Processes are killed by their ids; only processes of this stack are
touched.
"""

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from internal.client.access import Access
from internal.deploy import deploy, functions_api, wheel
from internal.flow import topics
from internal.infra import backends, db, settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.lab import engine_process
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.full import site as full_site
from internal.lab.chaos import clients
from internal.stack import patience, processes, stack

PULSAR, MYSQL = "pulsar", "mysql"
FUNCTIONS_FILE, INTAKE_FILE = "failpoints", "failpoints-intake"
INTAKE_SETTINGS: Mapping[str, str] = {"SOUK_JANITOR__INTERVAL_S": "1"}
NO_SETTINGS: Mapping[str, str] = {}
INSTANCES_S = 90.0
"""How long instances may take to come back without any progress before the trial is given up."""
LOOK_EVERY_S = 0.2
STARTS_MAX = 3
"""A killed standalone may fail to find its own bookie at the next start: the stale registration is
deleted, registered and deleted forever. Source: apache/pulsar #17759.
"""
INSTANCE = "python_instance_main.py"
_NAME = re.compile(r'"name":"([a-z_]+)"')

Instances = dict[int, str]
"""Process id: name of the function."""
Tell = Callable[[str], None]


def armable(folder: Path) -> dict[str, str]:
    """Return the environment with which a stack's functions can be armed."""
    return engine_process.armed(f"@{folder / FUNCTIONS_FILE}")


class Target:
    """A running stack with functions and an intake; made by `opened`."""

    def __init__(
        self,
        of: stack.Stack,
        instances_each: int,
        intake: Mapping[str, str],
    ) -> None:
        """Take a running stack; `intake` are settings of the intake."""
        self._intake_settings = {**INTAKE_SETTINGS, **intake}
        self.stack, self.instances_each = of, instances_each
        self.options: settings.Settings = of.settings()
        self.folder = of.folder.root
        self.port = engine_process.free_port()
        self.pool: clients.ClientPool | None = None
        """The clients that send orders now."""
        self.database: db.Database = backends.open_database(self.options)
        self.admin = admin.PulsarAdmin(self.options.pulsar)
        self._intake: contextlib.AsyncExitStack | None = None
        self._engine: engine_process.Engine | None = None

    def access(self) -> Access:
        """Return the intake's address with the demo shop's API key."""
        address = f"{engine_process.HOST}:{self.port}"
        return engine_process.access_to(address, self.options.storage.data_dir)

    async def start_intake(self) -> None:
        """Start the intake, always on the same port, and let the clients send to it.

        Raises:
            Temporary: it ended instead.
        """
        armed = engine_process.armed(f"@{self.folder / INTAKE_FILE}")
        self._intake = contextlib.AsyncExitStack()
        started = engine_process.isolated(
            self.folder, "--full", settings={**self._intake_settings, **armed}, port=self.port
        )
        self._engine = await self._intake.enter_async_context(started)
        if not await self._engine.address():
            said = self._engine.output.strip()
            await self.kill_intake()
            raise errors.Temporary(f"the intake does not start: {said}")
        if self.pool:
            self.pool.connect(self.access())

    async def kill_intake(self) -> None:
        """Kill the intake, as a crash does."""
        if self.pool:
            self.pool.disconnect()
        if self._intake:
            await self._intake.aclose()
        self._intake = self._engine = None

    async def intake_ended(self, within_s: float) -> bool:
        """Wait for the intake to die by itself; tell whether it did."""
        if self._engine is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._engine.ended()
                return True
        return False

    def arm(self, failpoints: str, file: str = FUNCTIONS_FILE) -> None:
        """Arm failpoints atomically; "" disarms all."""
        place = self.folder / file
        fresh = place.with_suffix(".new")
        fresh.write_text(failpoints)
        fresh.replace(place)

    def instances(self) -> Instances:
        """Return the running instances of the functions, orphans of a dead broker included."""
        found: Instances = {}
        for pid in self.stack.pids_of(PULSAR):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                name = _NAME.search(command)
                if INSTANCE in command and name:
                    found[pid] = name[1]
        return found

    async def all_instances(self) -> Instances:
        """Wait until every function has all of its instances, and each reads its topic.

        Raises:
            Temporary: an instance is missing.
        """
        left = patience.Patience(INSTANCES_S)
        while not left.is_over:
            there = await asyncio.to_thread(self.instances)
            counts = [list(there.values()).count(stage.name) for stage in topics.STAGES]
            readers = await self._readers()
            if set(counts) == set(readers) == {self.instances_each}:
                return there
            left.look((sorted(there), readers))
            await asyncio.sleep(LOOK_EVERY_S)
        raise errors.Temporary(
            f"not all instances are back, and none came or went for {INSTANCES_S:.0f} s:"
            f" {counts} run, {readers} read; see {self.stack.folder.logs}"
        )

    async def backlog(self) -> dict[str, int]:
        """Count the messages that each stage has not acknowledged.

        Raises:
            BusAway: the broker cannot be reached.
        """
        functions = functions_api.FunctionsApi(self.admin, self.options.pulsar)
        return {stage.name: await functions.backlog(stage) for stage in topics.STAGES}

    async def waiting(self) -> list[str]:
        """Describe where messages wait, partition by partition; empty if the broker is away."""
        with contextlib.suppress(errors.BusAway, errors.Misconfigured):
            return [
                line
                for stage in topics.STAGES
                for topic in stage.topics
                for line in await self.admin.waiting(topic, stage.subscription)
            ]
        return []

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
        """Kill a part's first process, as a crash does; its child processes go on."""
        os.kill(self.pid(part), signal.SIGKILL)
        named = self.stack.ports.named()
        used = [named[name] for name in self.stack.port_names_of(part)]
        # It may be dead while its last threads still hold its ports.
        is_gone = functools.partial(_are_free, used)
        await asyncio.to_thread(processes.until, is_gone, INSTANCES_S)

    async def start(self, part: str) -> None:
        """Start a part again and wait until it answers; retry if it ends at its start.

        In production a supervisor does that.

        Raises:
            Temporary: it ends again and again.
        """
        for _ in range(STARTS_MAX - 1):
            with contextlib.suppress(errors.Temporary):
                return await asyncio.to_thread(self.stack.start, part)
        return await asyncio.to_thread(self.stack.start, part)

    async def _readers(self) -> list[int]:
        """Count the instances that read each topic; empty if the broker does not tell."""
        functions = functions_api.FunctionsApi(self.admin, self.options.pulsar)
        with contextlib.suppress(errors.BusAway, errors.Misconfigured):
            return [len(await functions.consumers(stage)) for stage in topics.STAGES]
        return []


def _are_free(ports: Iterable[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex((engine_process.HOST, port)) == 0:
                return False
    return True


async def deploy_wheel(at: Target, package: wheel.Wheel) -> None:
    """Deploy this wheel's functions.

    Raises:
        Temporary: one of them does not answer.
    """
    request = deploy.Request(
        package=package, parallelism=at.instances_each, logs=at.stack.folder.logs
    )
    for done in await deploy.carry_out(at.options, request):
        if done.problem:
            raise errors.Temporary(f"{done.function}: {done.problem}")


@contextlib.asynccontextmanager
async def opened(
    of: stack.Stack,
    package: wheel.Wheel,
    instances_each: int,
    intake: Mapping[str, str] = NO_SETTINGS,
) -> AsyncIterator[Target]:
    """Deploy on a running stack and start the intake; at the end only the stack is left.

    Raises:
        Misconfigured: something is missing on this machine.
        Temporary: something does not start.
    """
    at = Target(of, instances_each, intake)
    try:
        at.arm("")
        at.arm("", INTAKE_FILE)
        await full_site.wait_for_leader(at.options.pulsar)
        await deploy_wheel(at, package)
        await at.start_intake()
        yield at
    finally:
        await at.kill_intake()
        await at.database.close()
        await _undeploy(at)
        await at.admin.close()


async def _undeploy(at: Target) -> None:
    """Delete the functions; without a broker there are none."""
    functions = functions_api.FunctionsApi(at.admin, at.options.pulsar)
    with contextlib.suppress(errors.BusAway, errors.Misconfigured):
        for name in await at.admin.list_functions():
            await functions.delete(name)


async def clear(of: stack.Stack) -> None:
    """Delete all orders of a stack without functions: database, messages, gateway's ledger."""
    options = of.settings()
    async with admin.PulsarAdmin(options.pulsar) as api:
        for topic, names in topics.subscriptions().items():
            for name in names:
                where = f"/admin/v2/persistent/{options.pulsar.tenant}/{options.pulsar.namespace}"
                with contextlib.suppress(errors.Misconfigured):
                    await api.post(f"{where}/{topic}/subscription/{name}/skip_all")
    await full_lab.recreate(options)
    full_lab.clear_gateway(options)
