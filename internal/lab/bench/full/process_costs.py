"""The processes of a full engine, found by the ports they listen on and by their parent process.

So their cost can be read no matter how they were started. Needs /proc; without it no process is
found.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from internal.flow import topics
from internal.infra import settings
from internal.lab.bench import cost

PROC = Path("/proc")
BROKER, DATABASE, INTAKE, CLIENT = "broker", "database", "intake", "client"
PARTS = (INTAKE, *(stage.name for stage in topics.STAGES), DATABASE, BROKER, CLIENT)
"""Every part that takes processor time, in the order in which an order passes them."""
_INSTANCE = "python_instance_main.py"
_LISTENING = "0A"
_PARENT = 1
"""Field of /proc/PID/stat, counted after the name (proc(5))."""

Costs = Mapping[str, cost.Cost]
"""By part."""


class Details(msgspec.Struct):
    """The function's details, as the functions worker passes them to an instance."""

    name: str
    tenant: str = ""
    namespace: str = ""


class Processes:
    """The processes of one engine."""

    def __init__(self, options: settings.Settings, intake_pid: int) -> None:
        self._options = options
        broker_pid = listener(urlsplit(options.pulsar.admin_url).port or 0)
        database_pid = listener(options.mysql.port)
        self._pids = {INTAKE: intake_pid, BROKER: broker_pid, DATABASE: database_pid}

    def costs(self) -> dict[str, cost.Cost]:
        """Return each part's cost so far.

        Processor time is summed over the instances of a function; memory is that of the largest.
        """
        alone = {part: cost.of(pid) if pid else cost.NOTHING for part, pid in self._pids.items()}
        found, instances = {**alone, CLIENT: cost.of(os.getpid())}, self.instances()
        for stage in topics.STAGES:
            costs = [cost.of(pid) for pid in instances.get(stage.name, [])]
            cpu_s = sum(each.cpu_s for each in costs)
            rss_mb = max((each.rss_mb for each in costs), default=0.0)
            found[stage.name] = cost.Cost(cpu_s, rss_mb)
        return found

    def instances(self) -> dict[str, list[int]]:
        """Return the process ids of each function's instances."""
        found: dict[str, list[int]] = {}
        broker_pid, place = self._pids[BROKER], self._options.pulsar
        for pid in _pids():
            details = _details_of(pid)
            if details is None or (details.tenant, details.namespace) != (
                place.tenant,
                place.namespace,
            ):
                continue
            if _parent_of(pid) == broker_pid:
                found.setdefault(details.name, []).append(pid)
        return found


def listener(port: int) -> int | None:
    """Return the process that listens on a port of this machine; None if that is not known."""
    inodes = set(_listening_inodes(port))
    for pid in _pids():
        with contextlib.suppress(OSError):
            for descriptor in (PROC / str(pid) / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return pid
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    """Yield the sockets that listen on a port, as the links in /proc/PID/fd name them."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield f"socket:[{rest[5]}]"


def _pids() -> list[int]:
    if not PROC.is_dir():
        return []
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _details_of(pid: int) -> Details | None:
    """Return the details of a function's instance; None for any other process."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if not any(word.endswith(_INSTANCE) for word in words) or "--function_details" not in words:
        return None
    text = words[words.index("--function_details") + 1].strip("'")
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text, type=Details)
    return None


def _parent_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        stat = (PROC / str(pid) / "stat").read_text()
        return int(stat.rpartition(")")[2].split()[_PARENT])
    return None
