"""Health checks of an instance by itself, in the official runtime, while its worker lives.

The runtime kills its own process when three checks of the functions worker have not come. On a busy
machine that hits healthy instances. The worker begins to ask when the instance begins to start, and
its pauses between two connections grow (gRPC's backoff): after a start of 30 s the next try is up
to 20 s away, but the instance kills itself after 9 s, and its successor does the same.

That check exists to end instances whose worker has died. The parent process tells this better, so
an instance asks itself, as the worker does, until its parent is gone.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc

METHOD = "/proto.InstanceControl/HealthCheck"
"""Of the runtime's control port."""
WORKER = "java"
"""The name of the worker's process."""
HOST = "127.0.0.1"


def start(arguments: Sequence[str]) -> None:
    """Check this process from a thread, as its command line says, until its parent has ended."""
    found, worker = wanted(arguments), os.getppid()
    if found and is_worker(worker):
        threading.Thread(
            target=_check, args=(worker, *found), name="health checks", daemon=True
        ).start()


def wanted(arguments: Sequence[str]) -> tuple[int, int] | None:
    """Return (port, seconds between checks) of a command line; None if none are expected."""
    port = _number(arguments, "--port")
    every_s = _number(arguments, "--expected_healthcheck_interval")
    return (port, every_s) if port > 0 and every_s > 0 else None


def is_worker(pid: int) -> bool:
    """Tell whether a process may be a functions worker."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == WORKER
    except OSError:
        return False


def _check(worker: int, port: int, every_s: int) -> None:
    pause = threading.Event()
    while os.getppid() == worker:
        ask(port, every_s)
        pause.wait(every_s)


def ask(port: int, patience_s: float) -> bool:
    """Ask the instance at this port for its health, which it notes; tell whether it answered.

    Each time on a new connection, which needs no pause after a failure.
    """
    with grpc.insecure_channel(f"{HOST}:{port}") as channel:
        try:
            channel.unary_unary(METHOD)(b"", timeout=patience_s)
        except grpc.RpcError:
            return False
    return True


def _number(arguments: Sequence[str], option: str) -> int:
    """Return an option's whole number; 0 if it is not given."""
    try:
        return int(arguments[arguments.index(option) + 1])
    except (ValueError, IndexError):
        return 0
