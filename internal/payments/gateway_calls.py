"""Calls to the gateway: each returns the attempt with the state that the call's result implies.

Nothing is recorded here: the caller records the attempt before the call and the result after it.
"""

import asyncio

import msgspec

from internal.kernel import errors
from internal.payments.gateways.port import Answer, Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptKind, AttemptState


async def send(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Send a recorded attempt for the first time; return it with the state that results."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _request(gateway, merchant_id, attempt)
    except errors.GatewayAway:
        return _unanswered(attempt, AttemptState.FAILED)
    except (errors.GatewaySilent, TimeoutError):
        return _unanswered(attempt, AttemptState.UNKNOWN)
    return _answered(attempt, answer)


async def ask(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Look an attempt up by its key; if the gateway does not know it, send it again.

    Sending again is safe, even while the first request is still on its way, because the key is the
    gateway's idempotency key. An uncertain attempt stays UNKNOWN until there is an answer: it never
    becomes FAILED.
    """
    was_failed = attempt.state is AttemptState.FAILED
    try:
        async with asyncio.timeout(timeout_s):
            answer = await gateway.lookup(attempt.key)
            if answer is None:
                answer = await _request(gateway, merchant_id, attempt)
    except errors.GatewayAway:
        return _unanswered(attempt, AttemptState.FAILED if was_failed else AttemptState.UNKNOWN)
    except (errors.GatewaySilent, TimeoutError):
        return _unanswered(attempt, AttemptState.UNKNOWN)
    return _answered(attempt, answer)


async def _request(gateway: Gateway, merchant_id: str, attempt: Attempt) -> Answer:
    if attempt.kind is AttemptKind.VOID:
        return await gateway.void(Void(attempt.key, attempt.voids_key))
    charge = Charge(
        key=attempt.key,
        merchant_id=merchant_id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        card_token=attempt.card_token,
    )
    return await gateway.charge(charge)


def _unanswered(attempt: Attempt, state: AttemptState) -> Attempt:
    return msgspec.structs.replace(attempt, state=state, checks=attempt.checks + 1)


def _answered(attempt: Attempt, answer: Answer) -> Attempt:
    succeeded = answer.status is GatewayStatus.SUCCEEDED
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.SUCCEEDED if succeeded else AttemptState.DECLINED,
        gateway_reference=answer.reference,
        decline_code=answer.decline_code,
    )
