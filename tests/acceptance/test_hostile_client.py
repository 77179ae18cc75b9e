"""A hostile client on a real engine, while a good one works; and engines without one limit each.

A part of `scripts/chaos --only hostile`: one attack and one control, since each takes its time.
"""

from pathlib import Path

import pytest

from internal.lab.chaos.hostile import controls, trial
from tests.acceptance import broken_open_door

pytestmark = pytest.mark.slow

SEED = 1
ATTACK = "wrong headers"
CONTROL = "burst"


async def test_a_good_client_does_not_notice() -> None:
    [scenario] = trial.chosen([ATTACK])
    result = await trial.run(scenario, SEED)
    assert result.is_good, result.told()


async def test_without_the_limit_the_harm_is_found() -> None:
    [control] = controls.chosen([CONTROL])
    result = await controls.run(control, Path(broken_open_door.__file__).parent, SEED)
    assert control.is_found(result), result.told()


def test_each_control_takes_a_limit_away() -> None:
    assert {control.limit for control in controls.all_controls()} == set(broken_open_door.LIMITS)
