"""Faults on the real stack: every failpoint, and `kill -9` of every part, while orders flow.

Does the same as one run of scripts/chaos. The trials run one after the other on one stack; each is
judged alone. Functions that are broken on purpose must fail the same checks.
"""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from internal.deploy import wheel
from internal.lab.chaos import campaign, negative_controls
from tests.support import stack as stacks

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("SOUK_TEST_SEED") or random.randrange(1_000_000))
"""Drawn anew at each run; a failure prints it, and SOUK_TEST_SEED repeats it."""
FAULTS = {fault.name: fault for fault in campaign.all_faults(campaign.SAMPLE, SEED)}
CONTROL = negative_controls.all_controls(SEED)[0]
"""The others are tried with the embedded engine, and by scripts/chaos."""
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def package() -> wheel.Wheel:
    """Souk's own wheel."""
    return wheel.build()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trials(stack: stacks.Running, package: wheel.Wheel) -> AsyncIterator[campaign.Campaign]:
    """All trials; at the end, no card number was found anywhere."""
    async with campaign.Campaign(stack.stack, package, SEED) as opened:
        yield opened
    assert not opened.leaks


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FAULTS)
async def test_orders_survive(
    request: pytest.FixtureRequest, trials: campaign.Campaign, name: str
) -> None:
    result = await trials.tried(FAULTS[name])
    request.node.add_report_section("call", "run", result.told())
    assert result.is_good, result.told()


@pytest.mark.asyncio(loop_scope="module")
async def test_broken_functions_are_found(
    stack: stacks.Running, package: wheel.Wheel, trials: campaign.Campaign
) -> None:
    await trials.close()
    result = await negative_controls.run(stack.stack, CONTROL, package, HERE, SEED)
    assert CONTROL.is_found(result), result.told()
    assert not result.sentences("I3"), result.told()
