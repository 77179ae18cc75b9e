"""The status of a stack: its parts, their processes, its deployed functions. Changes nothing."""

import re
from typing import Any

import httpx
import msgspec

from internal.kernel import errors
from internal.stack import broker, distribution, prerequisites, processes, stack

ANSWER_S = 5.0
QUICK_S = 10


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


class Status(msgspec.Struct, frozen=True):
    """The whole status; `functions` is empty if there are none, or the broker does not answer."""

    folder: str
    parts: list[PartStatus]
    functions: list[FunctionStatus]
    strays: list[int]
    """Function instances whose broker has died."""

    @property
    def is_up(self) -> bool:
        """Tell whether every part runs and answers."""
        return all(part.answers for part in self.parts)


def look(at: stack.Stack) -> Status:
    """Return the status of a stack, also of one that was never started.

    Raises:
        Misconfigured: its settings cannot be read.
    """
    parts = [_part(at, name) for name in at.names]
    is_broker_up = any(part.answers for part in parts if part.name == broker.NAME)
    strays = [] if at.pid_of(broker.NAME) else at.pids_of(broker.NAME)
    functions = _functions(at) if is_broker_up else []
    return Status(str(at.folder.root), parts, functions, strays)


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


def _functions(at: stack.Stack) -> list[FunctionStatus]:
    chosen = at.settings().pulsar
    where = f"{chosen.admin_url}/admin/v3/functions/{chosen.tenant}/{chosen.namespace}"
    try:
        with httpx.Client(trust_env=False, timeout=ANSWER_S) as client:
            listed = client.get(where)
            names = listed.json() if listed.is_success else []
            return [_function(name, client.get(f"{where}/{name}/status").json()) for name in names]
    except (httpx.HTTPError, ValueError) as error:
        raise errors.BusAway(f"{where}: {error!r}") from error


def _function(name: str, told: dict[str, Any]) -> FunctionStatus:
    instances = [instance.get("status", {}) for instance in told.get("instances", [])]
    latest = [
        shown["exceptionString"]
        for instance in instances
        for kind in ("latestUserExceptions", "latestSystemExceptions")
        for shown in instance.get(kind, [])
    ]
    return FunctionStatus(
        name=name,
        instances=told.get("numInstances", 0),
        running=told.get("numRunning", 0),
        restarts=sum(instance.get("numRestarts", 0) for instance in instances),
        received=sum(instance.get("numReceived", 0) for instance in instances),
        exceptions=[*latest, *(i["error"] for i in instances if i.get("error"))],
    )
