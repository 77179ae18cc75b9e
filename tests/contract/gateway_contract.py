"""The contract of every payment gateway behind internal.payments.gateway.Gateway must do.

An implementation's own test file derives from `GatewayContract` with a fixture `home`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from internal.kernel import errors
from internal.payments import gateway_calls
from internal.payments.gateways.port import Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptKind, AttemptState, TenderKind

KEYS = itertools.count(1)


class Home(Protocol):
    """The storage of a gateway's ledger; the next object opened there finds it."""

    ok: str
    """A token whose charges succeed."""
    declined: str
    """One whose charges are declined with the code no_funds."""
    lost_answer: str
    """One whose first charge succeeds, but its answer is lost."""
    lost_request: str
    """One whose first charge never arrives."""
    away_once: str
    """One whose first charge is rejected without effect."""

    def open(self) -> Gateway:
        """Return a gateway that is ready."""
        ...

    def close(self, gateway: Gateway) -> None:
        """Close one."""
        ...

    def captured(self) -> dict[str, int]:
        """Return the ledger: {key: minor units} captured and not given back."""
        ...


def charge(token: str, *, key: str = "", amount_minor: int = 700) -> Charge:
    return Charge(key or f"m-1/o-{next(KEYS)}/1", "m-1", amount_minor, "EUR", token)


def attempt(token: str, state: AttemptState = AttemptState.PENDING) -> Attempt:
    request = charge(token)
    return Attempt(
        order_key=1,
        attempt_no=1,
        kind=AttemptKind.CHARGE,
        tender_no=0,
        tender_kind=TenderKind.CARD,
        amount_minor=request.amount_minor,
        currency="EUR",
        key=request.key,
        state=state,
        card_token=token,
    )


class GatewayContract:
    """Derive from it, with a fixture `home`."""

    @pytest.fixture
    async def gateway(self, home: Home) -> AsyncIterator[Gateway]:
        gateway = home.open()
        yield gateway
        home.close(gateway)

    async def test_a_charge_is_captured(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.ok)
        answer = await gateway.charge(request)
        assert answer.status is GatewayStatus.SUCCEEDED
        assert answer.reference
        assert home.captured() == {request.key: 700}

    async def test_a_charge_is_declined(self, home: Home, gateway: Gateway) -> None:
        answer = await gateway.charge(charge(home.declined))
        assert (answer.status, answer.decline_code) == (GatewayStatus.DECLINED, "no_funds")
        assert not home.captured()

    @pytest.mark.parametrize("kind", ["ok", "declined"])
    async def test_the_same_key_again_is_the_same_answer(
        self, home: Home, gateway: Gateway, kind: str
    ) -> None:
        request = charge(getattr(home, kind))
        first = await gateway.charge(request)
        again = await asyncio.gather(*(gateway.charge(request) for _ in range(5)))
        assert set(again) == {first}
        assert sum(home.captured().values()) == (700 if kind == "ok" else 0)

    async def test_the_same_key_never_takes_another_amount(
        self, home: Home, gateway: Gateway
    ) -> None:
        request = charge(home.ok)
        first = await gateway.charge(request)
        other = charge(home.ok, key=request.key, amount_minor=900)
        assert await gateway.charge(other) == first
        assert home.captured() == {request.key: 700}

    async def test_five_at_once_are_one_charge(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.ok)
        answers = await asyncio.gather(*(gateway.charge(request) for _ in range(5)))
        assert len(set(answers)) == 1
        assert home.captured() == {request.key: 700}

    async def test_a_request_is_looked_up_by_its_key(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.ok)
        assert await gateway.lookup(request.key) is None
        answer = await gateway.charge(request)
        assert await gateway.lookup(request.key) == answer
        back = Void(request.key + "/void", request.key)
        assert await gateway.lookup(back.key) is None
        voided = await gateway.void(back)
        assert await gateway.lookup(back.key) == voided

    async def test_a_lost_answer_is_found_again(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.lost_answer)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        found = await gateway.lookup(request.key)
        assert found is not None
        assert found.status is GatewayStatus.SUCCEEDED
        assert await gateway.charge(request) == found
        assert home.captured() == {request.key: 700}

    async def test_a_lost_request_is_not_found(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.lost_request)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        assert await gateway.lookup(request.key) is None
        assert (await gateway.charge(request)).status is GatewayStatus.SUCCEEDED

    async def test_a_rejected_request_had_no_effect(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.away_once)
        with pytest.raises(errors.GatewayAway):
            await gateway.charge(request)
        assert await gateway.lookup(request.key) is None
        assert not home.captured()
        assert (await gateway.charge(request)).status is GatewayStatus.SUCCEEDED

    async def test_a_void_gives_the_money_back(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.ok)
        await gateway.charge(request)
        back = Void(request.key + "/void", request.key)
        first = await gateway.void(back)
        assert first.status is GatewayStatus.SUCCEEDED
        assert await gateway.void(back) == first
        assert not home.captured()

    async def test_a_void_finds_a_charge_without_an_answer(
        self, home: Home, gateway: Gateway
    ) -> None:
        request = charge(home.lost_answer)
        with pytest.raises(errors.GatewaySilent):
            await gateway.charge(request)
        await gateway.void(Void(request.key + "/void", request.key))
        assert not home.captured()

    async def test_a_void_bars_a_charge_that_comes_late(self, home: Home, gateway: Gateway) -> None:
        request = charge(home.ok)
        barred = await gateway.void(Void(request.key + "/void", request.key))
        assert barred.status is GatewayStatus.SUCCEEDED
        assert (await gateway.charge(request)).status is GatewayStatus.DECLINED
        found = await gateway.lookup(request.key)
        assert found is not None
        assert found.status is GatewayStatus.DECLINED
        assert not home.captured()

    async def test_the_ledger_survives(self, home: Home, gateway: Gateway) -> None:
        request, other = charge(home.ok), charge(home.ok)
        answer = await gateway.charge(request)
        await gateway.void(Void(other.key + "/void", other.key))
        reopened = home.open()
        assert await reopened.lookup(request.key) == answer
        assert await reopened.charge(request) == answer
        assert (await reopened.charge(other)).status is GatewayStatus.DECLINED
        home.close(reopened)
        assert home.captured() == {request.key: 700}

    @pytest.mark.parametrize(
        ("kind", "state"),
        [
            ("ok", AttemptState.SUCCEEDED),
            ("declined", AttemptState.DECLINED),
            ("lost_answer", AttemptState.UNKNOWN),
            ("lost_request", AttemptState.UNKNOWN),
            ("away_once", AttemptState.FAILED),
        ],
    )
    async def test_what_a_first_call_tells_of_an_attempt(
        self, home: Home, gateway: Gateway, kind: str, state: AttemptState
    ) -> None:
        pending = attempt(getattr(home, kind))
        sent = await gateway_calls.send(gateway, "m-1", pending, 5.0)
        assert sent.state is state
        asked = await gateway_calls.ask(gateway, "m-1", sent, 5.0)
        is_good = kind != "declined"
        assert asked.state is (AttemptState.SUCCEEDED if is_good else AttemptState.DECLINED)
        assert home.captured() == ({pending.key: 700} if is_good else {})
