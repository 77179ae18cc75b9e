"""SIGTERM to real processes: one that does not leave is found and ended, and so is a count."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from typing import cast

import pytest

from internal.flow import topics
from internal.kernel import ids
from internal.lab.chaos import target, terminations
from internal.pipeline import crash_counts
from tests.support import staged_orders

LEAVES, STAYS = "exec sleep 600", "trap '' TERM; echo ready; exec sleep 600"


class Instances:
    """Stands for a Target with one process for each function."""

    def __init__(self, pids: dict[int, str]) -> None:
        self.pids = pids

    async def all_instances(self) -> target.Instances:
        return self.pids


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that are ended after the test."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def one_each(processes: list["subprocess.Popen[str]"], *commands: str) -> target.Target:
    for command in commands:
        started = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True)
        processes.append(started)
        if command == STAYS:
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
    names = [str(stage.name) for stage in topics.STAGES]
    pids = {process.pid: name for process, name in zip(processes, names, strict=True)}
    return cast("target.Target", Instances(pids))


def test_instances_that_leave_are_no_finding(processes: list["subprocess.Popen[str]"]) -> None:
    fault = terminations.Terminate("SIGTERM", 3)
    fired = asyncio.run(fault.strike(one_each(processes, LEAVES, LEAVES, LEAVES)))
    assert not fault.missing(fired)
    assert not list(fault.judged())
    assert fault.note.endswith("0 killed")
    assert all(process.poll() is not None for process in processes)


def test_an_instance_that_stays_is_a_finding_and_is_killed(
    processes: list["subprocess.Popen[str]"],
) -> None:
    fault = terminations.Terminate("SIGTERM", 2, gone_within_s=0.0)
    asyncio.run(fault.strike(one_each(processes, STAYS, STAYS, LEAVES)))
    (finding,) = fault.judged()
    assert (finding.invariant, finding.sentence) == (terminations.INVARIANT, terminations.STAYED)
    assert finding.count == 2
    assert [process.wait() for process in processes[:2]] == [-signal.SIGKILL] * 2


def test_too_few_are_told() -> None:
    assert terminations.Terminate("SIGTERM", 3).missing({"SIGTERM": 2}) == ["SIGTERM: 2 of 3"]


def test_a_count_of_an_order_is_a_finding_and_one_of_another_run_is_not() -> None:
    with staged_orders.database() as connection:
        crash_counts.begin_run(connection, "order_processing", 1)
        earlier, mine = (ids.Subject("order", "demo", name) for name in ("run_1.a", "run.1.a"))
        crash_counts.count(connection, "order_processing", [earlier], 1)
        assert not list(terminations.counted(connection, "run.1"))
        crash_counts.count(connection, "order_processing", [mine], 1)
        (finding,) = terminations.counted(connection, "run.1")
        assert (finding.sentence, finding.count) == (terminations.COUNTED, 1)
