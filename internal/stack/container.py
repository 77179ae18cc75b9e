"""Pulsar in a container: the stack's configuration with a container's addresses.

Used while the image is built (Dockerfile, `functions`). Differs from the stack only where the
broker has a machine of its own, so that measurements and tests of the stack are valid here, too.
"""

from pathlib import Path
from typing import Any

import msgspec

from internal.kernel import errors
from internal.stack import broker_conf

HOST = "pulsar"
"""The broker's name in docker-compose.yml: the address that it advertises to clients."""
LOOPBACK_ONLY = frozenset({"listeningInterface", "allowEphemeralPorts"})
"""Settings of a bookie that shares its machine with others."""


def configure(home: Path) -> None:
    """Change a distribution's configuration files to those of the container.

    Raises:
        Misconfigured: the distribution's files are not as expected.
    """
    conf = home / "conf"
    file = conf / "standalone.conf"
    file.write_text(broker_conf.with_properties(file.read_text(), standalone(home)))
    file = conf / "functions_worker.yml"
    file.write_text(broker_conf.with_keys(file.read_text(), worker(home)))
    file = conf / "pulsar_env.sh"
    file.write_text(with_defaults(file.read_text(), broker_conf.memory_and_collector()))


def standalone(home: Path) -> dict[str, str]:
    """Return the settings for standalone.conf."""
    return {
        "advertisedAddress": HOST,
        "STORAGE_PATH": str(home / "data" / "packages"),
        **{line.name: line.value for line in broker_conf.STANDALONE if _applies(line)},
    }


def worker(home: Path) -> dict[str, Any]:
    """Return the settings for functions_worker.yml."""
    return {
        "downloadDirectory": str(home / "data" / "download"),
        "functionRuntimeFactoryConfigs": {"logDirectory": str(home / "logs")},
        **{line.name: msgspec.json.decode(line.value) for line in broker_conf.WORKER},
    }


def with_defaults(script: str, values: dict[str, str]) -> str:
    """Return a shell script that sets variables first, unless the environment has them.

    Raises:
        Misconfigured: the script does not use one of them.
    """
    unknown = [name for name in values if name not in script]
    if unknown:
        raise errors.Misconfigured(f"Pulsar's pulsar_env.sh does not use {', '.join(unknown)}")
    lines = [f'{name}="${{{name}:-{value}}}"' for name, value in values.items()]
    return "\n".join([*lines, script])


def _applies(line: broker_conf.Line) -> bool:
    return line.name not in LOOPBACK_ONLY
