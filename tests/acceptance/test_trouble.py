"""A database that is down, or slow, or loses the answer to a commit: nothing is lost or doubled.

`raise` before a commit rolls it back; after a commit it simulates the lost answer: the work is done
but the engine does not know.
"""

import asyncio
import random
from pathlib import Path

import pytest

from tests.acceptance import runs

pytestmark = pytest.mark.slow

SEED = random.randrange(1_000_000)
RUNS_AT_ONCE = 3
ANSWERS = 300
LOG_FILE = "souk.log"
TROUBLES = {
    "database-away": "db.before_commit=raise@60-110",
    "commit-answer-lost": "db.after_commit=raise@60-110",
    "database-stands-still": "db.before_commit=sleep@100-102",
    "nothing-can-be-published": "bus.before_publish=raise@20-40",
    "receipt-lost": "bus.after_publish=raise@20-40",
    "nothing-can-be-acknowledged": "bus.before_ack=raise@20-40",
    "orders-not-recorded": "order_processing.before_commit=raise@10-30",
    "payments-not-recorded": "payment_processing.before_commit=raise@10-30",
    "sales-not-recorded": "finalization.before_commit=raise@10-30",
}


def run_through(name: str, failpoints: str) -> runs.Options:
    trouble = runs.Trouble(failpoints, ANSWERS)
    return runs.Options(name, SEED, (trouble,), 10 * ANSWERS, mix=runs.SLOW_MIX)


@pytest.fixture(scope="module")
def results(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> runs.RunResults:
    wanted = [run_through(*trouble) for trouble in TROUBLES.items()]
    folder = tmp_path_factory.mktemp("trouble")
    return asyncio.run(runs.run_all(shop_folder, folder, wanted, RUNS_AT_ONCE))


@pytest.mark.parametrize("name", TROUBLES)
def test_orders_survive(result_of: runs.ResultOf, name: str) -> None:
    result = result_of(name)
    assert result.exits == (0,)
    assert "raise" not in TROUBLES[name] or "failpoint" in (result.folder / LOG_FILE).read_text()
    assert result.last_exit == 0
    assert not result.findings
    assert len(result.log.placed) > ANSWERS * 8 // 10
