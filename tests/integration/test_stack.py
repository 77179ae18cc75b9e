"""The stack and the deployment, for real: Pulsar, MariaDB, functions in the official runtime."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from internal.deploy import deploy, function_configs, functions_api, planning, progress, wheel
from internal.flow import topics
from internal.infra import bus, settings
from internal.infra.pulsar_bus import admin
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.kernel import errors
from internal.pipeline import handler
from internal.stack import distribution, ports, processes, stale_bookies
from internal.stack import stack as stacks
from tests.support import stack as support

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NAMES = [stage.name for stage in topics.STAGES]
BREAKS = "functions/finalization.py"
QUICK_S = 3.0
"""Patience with functions that are not expected to answer."""


@pytest.fixture(scope="module")
def package() -> wheel.Wheel:
    """Souk's own wheel."""
    return wheel.build()


@pytest.fixture(scope="module")
def broken(package: wheel.Wheel) -> wheel.Wheel:
    """The same, but the last function's constructor raises."""
    changed = io.BytesIO()
    raises = '\n    def __init__(self) -> None:\n        raise RuntimeError("no coffee")\n'
    with zipfile.ZipFile(io.BytesIO(package.content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            new.writestr(name, content + raises if name == BREAKS else content)
    content_digest = hashlib.sha256(changed.getvalue()).hexdigest()
    return msgspec.structs.replace(package, content=changed.getvalue(), digest=content_digest)


def command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the commands as people do."""
    return subprocess.run(
        [sys.executable, str(ROOT / "cmd" / f"{name}.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def carry_out(
    options: settings.Settings, request: deploy.Request
) -> dict[str, tuple[planning.Action, int, str]]:
    """Deploy; return {function: (action, instances, problem)}."""
    done = asyncio.run(deploy.carry_out(options, request))
    return {one.function: (one.plan.action, one.instances, one.problem) for one in done}


def all_of(action: planning.Action, instances: int) -> dict[str, tuple[planning.Action, int, str]]:
    return dict.fromkeys(NAMES, (action, instances, ""))


def test_up_again_starts_nothing(stack: support.Running) -> None:
    before = [stack.stack.pid_of(name) for name in stack.stack.names]
    assert stack.stack.up(may_install=False) == []
    assert [stack.stack.pid_of(name) for name in stack.stack.names] == before


def test_status_shows_every_part(stack: support.Running) -> None:
    shown = command("stack", "status", "--json", "--dir", str(stack.folder))
    assert shown.returncode == 0, shown.stderr
    parts = {part["name"]: part for part in json.loads(shown.stdout)["parts"]}
    assert {name: part["pid"] for name, part in parts.items()} == {
        name: stack.stack.pid_of(name) for name in ("pulsar", "mysql")
    }
    assert all(part["answers"] and part["memory_bytes"] > 0 for part in parts.values())
    assert parts["mysql"]["ports"] == {"mysql": stack.settings.mysql.port}


def test_parts_listen_on_loopback_only_and_only_at_their_ports(stack: support.Running) -> None:
    pids = filter(None, map(stack.stack.pid_of, stack.stack.names))
    where = {place for pid in pids for place in support.listening(pid)}
    assert {address for address, _ in where} <= support.LOOPBACK
    assert {port for _, port in where} == set(stack.stack.ports.named().values())


def test_souks_user_sees_only_its_own_databases(stack: support.Running) -> None:
    options = stack.settings.mysql
    url = sa.URL.create(
        "mysql+pymysql",
        options.user,
        options.password.get_secret_value(),
        options.host,
        options.port,
    )
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        databases = set(connection.scalars(sa.text("SHOW DATABASES")))
        assert databases - {"information_schema"} == {options.database}
        assert connection.scalar(sa.text("SELECT @@innodb_flush_log_at_trx_commit")) == 1
        connection.exec_driver_sql("CREATE DATABASE souk_another")
        connection.exec_driver_sql("DROP DATABASE souk_another")
        with pytest.raises(sa.exc.OperationalError, match="denied"):
            connection.exec_driver_sql("CREATE DATABASE soukx")


def test_administrator_can_log_in_through_the_socket_only(stack: support.Running) -> None:
    url = sa.URL.create("mysql+pymysql", "root", host="127.0.0.1", port=stack.settings.mysql.port)
    with pytest.raises(sa.exc.OperationalError, match=r"denied|not allowed"):
        sa.create_engine(url, poolclass=sa.NullPool).connect()


def test_secrets_are_in_files_of_the_owner_and_on_no_command_line(stack: support.Running) -> None:
    password = stack.settings.mysql.password.get_secret_value()
    for part in stack.stack.names:
        for pid in stack.stack.pids_of(part):
            assert password not in Path(f"/proc/{pid}/cmdline").read_text()
    holding = [
        file
        for place in (stack.folder, stack.folder / "run", stack.folder / "logs")
        for file in place.iterdir()
        if file.is_file() and password in file.read_text(errors="replace")
    ]
    assert stack.settings_file in holding
    assert {stat.S_IMODE(file.stat().st_mode) for file in holding} == {0o600}


class TestDeployment:
    """Run in order: each test continues with the result of the one before."""

    def test_dry_run_says_what_would_be_done_and_does_nothing(self, stack: support.Running) -> None:
        # The stack is shared: other tests may have deployed.
        asyncio.run(delete_functions(stack.settings))
        said = command("deploy_functions", "--config", str(stack.settings_file), "--dry-run")
        assert said.returncode == 0, said.stderr
        assert said.stderr.count("created") == len(NAMES)
        assert deployed(stack.settings) == []

    def test_first_deployment_creates_all_that_is_needed(
        self, stack: support.Running, package: wheel.Wheel
    ) -> None:
        request = deploy.Request(package=package)
        assert carry_out(stack.settings, request) == all_of(planning.Action.CREATE, 1)
        assert deployed(stack.settings) == sorted(NAMES)
        there = subscriptions(stack.settings)
        assert all(set(names) <= there[topic] for topic, names in topics.subscriptions().items())

    def test_second_deployment_changes_nothing(
        self, stack: support.Running, package: wheel.Wheel
    ) -> None:
        before = stack.stack.pids_of("pulsar")
        request = deploy.Request(package=package)
        assert carry_out(stack.settings, request) == all_of(planning.Action.NOTHING, 1)
        assert sorted(stack.stack.pids_of("pulsar")) == sorted(before)

    def test_every_one_of_more_instances_answers(
        self, stack: support.Running, package: wheel.Wheel
    ) -> None:
        request = deploy.Request(package=package, parallelism=2)
        assert carry_out(stack.settings, request) == all_of(planning.Action.UPDATE, 2)
        # A request without a number of instances keeps the deployed one.
        again = deploy.Request(package=package)
        assert carry_out(stack.settings, again) == all_of(planning.Action.NOTHING, 2)

    def test_paused_function_is_started(self, stack: support.Running, package: wheel.Wheel) -> None:
        asyncio.run(pause(stack.settings, topics.PAYMENT))
        request = deploy.Request(package=package, only=topics.PAYMENT.name)
        assert carry_out(stack.settings, request) == {
            topics.PAYMENT.name: (planning.Action.NOTHING, 2, "")
        }

    def test_constructor_that_raises_is_reported_and_the_next_version_works(
        self, stack: support.Running, package: wheel.Wheel, broken: wheel.Wheel
    ) -> None:
        logs = stack.folder / "logs"
        name = topics.FINALIZATION.name
        request = deploy.Request(
            package=broken, only=name, parallelism=1, logs=logs, patience_s=QUICK_S
        )
        ((action, _, problem),) = carry_out(stack.settings, request).values()
        assert action is planning.Action.RECREATE
        assert "no answer from instance 0" in problem
        assert "process() missing" in problem
        assert f"see {logs / 'pulsar.log'}" in problem
        assert f"see {progress.log_of(logs, stack.settings.pulsar, name, 0)}" in problem
        healed = carry_out(stack.settings, deploy.Request(package=package, only=name))
        assert healed == {name: (planning.Action.RECREATE, 1, "")}

    def test_status_shows_the_functions(self, stack: support.Running) -> None:
        shown = command("stack", "status", "--json", "--dir", str(stack.folder))
        functions = {one["name"]: one for one in json.loads(shown.stdout)["functions"]}
        assert sorted(functions) == sorted(NAMES)
        running = {name: (one["running"], one["instances"]) for name, one in functions.items()}
        assert running == {**dict.fromkeys(NAMES, (2, 2)), topics.FINALIZATION.name: (1, 1)}

    def test_fixed_field_recreates_the_function_and_keeps_its_backlog(
        self, stack: support.Running, broken: wheel.Wheel
    ) -> None:
        asyncio.run(self._recreate(in_a_spare_namespace(stack.settings), broken))

    async def _recreate(self, options: settings.Settings, broken: wheel.Wheel) -> None:
        stage = topics.FINALIZATION
        async with connected(options) as (functions, broker):
            by_hand = {
                **function_configs.config_of(stage, options),
                "processingGuarantees": "ATLEAST_ONCE",
                "autoAck": True,
                "cleanupSubscription": True,
            }
            await functions.create(by_hand, broken)
            order = bus.Outgoing(stage.topics[0], "00", b"an order", {})
            await broker.publish([order] * 3)
            request = deploy.Request(package=broken, only=stage.name, patience_s=1.0)
            (done,) = await deploy.carry_out(options, request)
            assert done.plan.action is planning.Action.RECREATE
            deployed = await functions.config(stage.name) or {}
            assert deployed["processingGuarantees"] == "MANUAL"
            assert deployed["cleanupSubscription"] is False
            assert await functions.backlog(stage) >= 3
            await functions.delete(stage.name)


class TestSecondStack:
    """A second stack beside the first, for everything that would disturb other tests."""

    def test_second_stack_from_its_start_to_its_end(
        self, tmp_path: Path, stack: support.Running
    ) -> None:
        del stack  # it is up all the time
        other = support.made(tmp_path / "other")
        try:
            two_at_once(other)
            assert_taken_port_is_refused(other, tmp_path)
            asyncio.run(add_a_function(other.settings(), tmp_path))
            strays = kill_the_broker(other)
            assert_bookie_is_deregistered(other, tmp_path / "copy")
            assert other.up(may_install=False) == ["pulsar"]
            assert not bookie_was_deleted(other)
            assert other.is_ready("pulsar")
            assert other.is_ready("mysql")
            names = dict(zip(other.names, map(other.pids_of, other.names), strict=True))
            assert command("stack", "down", "--dir", str(other.folder.root)).returncode == 0
            pids = [*strays, *(pid for pids in names.values() for pid in pids)]
            assert not any(map(processes.is_alive, pids))
            assert not any(map(is_open, other.ports.named().values()))
            status = command("stack", "status", "--dir", str(other.folder.root))
            assert status.returncode == 3
        finally:
            other.reset()
        assert not other.folder.root.exists()


def two_at_once(other: stacks.Stack) -> None:
    """Run two commands at once: one starts everything, the other waits and has nothing to do."""
    told: list[str] = []
    twin = stacks.Stack(other.folder.root, tell=told.append)
    started: list[list[str]] = []
    first = threading.Thread(target=lambda: started.append(other.up(may_install=False)))
    first.start()
    assert processes.until(other.folder.ports_file.exists, 20)
    started.append(twin.up(may_install=False))
    first.join()
    assert sorted(started) == [[], ["pulsar", "mysql"]]
    assert any("waiting for another" in what for what in told)


def assert_taken_port_is_refused(other: stacks.Stack, folder: Path) -> None:
    third = stacks.Stack(folder / "third", other.ports)
    with pytest.raises(errors.Misconfigured, match="already in use"):
        third.up(may_install=False)
    assert third.ports == other.ports
    assert not third.is_there  # so that other ports can be chosen next time
    moved = stacks.Stack(other.folder.root, ports.Ports())
    with pytest.raises(errors.Misconfigured, match="scripts/stack down first"):
        moved.up(may_install=False)


async def add_a_function(options: settings.Settings, folder: Path) -> None:
    """Deploy a minimal function, and wait until its instance runs."""
    file = folder / "least.py"
    file.write_text("import pulsar\n\n\nclass Least(pulsar.Function):\n    pass\n")
    config = {
        **function_configs.config_of(topics.ORDER, options),
        "className": "least.Least",
        "inputSpecs": {options.pulsar.topic("least"): {}},
        "name": "least",
    }
    least = wheel.Wheel(file.name, "1", "-", file.read_bytes())
    async with connected(options) as (functions, _):
        await functions.create(config, least)
        await until_running(functions, "least", 1)


def kill_the_broker(other: stacks.Stack) -> list[int]:
    """Kill the broker as a crash does; return the processes that it leaves behind."""
    pid = other.pid_of("pulsar")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert processes.until(lambda: other.pid_of("pulsar") is None, 10)
    strays = other.pids_of("pulsar")
    assert strays
    shown = command("stack", "status", "--json", "--dir", str(other.folder.root))
    assert shown.returncode == 3
    assert json.loads(shown.stdout)["strays"] == strays
    return strays


def assert_bookie_is_deregistered(other: stacks.Stack, copy: Path) -> None:
    """Check on a copy of the killed broker's metadata."""
    shutil.copytree(other.folder.pulsar / "data" / "metadata", copy)
    deregister = [sys.executable, stale_bookies.__file__]
    home = str(distribution.CACHE / f"pulsar-{distribution.VERSION}")
    said = [
        subprocess.run([*deregister, *where], capture_output=True, text=True, check=False)
        for where in ((home, copy), (home, copy), (copy, copy), (home, copy / "no"), (home,))
    ]
    assert [one.returncode for one in said] == [0, 0, 1, 0, 1]
    bookie = f"{ports.HOST}:{other.ports.bookie}"
    assert said[0].stdout == f"was still registered: {bookie}\n"
    assert said[1].stdout == said[3].stdout == ""
    assert "is not a Pulsar" in said[2].stderr
    assert "usage" in said[4].stderr


def bookie_was_deleted(other: stacks.Stack) -> bool:
    """Tell whether the bookie ever deleted its own registration: that may never stop."""
    return "Deleting path: /ledgers/available" in other.folder.log("pulsar").read_text()


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((ports.HOST, port)) == 0


@contextlib.asynccontextmanager
async def connected(
    options: settings.Settings,
) -> AsyncIterator[tuple[functions_api.FunctionsApi, pulsar_bus.PulsarBus]]:
    """Create the namespace, and open clients for it."""
    broker = pulsar_bus.PulsarBus(options.pulsar, options.topics)
    async with admin.PulsarAdmin(options.pulsar) as api:
        await api.ensure_namespace(options.topics.partitions)
        await broker.open()
        try:
            yield functions_api.FunctionsApi(api, options.pulsar), broker
        finally:
            await broker.close()


def in_a_spare_namespace(options: settings.Settings) -> settings.Settings:
    spare = options.pulsar.model_copy(update={"namespace": "spare"})
    return options.model_copy(update={"pulsar": spare})


def deployed(options: settings.Settings) -> list[str]:
    async def ask() -> list[str]:
        async with admin.PulsarAdmin(options.pulsar) as api:
            return sorted(await api.list_functions())

    return asyncio.run(ask())


def subscriptions(options: settings.Settings) -> dict[str, set[str]]:
    """Return {topic: its durable subscriptions} for the topics that must have some."""

    async def ask() -> dict[str, set[str]]:
        async with admin.PulsarAdmin(options.pulsar) as api:
            stats = {topic: await api.topic_stats(topic) or {} for topic in topics.subscriptions()}
            return {topic: set(found["subscriptions"]) for topic, found in stats.items()}

    return asyncio.run(ask())


async def delete_functions(options: settings.Settings) -> None:
    async with connected(options) as (functions, _):
        for name in NAMES:
            if await functions.config(name) is not None:
                await functions.delete(name)


async def pause(options: settings.Settings, stage: handler.Stage) -> None:
    """Stop a function as operators do."""
    where = f"{options.pulsar.admin_url}/admin/v3/functions/souk/pos/{stage.name}/stop"
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(where)).raise_for_status()
    async with connected(options) as (functions, _):
        await until_running(functions, stage.name, 0)


async def until_running(functions: functions_api.FunctionsApi, name: str, instances: int) -> None:
    async with asyncio.timeout(20):
        while (await functions.status(name)).get("numRunning") != instances:  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0.1)
