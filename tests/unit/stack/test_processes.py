"""The processes of a stack are found again and ended; no other process is touched."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.stack import processes

NAP = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)",
    *NAP,
)

LEADERLESS = (
    sys.executable,
    "-uc",
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
    "print(1); ctypes.CDLL(None).pthread_exit(None)",
)
"""Its first thread has ended, another one runs, as in a large process that was just killed."""


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A mark of this test alone; no process with it is left."""
    yield str(tmp_path)
    processes.end(processes.marked(str(tmp_path)), 0.1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def spawn(command: tuple[str, ...], mark: str, log: Path) -> int:
    return processes.spawn(command, os.environ, mark, log)


def test_process_leads_a_session_and_its_output_is_in_its_log(mark: str, log: Path) -> None:
    command = (sys.executable, "-c", "import os; print(os.getsid(0)); os.write(2, b'oh')")
    pid = spawn(command, mark, log)
    assert processes.until(lambda: not processes.is_alive(pid), 10)
    assert log.read_text().split() == [str(pid), "oh"] or log.read_text() == f"oh{pid}\n"


def test_process_is_known_again(mark: str, log: Path, tmp_path: Path) -> None:
    pid = spawn(NAP, mark, log)
    processes.remember(tmp_path / "pid", pid)
    assert processes.recall(tmp_path / "pid") == pid
    assert processes.memory_bytes(pid) > 0
    processes.end([pid], 5)
    assert processes.recall(tmp_path / "pid") is None
    assert processes.memory_bytes(pid) == 0


def test_process_is_alive_until_its_last_thread_has_ended(mark: str, log: Path) -> None:
    pid = spawn(LEADERLESS, mark, log)
    stat = Path(f"/proc/{pid}/stat")
    assert processes.until(lambda: ") Z " in stat.read_text(), 10)
    assert processes.is_alive(pid)
    processes.end([pid], 5)
    assert not processes.is_alive(pid)


def test_other_process_with_the_same_id_is_not_taken_for_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    processes.remember(file, os.getpid())
    assert processes.recall(file) == os.getpid()
    file.write_text(file.read_text().replace('"started":', '"started":1'))
    assert processes.recall(file) is None


@pytest.mark.parametrize("text", ["", "4711", '{"pid":"x"}'])
def test_broken_file_names_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert processes.recall(tmp_path / "pid") is None


def test_children_are_found_when_their_parent_is_gone(mark: str, log: Path) -> None:
    pid = spawn(PARENT, mark, log)
    assert processes.until(lambda: len(processes.marked(mark)) == 2, 10)
    assert processes.first(mark) == pid
    os.kill(pid, 9)
    assert processes.until(lambda: processes.first(mark) is None, 10)
    (child,) = processes.marked(mark)
    assert child != pid
    processes.end([child], 5)
    assert processes.marked(mark) == []


def test_longer_mark_does_not_match(mark: str, log: Path) -> None:
    spawn(NAP, f"{mark}x", log)
    assert processes.marked(mark) == []
    processes.end(processes.marked(f"{mark}x"), 5)


def test_process_that_ignores_sigterm_is_killed(mark: str, log: Path) -> None:
    pid = spawn(STUBBORN, mark, log)
    assert processes.until(lambda: bool(log.read_text()), 10)
    processes.end([pid], 0.3)
    assert not processes.is_alive(pid)


def test_waiting_ends_with_the_patience() -> None:
    assert not processes.until(lambda: False, 0.1)
    assert processes.until(lambda: True, 0)
