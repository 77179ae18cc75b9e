"""The status of a stack: its parts, their processes, its deployed functions. Changes nothing."""

import re
from typing import Any

import httpx
import msgspec

from internal.infra import clock
from internal.infra.pulsar_bus import partitions
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.stack import broker, distribution, prerequisites, processes, stack

ANSWER_S = 5.0
QUICK_S = 10
STANDSTILL_S = 30.0
"""A function whose oldest message is older than this stands still, or is far behind."""
OPERATORS = ("operators", ".dlq")
"""The subscription that keeps dead letters, and how the names of their topics end."""


WANTS = {"perPartition": True, "getPreciseBacklog": True, "getEarliestTimeInBacklog": True}
"""Of the statistics of a topic."""


class PartStatus(msgspec.Struct, frozen=True):
    """One part; `pid` is None if it does not run."""

    name: str
    pid: int | None
    answers: bool
    ports: dict[str, int]
    memory_bytes: int
    version: str
    log: str


class FunctionStatus(msgspec.Struct, frozen=True):
    """One deployed function; `exceptions` are the newest ones that the runtime reports."""

    name: str
    instances: int
    running: int
    restarts: int
    received: int
    exceptions: list[str]
    waiting: int
    """Messages that it has not acknowledged."""
    oldest_s: float
    """How long the oldest of them has waited; 0 without any."""

    @property
    def is_well(self) -> bool:
        """Tell whether all instances run and no message waits for long."""
        return self.running == self.instances and self.oldest_s <= STANDSTILL_S


class Subscription(msgspec.Struct, frozen=True):
    """A durable subscription to one of Souk's topics, and the messages that it keeps."""

    topic: str
    name: str
    waiting: int


class Status(msgspec.Struct, frozen=True):
    """The whole status; `functions` is empty if there are none, or the broker does not answer."""

    folder: str
    parts: list[PartStatus]
    functions: list[FunctionStatus]
    strays: list[int]
    """Function instances whose broker has died."""
    strangers: list[Subscription]
    """Subscriptions that are not Souk's own: what they do not read stays on the disk."""

    @property
    def is_up(self) -> bool:
        """Tell whether every part runs and answers."""
        return all(part.answers for part in self.parts)

    @property
    def is_well(self) -> bool:
        """Tell whether it is up, and every deployed function runs and keeps up."""
        return self.is_up and all(function.is_well for function in self.functions)


def look(at: stack.Stack) -> Status:
    """Return the status of a stack, also of one that was never started.

    Raises:
        Misconfigured: its settings cannot be read.
    """
    parts = [_part(at, name) for name in at.names]
    is_broker_up = any(part.answers for part in parts if part.name == broker.NAME)
    strays = [] if at.pid_of(broker.NAME) else at.pids_of(broker.NAME)
    functions, strangers = _at_broker(at) if is_broker_up else ([], [])
    return Status(str(at.folder.root), parts, functions, strays, strangers)


def _part(at: stack.Stack, name: str) -> PartStatus:
    pid = at.pid_of(name)
    is_broker = name == broker.NAME
    log = at.folder.log(name if is_broker else f"{name}-output")
    return PartStatus(
        name=name,
        pid=pid,
        answers=pid is not None and at.is_ready(name),
        ports={port: at.ports.named()[port] for port in at.port_names_of(name)},
        memory_bytes=processes.memory_bytes(pid) if pid else 0,
        version=f"Pulsar {distribution.VERSION}" if is_broker else _database_version(),
        log=str(log),
    )


def _database_version() -> str:
    server = prerequisites.mysqld()
    if server is None:
        return "not installed"
    said = prerequisites.run([server, "--version"], timeout_s=QUICK_S, environment={})
    number = re.search(r"Ver ([\d.]+)", said)
    return f"{'MariaDB' if 'MariaDB' in said else 'MySQL'} {number[1] if number else ''}"


def _at_broker(at: stack.Stack) -> tuple[list[FunctionStatus], list[Subscription]]:
    chosen = at.settings().pulsar
    place = f"{chosen.tenant}/{chosen.namespace}"
    try:
        with httpx.Client(base_url=chosen.admin_url, trust_env=False, timeout=ANSWER_S) as client:
            subscriptions = _subscriptions(client, place)
            names = _get(client, f"/admin/v3/functions/{place}") or []
            found = [_function(client, f"{place}/{name}", subscriptions) for name in names]
    except (httpx.HTTPError, ValueError) as error:
        raise errors.BusAway(f"{chosen.admin_url}: {error!r}") from error
    own = {one.name for one in found}
    strangers = [
        Subscription(topic, name, stats["msgBacklog"])
        for (topic, name), stats in subscriptions.items()
        if stats["isDurable"] and name not in own and not _keeps_dead_letters(topic, name)
    ]
    return found, strangers


def _get(client: httpx.Client, path: str, **parameters: bool) -> Any:  # noqa: ANN401 - JSON
    answer = client.get(path, params=parameters)
    return answer.json() if answer.is_success else None


def _keeps_dead_letters(topic: str, name: str) -> bool:
    subscription, ending = OPERATORS
    return name == subscription and topic.endswith(ending)


def _subscriptions(client: httpx.Client, place: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the broker's statistics of each subscription, by topic and name."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for full_name in _get(client, f"/admin/v2/persistent/{place}/partitioned") or []:
        topic = full_name.rpartition("/")[2]
        path = f"/admin/v2/persistent/{place}/{topic}/partitioned-stats"
        stats = partitions.with_ages(_get(client, path, **WANTS) or {})
        for name, told in stats.get("subscriptions", {}).items():
            found[topic, name] = told
    return found


def _function(
    client: httpx.Client, name: str, subscriptions: dict[tuple[str, str], dict[str, Any]]
) -> FunctionStatus:
    told = _get(client, f"/admin/v3/functions/{name}/status") or {}
    instances = [instance.get("status", {}) for instance in told.get("instances", [])]
    latest = [
        shown["exceptionString"]
        for instance in instances
        for kind in ("latestUserExceptions", "latestSystemExceptions")
        for shown in instance.get(kind, [])
    ]
    short = name.rpartition("/")[2]
    # Its subscription has its name: internal/deploy/function_configs.py.
    read = [stats for (_, of), stats in subscriptions.items() if of == short]
    return FunctionStatus(
        name=short,
        instances=told.get("numInstances", 0),
        running=told.get("numRunning", 0),
        restarts=sum(instance.get("numRestarts", 0) for instance in instances),
        received=sum(instance.get("numReceived", 0) for instance in instances),
        exceptions=[*latest, *(i["error"] for i in instances if i.get("error"))],
        waiting=sum(stats["msgBacklog"] for stats in read),
        oldest_s=max((_age_s(stats) for stats in read), default=0.0),
    )


def _age_s(stats: dict[str, Any]) -> float:
    """Return the age of a subscription's oldest message; the broker tells 0 or -1 without any."""
    published_us: int = stats["earliestMsgPublishTimeInBacklog"] * 1_000
    if published_us <= 0:
        return 0.0
    return max(clock.SystemClock().now_us() - published_us, 0) / US_PER_SECOND
