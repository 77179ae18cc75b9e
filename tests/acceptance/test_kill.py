"""`kill -9` of the running engine: at random moments, and at every failpoint.

After each run the database, the broker, the gateway's ledger and the clients' log must agree: no
order answered OK is lost or doubled, no card is charged twice, every order comes to its end.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from internal.lab import engine_process
from internal.lab.chaos import trial
from tests.acceptance import runs
from tests.support import failpoints

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2_400)]  # all kills, in the first test

SEED = int(os.environ.get("SOUK_TEST_SEED") or random.randrange(1_000_000))
"""Drawn anew at each run; a failure prints it, and SOUK_TEST_SEED repeats it."""
RUNS_AT_ONCE = 3
"""More than two cores can run at once: the engines wait as much as they work."""

RANDOM_ORDERS = 2_000
RANDOM_KILLS = 6

FAILPOINTS = (
    "bus.after_publish",
    "bus.before_ack",
    "bus.before_publish",
    "db.after_commit",
    "db.before_commit",
    "finalization.after_begin",
    "finalization.after_claim",
    "finalization.after_commit",
    "finalization.before_ack",
    "finalization.before_commit",
    "finalization.received",
    "gateway.after_send",
    "gateway.before_send",
    "order_processing.after_begin",
    "order_processing.after_claim",
    "order_processing.after_commit",
    "order_processing.before_ack",
    "order_processing.before_commit",
    "order_processing.received",
    "payment_processing.after_begin",
    "payment_processing.after_claim",
    "payment_processing.after_commit",
    "payment_processing.before_ack",
    "payment_processing.before_commit",
    "payment_processing.received",
)
"""Every failpoint on the way of an order; a test compares."""
OF_EVENTS = {"relay.before_publish", "relay.after_publish"}
"""Passed by events only: see tests/integration/test_relay_crash.py."""
PASSAGES = ((1, 1), (2, 5), (6, 15))
"""One engine dies at the first passage, the next one somewhat later, the third one later still."""
DATABASE_PASSAGES = ((1, 1), (2, 20), (21, 60))
"""These are passed many times before the intake takes orders."""
ORDERS_MAX = 4_000
"""A failpoint fires long before."""


def random_run(number: int) -> runs.Options:
    """Return a run of many orders and a few random kills."""
    seed = SEED + number
    endings = runs.random_kills(seed, RANDOM_ORDERS, RANDOM_KILLS)
    return runs.Options(
        f"random-{number}", seed, endings, RANDOM_ORDERS, orders_all=True, mix=runs.SLOW_MIX
    )


def failpoint_run(name: str) -> runs.Options:
    """Return a run whose engines die one after another at random passages of a failpoint."""
    rng = random.Random(f"{SEED}/{name}")
    ranges = DATABASE_PASSAGES if name.startswith("db.") else PASSAGES
    endings = tuple(runs.Failpoint(name, rng.randint(*between)) for between in ranges)
    is_about_money = name.startswith(("gateway.", "payment_processing."))
    mix = runs.SLOW_MIX if is_about_money else trial.MIX
    return runs.Options(name, SEED, endings, ORDERS_MAX, mix=mix)


RUNS = {o.name: o for o in (random_run(0), random_run(1), *map(failpoint_run, FAILPOINTS))}


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, shop_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> runs.RunResults:
    """The results of all requested runs, several at a time: their engines wait a lot."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    names = {spec.params.get("name") for spec in specs if spec}
    wanted = [run for name, run in RUNS.items() if name in names]
    folder = tmp_path_factory.mktemp("kill")
    return asyncio.run(runs.run_all(shop_folder, folder, wanted, RUNS_AT_ONCE))


@pytest.mark.parametrize("name", [name for name in RUNS if name.startswith("random-")])
def test_orders_survive_kills_at_random_moments(result_of: runs.ResultOf, name: str) -> None:
    result = result_of(name)
    assert result.exits == (engine_process.KILLED,) * RANDOM_KILLS
    assert result.last_exit == 0
    assert not result.findings
    assert len(result.log.placed) > RANDOM_ORDERS * 8 // 10


@pytest.mark.parametrize("name", FAILPOINTS)
def test_orders_survive_a_kill_at(result_of: runs.ResultOf, name: str) -> None:
    result = result_of(name)
    assert result.exits == (engine_process.KILLED,) * len(PASSAGES)
    assert result.last_exit == 0
    assert not result.findings
    assert len(result.log.placed) >= runs.LAST_ORDERS // 2


def test_every_failpoint_is_tried() -> None:
    assert set(FAILPOINTS) == failpoints.in_code() - OF_EVENTS
