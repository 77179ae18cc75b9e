"""Retries with jitter, by tenacity, in one place.

Only Temporary errors are retried, and the first attempt costs next to nothing extra. A short wait
is only counted; a long one is also logged while it lasts.
"""

import asyncio
import contextvars
import socket
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
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


TOLD_AFTER_S = 10.0
"""A wait that lasts longer is logged, once in as many seconds for the same caller and reason."""
GRACE_S = 0.5
"""A server ends a wait for a row after ten seconds, too: its error is the better reason."""
NO_ANSWER = "no answer yet, or no free connection"

_who: contextvars.ContextVar[str] = contextvars.ContextVar("_who", default="souk")
"""The caller of until_it_works, for whom the database's own retries wait."""
_told_s: dict[tuple[str, str], float] = {}
"""When a line was last logged, by caller and reason."""


async def shortly(kind: type[errors.Temporary], operation: Operation[T]) -> T:
    """Try for about a second and re-raise the last error: for callers that can report it.

    A read that took too long is not repeated: that would take as long again.

    Raises:
        Temporary: the last error of `kind`.
        TooMuchAtOnce: at once; the same again would fail again.
    """
    wait = _Wait()
    try:
        return await operation()
    except errors.TooMuchAtOnce:
        raise
    except kind as error:
        wait.failed(error)
        return await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(partial(_is_worth_it, kind)),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            stop=tenacity.stop_after_attempt(SHORT_ATTEMPTS_MAX),
            after=lambda state: wait.failed(_error_of(state)),
            reraise=True,
        )(_awaiting(operation))
    finally:
        wait.end()


class _Wait:
    """An operation under way. Its attempts that fail are counted; a long wait is logged."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._who, self._reason, self._text = _who.get(), NO_ANSWER, NO_ANSWER
        self._began_s = self._loop.time()
        self._timer = self._loop.call_later(TOLD_AFTER_S + GRACE_S, self._tell_again)

    def failed(self, error: BaseException | None) -> None:
        """Note an attempt that failed."""
        self._reason = getattr(error, "reason", "") or type(error).__name__
        self._text = str(error)
        metrics.TRANSACTION_RETRIES.labels(self._who, self._reason).inc()
        if self._loop.time() - self._began_s >= TOLD_AFTER_S:
            self._tell()

    def end(self) -> None:
        """Log nothing from now on."""
        self._timer.cancel()

    def _tell_again(self) -> None:
        self._timer = self._loop.call_later(TOLD_AFTER_S, self._tell_again)
        self._tell()

    def _tell(self) -> None:
        now_s, key = self._loop.time(), (self._who, self._reason)
        if now_s - _told_s.get(key, -TOLD_AFTER_S) < TOLD_AFTER_S:
            return
        _told_s[key] = now_s
        waited_s = round(now_s - self._began_s)
        logger.bind(stage=self._who, reason=self._reason, waited_s=waited_s).warning(
            "{who}: a transaction has waited for {waited_s} s: {text}",
            who=self._who,
            waited_s=waited_s,
            text=self._text,
        )


async def until_it_works(
    who: str,
    operation: Operation[T],
    ends_at: tuple[type[errors.Temporary], ...] = (errors.Conflict,),
) -> T:
    """Retry Temporary errors forever: for stages, which keep their messages during an outage.

    Every failure is counted under the name `who`, and logged with growing pauses.

    Raises:
        Temporary: one of those in `ends_at`. The database has already repeated a transaction often
            enough that raises Conflict.
    """
    token = _who.set(who)
    try:
        return await _tried(who, operation, ends_at)
    finally:
        _who.reset(token)


async def _tried(
    who: str, operation: Operation[T], ends_at: tuple[type[errors.Temporary], ...]
) -> T:
    try:
        return await operation()
    except ends_at:
        raise
    except errors.Temporary as error:
        _report(who, 1, error)
        return await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(partial(_may_pass, ends_at)),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_DELAY_S, max=LONGEST_DELAY_S),
            before_sleep=lambda state: _report(who, state.attempt_number, _error_of(state)),
            reraise=True,
        )(_awaiting(operation))


def _awaiting(operation: Operation[T]) -> Callable[[], Coroutine[None, None, T]]:
    """Wrap it in an `async def`: tenacity would return any other awaitable as the result."""

    async def run() -> T:
        return await operation()

    return run


def _is_worth_it(kind: type[errors.Temporary], error: BaseException) -> bool:
    return isinstance(error, kind) and not isinstance(error, errors.TooMuchAtOnce)


def _may_pass(ends_at: tuple[type[errors.Temporary], ...], error: BaseException) -> bool:
    return isinstance(error, errors.Temporary) and not isinstance(error, ends_at)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _report(who: str, attempt: int, error: BaseException | None) -> None:
    metrics.RETRIES.labels(who, type(error).__name__).inc()
    name = f"{who} {type(error).__name__}"
    bound = logger.bind(stage=who, attempt=attempt, seldom=name)
    bound.warning("{who} waits: {error!r}", who=who, error=error)


def reason_of(error: OSError) -> str:
    """Return in a few words why a server was not reached."""
    match error:
        case socket.gaierror():
            return f"no such host ({error.strerror})"
        case ConnectionRefusedError():
            return "nothing listens there (connection refused)"
        case TimeoutError():
            return "no answer"
    return error.strerror or str(error) or type(error).__name__
