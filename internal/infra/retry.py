"""Retries with jitter, by tenacity, in one place.

Only Temporary errors are retried, and the first attempt costs nothing extra.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import tenacity
from loguru import logger

from internal.infra import metrics
from internal.kernel import errors

T = TypeVar("T")
Operation = Callable[[], Awaitable[T]]

FIRST_DELAY_S = 0.02
LONGEST_DELAY_S = 2.0
SHORT_ATTEMPTS_MAX = 6


async def shortly(kind: type[errors.Temporary], operation: Operation[T]) -> T:
    """Try for about a second and re-raise the last error: for callers that can report it.

    Raises:
        Temporary: the last error of `kind`.
    """
    try:
        return await operation()
    except kind:
        return await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(kind),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            stop=tenacity.stop_after_attempt(SHORT_ATTEMPTS_MAX),
            reraise=True,
        )(_awaiting(operation))


async def until_it_works(who: str, operation: Operation[T]) -> T:
    """Retry Temporary errors forever: for stages, which keep their messages during an outage.

    Every failure is counted under the name `who`, and logged with growing pauses.

    Raises:
        Conflict: the database has already repeated the transaction often enough.
    """
    try:
        return await operation()
    except errors.Conflict:
        raise
    except errors.Temporary as error:
        _report(who, 1, error)
        return await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            before_sleep=lambda state: _report(who, state.attempt_number, _error_of(state)),
            reraise=True,
        )(_awaiting(operation))


def _awaiting(operation: Operation[T]) -> Callable[[], Coroutine[None, None, T]]:
    """Wrap it in an `async def`: tenacity would return any other awaitable as the result."""

    async def run() -> T:
        return await operation()

    return run


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, errors.Temporary) and not isinstance(error, errors.Conflict)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _report(who: str, attempt: int, error: BaseException | None) -> None:
    metrics.RETRIES.labels(who, type(error).__name__).inc()
    name = f"{who} {type(error).__name__}"
    bound = logger.bind(stage=who, attempt=attempt, seldom=name)
    bound.warning("{who} waits: {error!r}", who=who, error=error)
