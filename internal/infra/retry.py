"""Retries with jitter, by tenacity, in one place. Only Temporary errors are ever retried."""

import tenacity
from loguru import logger

from internal.infra import metrics
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


def until_it_works(who: str) -> tenacity.AsyncRetrying:
    """Return an endless retrying on Temporary: for stages, which keep their messages while a part is away.

    Every try is logged under the name of `who` waits.
    """
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(errors.Temporary),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
        before_sleep=lambda state: _tell(who, state),
        reraise=True,
    )


def _tell(who: str, state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    metrics.RETRIES.labels(who, type(error).__name__).inc()
    logger.bind(stage=who, attempt=state.attempt_number).warning(
        "{who} waits: {error!r}", who=who, error=error
    )
