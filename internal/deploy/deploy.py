"""Deploys the three functions so that each instance is known to work, not only to run.

First it creates tables, namespace, topics and subscriptions, then the functions one by one in the
order of the flow; then it probes every instance. It can be repeated at any time: functions that are
as wanted are left alone, and no backlog is ever dropped.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from internal.deploy import function_configs, functions_api, planning, probes, progress, wheel
from internal.flow import topics
from internal.infra import backends, fixed_settings, migrate, settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.pipeline import handler
from internal.stack import layout, log_tail, patience

PATIENCE_S = 60.0
"""How long to wait without any progress (see progress.py): a probe waits behind a backlog."""
CHANGE_S = 30.0
"""The same for instances that stop and start; after that they are probed in any case."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted deployment."""

    package: wheel.Wheel
    parallelism: int | None = None
    """Instances of each function; None keeps the deployed number, or 1."""
    only: str | None = None
    """One function's name; None means all."""
    logs: Path | None = None
    """The functions worker's log folder, if it is on this machine."""
    patience_s: float = PATIENCE_S


class Deployed(msgspec.Struct, frozen=True):
    """The result for one function. `problem` is empty if every instance answered."""

    function: str
    plan: planning.Plan
    instances: int
    took_s: float = 0.0
    problem: str = ""


class Job(msgspec.Struct):
    """The deployment of one function."""

    stage: handler.Stage
    config: function_configs.Config
    plan: planning.Plan
    before: set[functions_api.Consumer]
    """The consumers that were connected before the change."""
    began_s: float
    waiting: set[probes.Instance]
    """Instances that have not answered yet."""
    watch: progress.Watch
    took_s: float = 0.0


Tell = Callable[[str], None]


def _silence(_: str) -> None:
    """Report nothing."""


async def deploy(
    options: settings.Settings,
    parallelism: int | None = None,
    *,
    logs: Path | None = None,
    tell: Tell = _silence,
) -> list[Deployed]:
    """Deploy all functions of this checkout; see `carry_out`, and Request for the arguments."""
    package = await asyncio.to_thread(wheel.build)
    request = Request(package=package, parallelism=parallelism, logs=logs)
    return await carry_out(options, request, tell)


async def preview(options: settings.Settings, request: Request) -> list[Deployed]:
    """Return what would be done, without changing anything.

    Raises:
        BusAway: the broker or its functions worker cannot be reached.
        Misconfigured: a setting or name is wrong.
    """
    async with admin.PulsarAdmin(options.pulsar) as api:
        functions = functions_api.FunctionsApi(api, options.pulsar)
        jobs = [await _job(functions, options, request, stage) for stage in _stages(request)]
    return [Deployed(job.stage.name, job.plan, job.config["parallelism"]) for job in jobs]


async def carry_out(
    options: settings.Settings, request: Request, tell: Tell = _silence
) -> list[Deployed]:
    """Deploy, and wait for an answer of every instance; see Deployed.problem.

    Raises:
        BusAway: the broker or its functions worker cannot be reached.
        DatabaseAway: the database cannot be reached.
        Misconfigured: a setting or name is wrong, or the broker refuses a change.
    """
    await _prepare_database(options)
    async with admin.PulsarAdmin(options.pulsar) as api:
        await _prepare_broker(api, options.topics.partitions)
        functions = functions_api.FunctionsApi(api, options.pulsar)
        jobs = []
        for stage in _stages(request):
            job = await _job(functions, options, request, stage)
            tell(_announcement(job))
            await _do(functions, job, request.package)
            jobs.append(job)
        await _wait_for_new_instances(jobs, min(request.patience_s, CHANGE_S))
        tell("probing every instance")
        async with probes.prober(options) as prober:
            await _probe(prober, jobs, request.patience_s)
        await _wait_until_running(functions, jobs)
        return [await _result(functions, job, options, request) for job in jobs]


async def _prepare_database(options: settings.Settings) -> None:
    database = backends.open_database(options)
    try:
        await database.write(migrate.upgrade)
        await database.write(lambda connection: fixed_settings.keep(connection, options.topics))
    finally:
        await database.close()


async def _prepare_broker(api: admin.PulsarAdmin, partitions: int) -> None:
    await api.ensure_namespace(partitions)
    kept = topics.subscriptions()
    await api.ensure({topic: kept.get(topic, ()) for topic in topics.all_topics()}, partitions)


def _stages(request: Request) -> Sequence[handler.Stage]:
    return topics.STAGES if request.only is None else [topics.stage_named(request.only)]


async def _job(
    functions: functions_api.FunctionsApi,
    options: settings.Settings,
    request: Request,
    stage: handler.Stage,
) -> Job:
    deployed = await functions.config(stage.name)
    parallelism = request.parallelism or (deployed or {}).get("parallelism", 1)
    wanted = planning.with_package(
        function_configs.config_of(stage, options, parallelism), request.package.digest
    )
    return Job(
        stage,
        wanted,
        planning.plan(wanted, deployed),
        await functions.consumers(stage),
        time.perf_counter(),
        {probes.Instance(stage.name, number) for number in range(parallelism)},
        progress.Watch(functions, stage, _logs(request.logs, options, stage.name, parallelism)),
    )


def _announcement(job: Job) -> str:
    reason = f" ({', '.join(job.plan.because)})" if job.plan.because else ""
    return f"{job.stage.name}: {job.plan.action}{reason}"


async def _do(functions: functions_api.FunctionsApi, job: Job, package: wheel.Wheel) -> None:
    match job.plan.action:
        case planning.Action.CREATE:
            await functions.create(job.config, package)
        case planning.Action.UPDATE:
            await functions.update(job.config)
        case planning.Action.RECREATE:
            await _recreate(functions, job, package)
        case planning.Action.NOTHING:
            await _start_if_stopped(functions, job)


