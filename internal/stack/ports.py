"""The ports of one stack. All are on loopback; a stack stores its ports in its folder.

Two stacks can run side by side if they share neither folder nor port.
"""

import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec

from internal.console import own_ports
from internal.kernel import errors

HOST = "127.0.0.1"


class Ports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the parts listen; 0 means any free port, which `resolved` chooses."""

    pulsar: int = 6_650
    """The broker's binary protocol: producers and consumers."""
    admin: int = 8_080
    """The broker's HTTP: administration, functions, metrics."""
    bookie: int = 3_181
    """The broker's storage; only the broker connects to it."""
    mysql: int = 33_306
    """Not 3306, the usual port of the machine's own database."""

    def named(self) -> dict[str, int]:
        """Return {name: port}."""
        return msgspec.structs.asdict(self)


FREE = Ports(0, 0, 0, 0)
"""Any free ports: for tests, and for a second stack."""


def moved(offset: int) -> Ports:
    """Return the usual ports, each `offset` higher."""
    return Ports(**{name: port + offset for name, port in Ports().named().items()})


def resolved(ports: Ports) -> Ports:
    """Return the ports with a free one for each 0.

    Raises:
        Misconfigured: two parts cannot share a port.
    """
    wanted = ports.named()
    chosen = {name: port for name, port in wanted.items() if port}
    if len(set(chosen.values())) < len(chosen):
        raise errors.Misconfigured(f"two parts cannot share a port: {_listed(chosen.items())}")
    missing = [name for name in wanted if name not in chosen]
    found = _free(len(missing), frozenset(chosen.values()))
    return Ports(**chosen, **dict(zip(missing, found, strict=True)))


def _free(count: int, others: frozenset[int]) -> list[int]:
    """Find free ports; all are held until the last is found, so that none is found twice."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.create_server((HOST, 0))
            held.append(candidate)
            if candidate.getsockname()[1] in others:
                count += 1
        return [port for s in held if (port := s.getsockname()[1]) not in others]
    finally:
        for one in held:
            one.close()


def refuse_taken(ports: Ports, names: Iterable[str]) -> None:
    """Make sure that the ports of these parts are free.

    Raises:
        Misconfigured: a port is taken; the message names it and the option to change it.
    """
    taken = [(name, ports.named()[name]) for name in names if _is_taken(ports.named()[name])]
    if taken:
        options = " ".join(f"--{name}-port 0" for name, _ in taken)
        raise errors.Misconfigured(
            f"already in use by another program: port {_listed(taken)}; choose others, as"
            f" {options} (0 means any free port), or move all of them: {own_ports.MOVE}"
        )


def _is_taken(port: int) -> bool:
    try:
        # As servers do (SO_REUSEADDR), so that closed connections of an earlier run do not count.
        with socket.create_server((HOST, port)):
            return False
    except PermissionError as error:
        raise errors.Misconfigured(f"port {port} is reserved for the administrator") from error
    except OSError:
        return True


def _listed(ports: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{port} ({name})" for name, port in ports)


def recalled(file: Path) -> Ports | None:
    """Read the ports of a stack's last start; None if it never ran.

    Raises:
        Misconfigured: the file cannot be understood.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ports)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise errors.Misconfigured(f"{file} cannot be understood: {error}") from error


def remember(file: Path, ports: Ports) -> None:
    """Write the ports for the next command."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(ports)) + b"\n")
