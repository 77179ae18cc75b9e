"""Retries with jitter, by tenacity, in one place.

Only Temporary errors are retried, and the first try costs nothing extra.
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
    """Try for about a second and re-raise the last error: for callers that can tell a client.

    Raises:
        Temporary: of `kind`, the last one.
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
    """Try for ever on Temporary: for stages, which keep their messages while a part is away.

    Every failure is logged and counted under the name of `who` waits.

    Raises:
        Conflict: the database has repeated that as often as it makes sense.
    """
    try:
        return await operation()
    except errors.Conflict:
        raise
    except errors.Temporary as error:
        _tell(who, 1, error)
        return await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            before_sleep=lambda state: _tell(who, state.attempt_number, _error_of(state)),
            reraise=True,
        )(_awaiting(operation))


def _awaiting(operation: Operation[T]) -> Callable[[], Coroutine[None, None, T]]:
    """Make it an `async def`: tenacity awaits nothing else and takes a future for a result."""

    async def run() -> T:
        return await operation()

    return run


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, errors.Temporary) and not isinstance(error, errors.Conflict)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _tell(who: str, attempt: int, error: BaseException | None) -> None:
    metrics.RETRIES.labels(who, type(error).__name__).inc()
    logger.bind(stage=who, attempt=attempt).warning("{who} waits: {error!r}", who=who, error=error)
