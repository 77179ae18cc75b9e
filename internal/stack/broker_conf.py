"""Pulsar's configuration for a stack: tables of what differs from the distribution, and why.

No setting makes a message less durable than the distribution's standalone does.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from internal.kernel import errors
from internal.stack import layout, ports

LIVENESS_CHECK_MS = 3_000
"""How soon a dead function instance is noticed; the distribution's 30 s are long at a checkout."""


class Line(NamedTuple):
    """A setting with its reason."""

    name: str
    value: str
    why: str


JAVA: tuple[Line, ...] = (
    Line("-Xms", "512m", "an idle stack is small"),
    Line("-Xmx", "1500m", "broker, bookie and functions worker together; half of it is ever used"),
    Line("-XX:MaxDirectMemorySize=", "1g", "the bookie's and the broker's caches take their share"),
    Line("-XX:+UseParallelGC", "", "two cores: no threads that collect beside the work, as ZGC's"),
    Line("-XX:+PerfDisableSharedMem", "", "no file that the kernel writes back during a pause"),
    Line("-XX:+ExitOnOutOfMemoryError", "", "a broker without memory must be seen to be dead"),
)
"""The distribution has 2 GiB of heap, touched at its start, 4 GiB of direct memory, and ZGC."""

_THREADS = "its default is for a server; two cores gain nothing from more threads than this"
STANDALONE: tuple[Line, ...] = (
    Line("allowEphemeralPorts", "true", "or the bookie ignores the port that it is given"),
    Line("listeningInterface", "lo", "the bookie on loopback: it knows interfaces, not addresses"),
    Line("journalSyncData", "true", "a receipt means: on the disk; default: in the system's cache"),
    Line("brokerDeleteInactiveTopicsEnabled", "false", "topics stay without connected clients"),
    Line("managedLedgerNewEntriesCheckDelayInMillis", "0", "deliver at once; default: 10 ms late"),
    Line("webSocketServiceEnabled", "false", "it is not used; one open port less"),
    Line("numHttpServerThreads", "8", "as many as the functions worker has"),
    Line("numOrderedExecutorThreads", "2", _THREADS),
    Line("numCacheExecutorThreadPoolSize", "2", _THREADS),
    Line("topicOrderedExecutorThreadNum", "2", _THREADS),
    Line("numWorkerThreadsForNonPersistentTopic", "1", "it carries a probe now and then"),
    Line("managedLedgerNumSchedulerThreads", "2", _THREADS),
    Line("bookkeeperNumberOfChannelsPerBookie", "4", "one bookie, and it is on this machine"),
)
WORKER: tuple[Line, ...] = (
    Line("instanceLivenessCheckFreqMs", str(LIVENESS_CHECK_MS), "a dead instance is back in 3 s"),
    Line("numFunctionPackageReplicas", "1", "there is one bookie"),
)


class Files(NamedTuple):
    """The files that `write` has written."""

    standalone: Path
    worker: Path


def write(of: layout.Folder, chosen: ports.Ports, home: Path) -> Files:
    """Write the stack's configuration, made from the distribution's in `home`.

    Raises:
        Misconfigured: the distribution's files are not as expected.
    """
    files = Files(
        of.pulsar / "conf" / "standalone.conf", of.pulsar / "conf" / "functions_worker.yml"
    )
    original = (home / "conf" / "standalone.conf").read_text()
    files.standalone.write_text(with_properties(original, standalone(of, chosen)))
    original = (home / "conf" / "functions_worker.yml").read_text()
    files.worker.write_text(with_keys(original, worker(of, chosen)))
    return files


def standalone(of: layout.Folder, chosen: ports.Ports) -> dict[str, str]:
    """Return the settings for standalone.conf."""
    return {
        "brokerServicePort": str(chosen.pulsar),
        "webServicePort": str(chosen.admin),
        "bindAddress": ports.HOST,
        "advertisedAddress": ports.HOST,
        # Of the functions' packages; the default is relative to the distribution.
        "STORAGE_PATH": str(of.pulsar / "data" / "packages"),
        "narExtractionDirectory": str(of.pulsar / "data" / "nar"),
        **{line.name: line.value for line in STANDALONE},
    }


def worker(of: layout.Folder, chosen: ports.Ports) -> dict[str, Any]:
    """Return the settings for functions_worker.yml; its process runtime is the default."""
    return {
        "workerHostname": ports.HOST,
        "workerPort": chosen.admin,
        "pulsarServiceUrl": f"pulsar://{ports.HOST}:{chosen.pulsar}",
        "pulsarWebServiceUrl": f"http://{ports.HOST}:{chosen.admin}",
        "downloadDirectory": str(of.pulsar / "data" / "download"),
        "functionRuntimeFactoryConfigs": {"logDirectory": str(of.logs)},
        **{line.name: json.loads(line.value) for line in WORKER},
    }


def with_properties(text: str, values: Mapping[str, str]) -> str:
    """Return a properties file with these values: in place of existing names, else at the end."""
    rest = dict(values)
    lines = []
    for line in text.splitlines():
        name = re.match(r"([A-Za-z_][\w.]*)\s*=", line)
        known = name is not None and name[1] in values
        lines.append(f"{name[1]}={values[name[1]]}" if name and known else line)
        if name:
            rest.pop(name[1], None)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in rest.items())]) + "\n"


def with_keys(text: str, values: Mapping[str, Any]) -> str:
    """Return a YAML file with these values at its top.

    Raises:
        Misconfigured: the text is not a mapping.
    """
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise errors.Misconfigured("Pulsar's functions_worker.yml is not a mapping")
    return yaml.safe_dump({**found, **values}, sort_keys=False)


def memory_and_collector() -> dict[str, str]:
    """Return the JVM's flags, as bin/pulsar takes them."""
    flags = [line.name + line.value for line in JAVA]
    is_memory = ("-Xm", "-XX:MaxDirect")
    return {
        "PULSAR_MEM": " ".join(flag for flag in flags if flag.startswith(is_memory)),
        "PULSAR_GC": " ".join(flag for flag in flags if not flag.startswith(is_memory)),
        # Must not be empty; this value writes no log files of the collector.
        "PULSAR_GC_LOG": "-Xlog:disable -Xlog:all=warning:stderr",
    }
