"""Calls to the gateway: each returns the attempt with the state that the call's result implies.

Nothing is recorded here: the caller records the attempt before the call and the result after it.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from loguru import logger

from internal.kernel import errors, money
from internal.payments import store
from internal.payments.gateways.port import Answer, Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptState, Operation


async def send(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Send a recorded attempt for the first time; return it with the state that results."""
    return await _call(attempt, timeout_s, lambda: _request(gateway, merchant_id, attempt))


async def ask(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Look an attempt up by its key; if the gateway does not know it, send it again.

    Sending again is safe, even while the first request is still on its way, because the key is the
    gateway's idempotency key. An uncertain attempt stays UNKNOWN until there is an answer: it never
    becomes FAILED.
    """
    asked = await _call(attempt, timeout_s, lambda: _look_up(gateway, merchant_id, attempt))
    if asked.state is AttemptState.FAILED and attempt.state is not AttemptState.FAILED:
        return msgspec.structs.replace(asked, state=AttemptState.UNKNOWN)
    return asked


async def all_of(calls: Sequence[Awaitable[Attempt]]) -> tuple[Attempt, ...]:
    """Await calls at the same time; return every result, whatever becomes of one of them.

    Raises:
        CancelledError: the caller is cancelled.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return tuple(result for result in results if isinstance(result, Attempt))


async def _call(
    attempt: Attempt, timeout_s: float, call: Callable[[], Awaitable[Answer]]
) -> Attempt:
    """Make one call. Only GatewayAway proves that it had no effect.

    Any other error of an adapter (a connection that was reset, an answer that cannot be read) may
    have come after the money moved: UNKNOWN.
    """
    try:
        async with asyncio.timeout(timeout_s):
            answer = await call()
        return _answered(attempt, answer)
    except errors.GatewayAway:
        return _unanswered(attempt, AttemptState.FAILED)
    except (errors.GatewaySilent, TimeoutError):
        return _unanswered(attempt, AttemptState.UNKNOWN)
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        _log(attempt, error)  # a library cancelled its own work
    except Exception as error:  # noqa: BLE001 - the edge to a foreign library: its errors are its own
        _log(attempt, error)
    return _unanswered(attempt, AttemptState.UNKNOWN)


def _is_cancelled() -> bool:
    """Tell whether somebody has cancelled this task, which an adapter cannot do."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _log(attempt: Attempt, error: BaseException) -> None:
    """Log the type and place of an error, and not its text: that may contain card data."""
    places = traceback.extract_tb(error.__traceback__)
    place = f"{places[-1].name}, line {places[-1].lineno}" if places else "nowhere"
    logger.bind(attempt_key=attempt.key).error(
        "the gateway's adapter failed, so the {operation} is UNKNOWN: {type} in {place}",
        operation=attempt.operation,
        type=f"{type(error).__module__}.{type(error).__qualname__}",
        place=place,
    )


async def _look_up(gateway: Gateway, merchant_id: str, attempt: Attempt) -> Answer:
    answer = await gateway.lookup(attempt.key)
    if answer is None and _lacks_token(attempt):
        raise errors.GatewaySilent  # the first request may still arrive
    if answer is None:
        answer = await _request(gateway, merchant_id, attempt)
    return answer


NO_TOKEN = "no_token"  # noqa: S105 - a decline code
"""The decline code of a charge whose order has no token for it; no gateway is asked."""


def _lacks_token(attempt: Attempt) -> bool:
    return attempt.operation is Operation.SALE and not attempt.card_token


async def _request(gateway: Gateway, merchant_id: str, attempt: Attempt) -> Answer:
    if attempt.operation is Operation.VOID:
        return await gateway.void(Void(attempt.key, attempt.parent_key))
    if _lacks_token(attempt):
        return Answer(GatewayStatus.DECLINED, "", decline_code=NO_TOKEN)
    charge = Charge(
        key=attempt.key,
        merchant_id=merchant_id,
        amount_minor=attempt.asked_minor,
        currency=attempt.currency,
        card_token=attempt.card_token,
    )
    return await gateway.charge(charge)


def _unanswered(attempt: Attempt, state: AttemptState) -> Attempt:
    return msgspec.structs.replace(attempt, state=state, tries=attempt.tries + 1)


def _answered(attempt: Attempt, answer: Answer) -> Attempt:
    """Return the attempt with the gateway's answer.

    Raises:
        Exception: it is not an answer; a status that the port does not know proves nothing.
    """
    return msgspec.structs.replace(
        attempt,
        state=_state_of(attempt, answer),
        answered_minor=money.checked(answer.amount_minor),
        answered_currency=store.fitting("answered_currency", answer.currency),
        gateway_reference=store.fitting("gateway_reference", answer.reference),
        decline_code=store.fitting("decline_code", answer.decline_code),
    )


def _state_of(attempt: Attempt, answer: Answer) -> AttemptState:
    """A sale succeeds only with the amount and the currency that were asked for."""
    if GatewayStatus(answer.status) is GatewayStatus.DECLINED:
        return AttemptState.DECLINED
    asked = attempt.asked_minor, attempt.currency
    is_different = (answer.amount_minor, answer.currency) != asked
    if attempt.operation is Operation.SALE and is_different:
        return AttemptState.DIFFERENT
    return AttemptState.SUCCEEDED
