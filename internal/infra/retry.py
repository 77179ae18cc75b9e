"""Retries with jitter, by tenacity, in one place. Only Temporary errors are ever retried."""

import tenacity

from internal.kernel import errors

FIRST_DELAY_S = 0.02
LONGEST_DELAY_S = 2.0
SHORT_ATTEMPTS_MAX = 6


def attempts_on(kind: type[errors.Temporary]) -> tenacity.AsyncRetrying:
    """Return a short retrying (about a second) that re-raises the last error: for callers that can tell a client."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(kind),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
        stop=tenacity.stop_after_attempt(SHORT_ATTEMPTS_MAX),
        reraise=True,
    )


def until_it_works() -> tenacity.AsyncRetrying:
    """Return an endless retrying on Temporary: for stages, which keep their messages while a part is away."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(errors.Temporary),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
        reraise=True,
    )