async def _recreate(functions: functions_api.FunctionsApi, job: Job, package: wheel.Wheel) -> None:
    """Delete and create a function; its subscription, and so its backlog, must be kept."""
    stage = job.stage
    deployed = await functions.config(stage.name) or {}
    if deployed.get("cleanupSubscription", True):
        await functions.update({**deployed, "cleanupSubscription": False})
        await job.watch.exchanged(job.before, len(job.before), CHANGE_S)
        job.before = await functions.consumers(stage)
    await functions.delete(stage.name)
    await functions.create(job.config, package)


async def _start_if_stopped(functions: functions_api.FunctionsApi, job: Job) -> None:
    """Start a function that was stopped with the admin API, or of which no instance is connected.

    Its status does not show this: the functions worker counts an instance as running only once its
    own connection to it is up, and that may be seconds after the instance has begun to work.
    """
    is_started = await functions.start(job.stage.name)
    if not is_started and not job.before:
        await functions.restart(job.stage.name)


async def _wait_for_new_instances(jobs: Sequence[Job], patience_s: float) -> None:
    """Wait until the old instances have stopped and the wanted number of new ones is connected.

    Answers must come from new instances, and a key's probe must reach its final owner. If instances
    do not start in time, their missing answers will show it.
    """
    for job in jobs:
        old = set() if job.plan.action is planning.Action.NOTHING else job.before
        await job.watch.exchanged(old, job.config["parallelism"], patience_s)


async def _probe(prober: probes.Prober, jobs: Sequence[Job], patience_s: float) -> None:
    """Probe until all instances have answered, or there was no progress for too long."""
    left = patience.Patience(patience_s)
    while waiting := [job for job in jobs if job.waiting]:
        is_single = all(job.config["parallelism"] == 1 for job in waiting)
        with contextlib.suppress(errors.BusAway):  # perhaps only for a moment: no progress now
            await prober.ask([job.stage for job in waiting], is_single=is_single)
        moved = [await job.watch.has_moved() for job in waiting]
        if await _listen(prober, waiting) or any(moved):
            left.progressed()
        if left.is_over:
            return


async def _wait_until_running(functions: functions_api.FunctionsApi, jobs: Sequence[Job]) -> None:
    """Wait until the worker sees the instances that have answered.

    An instance answers once it reads its first topic, and serves the worker when it reads all.
    """
    left = patience.Patience(CHANGE_S)
    for job in jobs:
        wanted = job.config["parallelism"] - len(job.waiting)
        while not left.is_over:
            if (await functions.status(job.stage.name)).get("numRunning", 0) >= wanted:
                break
            await asyncio.sleep(patience.LOOK_EVERY_S)


async def _listen(prober: probes.Prober, waiting: Sequence[Job]) -> bool:
    """Collect answers for one round; tell whether one came from a new instance."""
    is_new = False
    end_s = time.perf_counter() + probes.ROUND_S
    while any(job.waiting for job in waiting) and time.perf_counter() < end_s:
        for place in await prober.answers(probes.ROUND_S):
            for job in waiting:
                if place in job.waiting:
                    is_new = True
                    job.waiting.discard(place)
                    job.took_s = time.perf_counter() - job.began_s
    return is_new


async def _result(
    functions: functions_api.FunctionsApi, job: Job, options: settings.Settings, request: Request
) -> Deployed:
    problem = await _problem(functions, job, options, request.logs) if job.waiting else ""
    took_s = job.took_s or time.perf_counter() - job.began_s
    return Deployed(job.stage.name, job.plan, job.config["parallelism"], took_s, problem)


async def _problem(
    functions: functions_api.FunctionsApi, job: Job, options: settings.Settings, logs: Path | None
) -> str:
    """Describe which instances did not answer, with their exceptions and logs."""
    numbers = sorted(place.instance for place in job.waiting)
    status = await functions.status(job.stage.name)
    lines = [f"no answer from instance {', '.join(map(str, numbers))}"]
    for instance in status.get("instances", []):
        lines += _exceptions(instance)
    if logs:
        files = [progress.log_of(logs, options.pulsar, job.stage.name, each) for each in numbers]
        lines += _log_tail(files[0])
        lines += [f"see {file}" for file in [*files, *layout.logs_in(logs)] if file.is_file()]
    return "\n".join(lines)


def _exceptions(instance: dict[str, Any]) -> list[str]:
    status = instance.get("status", {})
    latest = [*status.get("latestUserExceptions", []), *status.get("latestSystemExceptions", [])]
    said = [f"instance {instance.get('instanceId')}: {e['exceptionString']}" for e in latest[-1:]]
    return [*said, *filter(None, [status.get("error")])]


def _logs(logs: Path | None, options: settings.Settings, name: str, instances: int) -> list[Path]:
    if logs is None:
        return []
    return [progress.log_of(logs, options.pulsar, name, number) for number in range(instances)]


def _log_tail(file: Path) -> list[str]:
    lines = log_tail.of(file)
    return [f"the end of {file}:", *lines] if lines else []


def require_full(options: settings.Settings) -> None:
    """Refuse settings of the embedded engine, which runs the functions itself.

    Raises:
        Misconfigured: the settings are the embedded engine's.
    """
    if options.storage.engine != "full":
        raise errors.Misconfigured(
            "these settings are of the embedded engine, which needs no deployment:"
            " --config names the full engine's (scripts/stack up writes data/stack/souk.toml)"
        )
