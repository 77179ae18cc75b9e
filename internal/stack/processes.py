"""The processes of a stack: started to outlive the command, found again, ended completely.

A process id alone is not enough: the system may have reused it. So each part's first process is
recorded with its start time, and all of a part's processes carry a mark in their environment
(function instances, too, even after the broker has died). Processes without the mark are never
touched. Needs Linux's /proc.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import tenacity

MARK = "STACK_OF_SOUK"
"""The environment variable that names the stack and the part to which a process belongs."""
LOOK_EVERY_S = 0.1
KILLED_WITHIN_S = 10.0
_STAT_STATE, _STAT_THREADS, _STAT_STARTED = 0, 17, 19
"""Fields of /proc/PID/stat, counted after the name (proc(5))."""


class First(msgspec.Struct, frozen=True):
    """A part's first process: its id, and its start in clock ticks since the machine's start."""

    pid: int
    started: int


def until(condition: Callable[[], bool], patience_s: float) -> bool:
    """Poll a condition; return False if it did not hold within `patience_s`."""
    return bool(
        tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda is_so: not is_so),
            wait=tenacity.wait_fixed(LOOK_EVERY_S),
            stop=tenacity.stop_after_delay(patience_s),
            retry_error_callback=lambda _: False,
        )(condition)
    )


def spawn(command: Sequence[str], environment: Mapping[str, str], mark: str, log: Path) -> int:
    """Start a program in a session of its own and append its output to `log`; return its id."""
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        command[0],
        list(command),
        {**environment, MARK: mark},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), output, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
    )


def remember(file: Path, pid: int) -> None:
    """Record a part's first process."""
    file.write_bytes(msgspec.json.encode(First(pid, _started(pid) or 0)))


def recall(file: Path) -> int | None:
    """Return the id of the recorded process; None if that process has ended."""
    try:
        first = msgspec.json.decode(file.read_bytes(), type=First)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return first.pid if _started(first.pid) == first.started else None


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not.

    A killed process runs until its last thread has ended: until then it holds its ports and files.
    """
    return _started(pid) is not None


def marked(mark: str) -> list[int]:
    """Return the ids of all running processes with this mark, in any order."""
    wanted = os.fsencode(f"{MARK}={mark}")
    return [pid for pid in _pids() if wanted in _environment(pid) and is_alive(pid)]


def first(mark: str) -> int | None:
    """Return the process with this mark that leads a session; None if it has ended."""
    return next((pid for pid in marked(mark) if _session(pid) == pid), None)


def memory_bytes(pid: int) -> int:
    """Return a process's own memory (proportional set size); 0 if it has ended.

    Not the resident set size: Java's collectors map the same memory several times.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:")), 0)


def end(pids: Iterable[int], patience_s: float) -> None:
    """Terminate processes, wait, and kill those that still run; return once none is left."""
    asked = list(pids)
    _signal(asked, signal.SIGTERM)
    if not until(lambda: not any(map(is_alive, asked)), patience_s):
        _signal(asked, signal.SIGKILL)
        until(lambda: not any(map(is_alive, asked)), KILLED_WITHIN_S)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in filter(is_alive, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _started(pid: int) -> int | None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # Reap our own child if it has ended.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    is_over = fields[_STAT_STATE] in {"Z", "X"} and int(fields[_STAT_THREADS]) <= 1
    return None if is_over else int(fields[_STAT_STARTED])


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
