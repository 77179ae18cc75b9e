"""How hard Hypothesis tries: a quick, repeatable look by default, much more when asked for.

SOUK_TEST_PROFILE=thorough tries many more cases, drawn anew at each run.
"""

import os

from hypothesis import HealthCheck, settings

IS_THOROUGH = os.environ.get("SOUK_TEST_PROFILE") == "thorough"

_UNHURRIED = settings(
    deadline=None,
    derandomize=not IS_THOROUGH,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def tries(quick: int, steps: int = 50) -> settings:
    """Return settings for `quick` examples, and twenty times as many when thorough.

    `steps` is for state machines.
    """
    examples = quick * 20 if IS_THOROUGH else quick
    return settings(_UNHURRIED, max_examples=examples, stateful_step_count=steps)
