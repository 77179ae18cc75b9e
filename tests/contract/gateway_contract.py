"""The contract of every implementation of internal.payments.gateways.port.Gateway.

The test file of an implementation derives from `GatewayContract`, with a fixture `access`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from internal.kernel import errors
from internal.payments import gateway_calls
from internal.payments.gateways.port import Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptState, Operation

KEYS = itertools.count(1)


class GatewayAccess(Protocol):
    """Access to one gateway and its ledger, which the next object opened there finds again."""

    ok: str
    """A token whose charges succeed."""
    declined: str
    """A token whose charges are declined with the code no_funds."""
    lost_answer: str
    """A token whose first charge succeeds, but the answer is lost."""
    lost_request: str
    """A token whose first charge never arrives."""
    away_once: str
    """A token whose first connection is refused."""
    partial: str
    """A token whose charges take less than was asked for: 350 of 700."""

    def open(self) -> Gateway:
        """Open the gateway."""
        ...

    def captured(self) -> dict[str, int]:
        """Return what the ledger holds: {key: minor units} captured and not voided."""
        ...


def charge(token: str, *, key: str = "", amount_minor: int = 700) -> Charge:
    return Charge(
        key=key or f"m-1/o-{next(KEYS)}/1",
        merchant_id="m-1",
        amount_minor=amount_minor,
        currency="EUR",
        card_token=token,
    )


def attempt(token: str, state: AttemptState = AttemptState.PENDING) -> Attempt:
    request = charge(token)
    return Attempt(
        order_key=1,
        attempt_no=1,
        operation=Operation.SALE,
        tender_no=1,
        asked_minor=request.amount_minor,
        currency="EUR",
        key=request.key,
        state=state,
        card_token=token,
    )


class GatewayContract:
    """The tests; derive from it, with a fixture `access`."""

    @pytest.fixture
    async def gateway(self, access: GatewayAccess) -> AsyncIterator[Gateway]:
        gateway = access.open()
        yield gateway
        await gateway.close()

    async def test_a_charge_is_captured(self, access: GatewayAccess, gateway: Gateway) -> None:
        request = charge(access.ok)
        answer = await gateway.charge(request)
        assert answer.status is GatewayStatus.SUCCEEDED
        assert answer.reference
        assert (answer.amount_minor, answer.currency) == (700, "EUR")
        assert access.captured() == {request.key: 700}

    async def test_a_charge_is_declined(self, access: GatewayAccess, gateway: Gateway) -> None:
        answer = await gateway.charge(charge(access.declined))
        assert (answer.status, answer.decline_code) == (GatewayStatus.DECLINED, "no_funds")
        assert (answer.amount_minor, answer.currency) == (0, "")
        assert not access.captured()

    async def test_a_part_of_the_amount_is_told(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.partial)
        answer = await gateway.charge(request)
        assert answer.status is GatewayStatus.SUCCEEDED
        assert (answer.amount_minor, answer.currency) == (350, "EUR")
        assert await gateway.lookup(request.key) == answer
        assert access.captured() == {request.key: 350}

    @pytest.mark.parametrize("kind", ["ok", "declined"])
    async def test_the_same_key_again_is_the_same_answer(
        self, access: GatewayAccess, gateway: Gateway, kind: str
    ) -> None:
        request = charge(getattr(access, kind))
        first = await gateway.charge(request)
        again = await asyncio.gather(*(gateway.charge(request) for _ in range(5)))
        assert set(again) == {first}
        assert sum(access.captured().values()) == (700 if kind == "ok" else 0)

    async def test_the_same_key_never_takes_another_amount(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.ok)
        first = await gateway.charge(request)
        other = charge(access.ok, key=request.key, amount_minor=900)
        assert await gateway.charge(other) == first
        assert access.captured() == {request.key: 700}

    async def test_five_at_once_are_one_charge(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.ok)
        answers = await asyncio.gather(*(gateway.charge(request) for _ in range(5)))
        assert len(set(answers)) == 1
        assert access.captured() == {request.key: 700}

    async def test_a_request_is_looked_up_by_its_key(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.ok)
        assert await gateway.lookup(request.key) is None
        answer = await gateway.charge(request)
        assert await gateway.lookup(request.key) == answer
        back = Void(request.key + "/void", request.key)
        assert await gateway.lookup(back.key) is None
        voided = await gateway.void(back)
        assert await gateway.lookup(back.key) == voided

    async def test_a_lost_answer_is_found_again(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.lost_answer)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        found = await gateway.lookup(request.key)
        assert found is not None
        assert found.status is GatewayStatus.SUCCEEDED
        assert await gateway.charge(request) == found
        assert access.captured() == {request.key: 700}

    async def test_a_lost_request_is_not_found(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.lost_request)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        assert await gateway.lookup(request.key) is None
        assert (await gateway.charge(request)).status is GatewayStatus.SUCCEEDED

    async def test_a_refused_connection_has_no_effect(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.away_once)
        with pytest.raises(errors.GatewayAway):
            await gateway.charge(request)
        assert await gateway.lookup(request.key) is None
        assert not access.captured()
        assert (await gateway.charge(request)).status is GatewayStatus.SUCCEEDED

    async def test_a_void_returns_the_money(self, access: GatewayAccess, gateway: Gateway) -> None:
        request = charge(access.ok)
        await gateway.charge(request)
        back = Void(request.key + "/void", request.key)
        first = await gateway.void(back)
        assert first.status is GatewayStatus.SUCCEEDED
        assert await gateway.void(back) == first
        assert not access.captured()

    async def test_a_void_reverses_a_charge_whose_answer_was_lost(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.lost_answer)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        await gateway.void(Void(request.key + "/void", request.key))
        assert not access.captured()

    async def test_a_void_bars_a_charge_that_comes_late(
        self, access: GatewayAccess, gateway: Gateway
    ) -> None:
        request = charge(access.ok)
        barred = await gateway.void(Void(request.key + "/void", request.key))
        assert barred.status is GatewayStatus.SUCCEEDED
        assert (await gateway.charge(request)).status is GatewayStatus.DECLINED
        found = await gateway.lookup(request.key)
        assert found is not None
        assert found.status is GatewayStatus.DECLINED
        assert not access.captured()

    async def test_the_ledger_survives(self, access: GatewayAccess, gateway: Gateway) -> None:
        request, other = charge(access.ok), charge(access.ok)
        answer = await gateway.charge(request)
        await gateway.void(Void(other.key + "/void", other.key))
        reopened = access.open()
        assert await reopened.lookup(request.key) == answer
        assert await reopened.charge(request) == answer
        assert (await reopened.charge(other)).status is GatewayStatus.DECLINED
        await reopened.close()
        assert access.captured() == {request.key: 700}

    @pytest.mark.parametrize(
        ("kind", "state"),
        [
            ("ok", AttemptState.SUCCEEDED),
            ("declined", AttemptState.DECLINED),
            ("partial", AttemptState.DIFFERENT),
            ("lost_answer", AttemptState.UNKNOWN),
            ("lost_request", AttemptState.UNKNOWN),
            ("away_once", AttemptState.FAILED),
        ],
    )
    async def test_the_first_call_decides_the_state_of_an_attempt(
        self, access: GatewayAccess, gateway: Gateway, kind: str, state: AttemptState
    ) -> None:
        pending = attempt(getattr(access, kind))
        sent = await gateway_calls.send(gateway, "m-1", pending, 5.0)
        assert sent.state is state
        asked = await gateway_calls.ask(gateway, "m-1", sent, 5.0)
        if kind in {"declined", "partial"}:
            assert asked.state is sent.state
        else:
            assert asked.state is AttemptState.SUCCEEDED
        taken = {"declined": {}, "partial": {pending.key: 350}}
        assert access.captured() == taken.get(kind, {pending.key: 700})
