"""The judge of a hostile client: each harm is found, and nothing else."""

import msgspec
import pytest

from internal.lab.chaos.hostile import controls, good_client, trial

WELL = good_client.Figures(ok=200, failed={}, p99_ms=20)
HARMLESS = trial.Observed(
    before=WELL,
    during=WELL,
    memory_mb=100,
    standard_error_bytes=64 * 1024,
    answers={"INVALID_ARGUMENT CARD_NUMBER_REFUSED": 3},
    untyped=0,
    others_refused=(),
)


def slowed(p99_ms: float) -> good_client.Figures:
    return msgspec.structs.replace(WELL, p99_ms=p99_ms)


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({}, []),
        ({"during": slowed(300)}, []),
        ({"during": slowed(301)}, [trial.SLOW]),
        ({"before": slowed(200), "during": slowed(600)}, []),
        ({"before": slowed(200), "during": slowed(601)}, [trial.SLOW]),
        ({"memory_mb": 101}, [trial.MEMORY]),
        ({"standard_error_bytes": 64 * 1024 + 1}, [trial.NOISE]),
        ({"untyped": 1}, [trial.UNTYPED]),
        ({"others_refused": ["RESOURCE_EXHAUSTED TOO_MANY_CALLS"]}, [trial.KEPT_OUT]),
        (
            {"during": msgspec.structs.replace(WELL, failed={"CANCELLED": 1}), "untyped": 1},
            [trial.REFUSED, trial.UNTYPED],
        ),
    ],
)
def test_harm(changes: dict[str, object], sentences: list[str]) -> None:
    seen = msgspec.structs.replace(HARMLESS, **changes)
    found = trial.harm(seen)
    assert [finding.sentence for finding in found] == sentences


def test_failures_without_a_reason_are_told_from_others() -> None:
    failed = {"CANCELLED": 2, "RESOURCE_EXHAUSTED TOO_MANY_CALLS": 3}
    assert msgspec.structs.replace(WELL, failed=failed).untyped == 2


def test_every_attack_has_a_control() -> None:
    attacked = {control.scenario.name for control in controls.all_controls()}
    assert attacked == {scenario.name for scenario in trial.SCENARIOS}
