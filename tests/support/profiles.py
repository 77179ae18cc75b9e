"""How hard Hypothesis tries: a quick, repeatable look by default, much more when asked for.

HYPOTHESIS_PROFILE=thorough tries many more cases, drawn anew at each run.
"""

import os

from hypothesis import HealthCheck, settings

IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
THOROUGHNESS = 20


def load() -> None:
    """Make these the settings of every test that has none of its own."""
    unhurried = settings(
        deadline=None,
        derandomize=not IS_THOROUGH,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("souk", unhurried)
    settings.load_profile("souk")


def tries(quick: int, steps: int = 50) -> settings:
    """Return settings for `quick` examples, many more when thorough; `steps` of a state machine."""
    examples = quick * THOROUGHNESS if IS_THOROUGH else quick
    return settings(max_examples=examples, stateful_step_count=steps)
