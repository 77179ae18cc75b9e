"""Faults on the real stack: every failpoint, and `kill -9` of every part, while orders flow.

Does the same as one run of scripts/chaos. The trials run one after the other on one stack; each is
judged alone. Functions that are broken on purpose must fail the same checks.
"""

import asyncio
import os
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from internal.deploy import wheel
from internal.lab.chaos import campaign, negative_controls, trial
from tests.support import stack as stacks

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("SOUK_TEST_SEED") or random.randrange(1_000_000))
"""Drawn anew at each run; a failure prints it, and SOUK_TEST_SEED repeats it."""
FAULTS = {fault.name: fault for fault in campaign.all_faults(campaign.SAMPLE, SEED)}
CONTROL = negative_controls.all_controls(SEED)[0]
"""The others are tried with the embedded engine, and by scripts/chaos."""
HERE = Path(__file__).parent

Results = Mapping[str, trial.Result]


@pytest.fixture(scope="module")
def package() -> wheel.Wheel:
    """Souk's own wheel."""
    return wheel.build()


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, stack: stacks.Running, package: wheel.Wheel) -> Results:
    """The results of all requested trials."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    names = [spec.params.get("name") for spec in specs if spec]
    plan = campaign.Plan([fault for name, fault in FAULTS.items() if name in names], SEED)
    done: list[trial.Result] = []
    leaks = asyncio.run(campaign.run(stack.stack, package, plan, done.append))
    assert not leaks
    return {result.fault: result for result in done}


@pytest.mark.parametrize("name", FAULTS)
def test_orders_survive(request: pytest.FixtureRequest, results: Results, name: str) -> None:
    result = results[name]
    request.node.add_report_section("call", "run", result.told())
    assert result.is_good, result.told()


async def test_broken_functions_are_found(stack: stacks.Running, package: wheel.Wheel) -> None:
    result = await negative_controls.run(stack.stack, CONTROL, package, HERE, SEED)
    assert CONTROL.is_found(result), result.told()
    assert not result.sentences("I3"), result.told()
