"""Negative controls: engines without one of the limits must show the harm that the limit prevents.

The limits are taken away by a start script that the caller hands in; no other code can do it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from internal.lab.chaos import trial as chaos_trial
from internal.lab.chaos.hostile import trial

SCRIPT = "broken_open_door.py"
WITHOUT = "WITHOUT_LIMIT"
"""The variable that tells the script which limit to take away."""


class Control(msgspec.Struct, frozen=True):
    """A limit that is taken away, the attack that exposes it, and the finding that must follow."""

    limit: str
    scenario: trial.Scenario
    sentence: str
    variables: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """Its name for people."""
        return f"control: {self.scenario.name}, without its limit"

    def is_found(self, result: chaos_trial.Result) -> bool:
        """Tell whether the harm was found as it must be."""
        return self.sentence in result.sentences(trial.INVARIANT)


def all_controls() -> list[Control]:
    """Return every control."""
    scenario = {one.name.removeprefix("hostile: "): one for one in trial.SCENARIOS}
    return [
        Control("text", scenario["long texts"], trial.SLOW),
        Control("elements", scenario["many elements"], trial.SLOW),
        Control("shares", scenario["headers only"], trial.REFUSED),
        Control("watches", scenario["all watches"], trial.KEPT_OUT),
        Control("pages", scenario["long pages"], trial.SLOW),
        Control("log", scenario["wrong headers"], trial.NOISE, {"GRPC_VERBOSITY": "ERROR"}),
        Control("queue", scenario["burst"], trial.UNTYPED),
        Control("answers", scenario["unread answers"], trial.SLOW),
    ]


def chosen(only: Sequence[str]) -> list[Control]:
    """Return the controls whose names contain one of `only`; all controls if it is empty."""
    return [one for one in all_controls() if not only or any(word in one.name for word in only)]


async def run(control: Control, broken: Path, seed: int) -> chaos_trial.Result:
    """Run the attack on an engine without the limit.

    Args:
        control: the control to try.
        broken: the folder of the broken code.
        seed: only told with the result.
    """
    variables = {WITHOUT: control.limit, **control.variables}
    return await trial.run(
        control.scenario, seed, script=broken / SCRIPT, variables=variables, title=control.name
    )
