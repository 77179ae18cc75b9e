"""Which signs are progress of an instance that comes up, and which are only noise."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from internal.deploy import progress
from internal.deploy.progress import Signs

FIRST = Signs(running=1, restarts=2, exceptions=3, consumers=frozenset({("a", "1")}), log_bytes=9)


def later(**changes: Any) -> Signs:  # noqa: ANN401 - any field
    return msgspec.structs.replace(FIRST, **changes)


@pytest.mark.parametrize(
    "now",
    [
        later(running=2),
        later(restarts=3),
        later(consumers=frozenset({("b", "2")})),
        later(log_bytes=10),
        later(log_bytes=10, restarts=3, exceptions=0),
    ],
)
def test_progress(now: Signs) -> None:
    assert now.has_moved(FIRST, FIRST)


@pytest.mark.parametrize(
    "now",
    [
        FIRST,
        later(running=0),
        later(consumers=frozenset()),
        later(log_bytes=10, exceptions=4),  # each probe adds a traceback
        later(restarts=2 + progress.RESTARTS_MAX + 1, running=2, log_bytes=10),
    ],
)
def test_no_progress(now: Signs) -> None:
    assert not now.has_moved(FIRST, FIRST)


def test_an_instance_that_dies_at_its_start_is_waited_for_a_few_times_only() -> None:
    before, waits = FIRST, 0
    for restarts in range(3, 100):
        now = later(restarts=restarts, log_bytes=FIRST.log_bytes + restarts)
        waits += now.has_moved(before, FIRST)
        before = now
    assert waits == progress.RESTARTS_MAX


def test_signs_are_added_over_all_instances(tmp_path: Path) -> None:
    status = {
        "instances": [
            {"status": {"running": True, "numRestarts": 1, "numUserExceptions": 2}},
            {"status": {"running": False, "numSystemExceptions": 3}},
            {},
        ]
    }
    log = tmp_path / "f-0.log"
    log.write_text("four")
    found = progress.signs(status, {("a", "1")}, [log, tmp_path / "f-1.log"])
    assert found == Signs(1, 1, 5, frozenset({("a", "1")}), 4)
