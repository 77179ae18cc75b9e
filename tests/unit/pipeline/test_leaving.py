"""A process in the official runtime leaves at a signal, whatever its threads do."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from internal.pipeline import leaving
from tests.support import pulsar_runtime

Started = Callable[[str], "subprocess.Popen[str]"]
READY = 'print("ready", flush=True)\nthreading.Event().wait()\n'
HOLDS_ON = "leaving.DEPARTURE.begin_with(lambda: print('asked', flush=True))\n"
"""Something that never ends the process."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start a program as the runtime's main program, and wait until it is ready."""
    running: list[subprocess.Popen[str]] = []

    def start(body: str) -> "subprocess.Popen[str]":
        process = pulsar_runtime.start(tmp_path, body)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", leaving.SIGNALS)
def test_before_there_is_anything_to_finish_a_signal_ends_it(
    started: Started, number: signal.Signals
) -> None:
    process = started(READY)
    process.send_signal(number)
    assert process.wait() == leaving.EXIT_LEFT


def test_it_is_asked_once_for_each_signal_and_ends_itself(started: Started) -> None:
    ends = "asked = []\ndef leave():\n    asked.append(1)\n    print('asked', flush=True)\n"
    second = "    if len(asked) == 2: leaving.exit_process()\n"
    process = started(f"{ends}{second}leaving.DEPARTURE.begin_with(leave)\n{READY}")
    assert process.stdout is not None
    for _ in range(2):
        process.terminate()
        assert process.stdout.readline() == "asked\n"
    assert process.wait() == leaving.EXIT_LEFT


def test_the_kernel_ends_one_that_never_leaves(started: Started) -> None:
    process = started(f"leaving.GONE_S = 0.01\n{HOLDS_ON}{READY}")
    process.terminate()
    assert process.wait() == -signal.SIGALRM


@pytest.mark.parametrize("limits_s", [(3600, 0.01), (0.5, 3600)])
def test_a_second_signal_makes_that_sooner_and_never_later(
    started: Started, limits_s: tuple[float, float]
) -> None:
    process = started(f"leaving.GONE_S, leaving.HURRIED_S = {limits_s}\n{HOLDS_ON}{READY}")
    assert process.stdout is not None
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    process.terminate()
    assert process.wait() == -signal.SIGALRM


def test_a_main_thread_that_has_ended_ends_the_process(started: Started) -> None:
    """As when the runtime's control port is taken: nobody would answer health checks."""
    lives_on = "threading.Thread(target=threading.Event().wait).start()\n"
    assert started(f'{lives_on}print("ready", flush=True)\n').wait() == leaving.EXIT_MAIN_ENDED


def test_a_signal_before_the_handlers_is_obeyed(tmp_path: Path) -> None:
    process = pulsar_runtime.start(tmp_path, READY, to_run=False)
    process.communicate()
    assert process.returncode == leaving.EXIT_LEFT


def test_no_other_program_is_taken_for_the_runtime() -> None:
    assert not leaving.is_in_the_runtime()
    assert Path(sys.argv[0]).name != leaving.RUNTIME
