"""The cost of a process is read from /proc; a process that is gone has none."""

import os
from pathlib import Path

import pytest

from internal.lab.bench import cost

NO_SUCH_PID = 2**22 + 1
"""Above the kernel's largest process id."""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_own_process_has_a_cost() -> None:
    found = cost.of(os.getpid())
    assert found.cpu_s > 0
    assert found.rss_mb > 1


def test_process_that_is_gone_costs_nothing() -> None:
    assert cost.of(NO_SUCH_PID) == cost.NOTHING
