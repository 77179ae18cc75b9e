"""Calling the gateway for an attempt, and turning whatever happens into the attempt's next state.

Nothing here is recorded: the caller wrote the attempt down before, and writes down what comes back.
"""

import asyncio

import msgspec

from internal.kernel import errors
from internal.payments.gateways.port import Answer, Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptKind, AttemptState


async def send(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Send a recorded attempt for the first time and return it with what is known then."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _request(gateway, merchant_id, attempt)
    except errors.GatewayAway:
        return _again(attempt, AttemptState.FAILED)
    except (errors.GatewaySilent, TimeoutError):
        return _again(attempt, AttemptState.UNKNOWN)
    return answered(attempt, answer)


async def ask(gateway: Gateway, merchant_id: str, attempt: Attempt, timeout_s: float) -> Attempt:
    """Find out what became of an attempt: by its key, or by sending it again under the same key.

    Sending again is safe because the key is the gateway's idempotency key, even if the first
    request is still on its way. What was uncertain stays UNKNOWN until there is an answer: it is
    never called failed.
    """
    was_failed = attempt.state is AttemptState.FAILED
    try:
        async with asyncio.timeout(timeout_s):
            answer = await gateway.lookup(attempt.key)
            if answer is None:
                answer = await _request(gateway, merchant_id, attempt)
    except errors.GatewayAway:
        return _again(attempt, AttemptState.FAILED if was_failed else AttemptState.UNKNOWN)
    except (errors.GatewaySilent, TimeoutError):
        return _again(attempt, AttemptState.UNKNOWN)
    return answered(attempt, answer)


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


def _again(attempt: Attempt, state: AttemptState) -> Attempt:
    return msgspec.structs.replace(attempt, state=state, checks=attempt.checks + 1)


def answered(attempt: Attempt, answer: Answer) -> Attempt:
    """Return the attempt with the gateway's word on it."""
    won = answer.status is GatewayStatus.SUCCEEDED
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.SUCCEEDED if won else AttemptState.DECLINED,
        gateway_reference=answer.reference,
        decline_code=answer.decline_code,
    )
