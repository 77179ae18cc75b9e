"""The simulator keeps the contract of every gateway, and does what its tokens order.

So does the faulty gateway in memory, which other tests take for the truth.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.payments import gateway_calls
from internal.payments.gateways import simulator
from internal.payments.gateways.port import Answer, Charge, Gateway, GatewayStatus, Void
from internal.payments.messages import AttemptState
from tests.contract import gateway_contract
from tests.contract.gateway_contract import attempt, charge
from tests.support import gateways
from tests.support.gateways import Fault


class SimulatorHome:
    """A file."""

    ok = "tok_ok"
    declined = "tok_declined:no_funds"
    lost_answer = "tok_lost_answer"
    lost_request = "tok_timeout_before"
    away_once = "tok_away_once"

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> simulator.SimulatedGateway:
        return simulator.SimulatedGateway(self._path, slow_s=0.05)

    def close(self, gateway: Gateway) -> None:
        assert isinstance(gateway, simulator.SimulatedGateway)
        gateway.close()

    def captured(self) -> dict[str, int]:
        return simulator.captured_by_key(self._path)


class TestSimulator(gateway_contract.GatewayContract):
    """The simulator in its file."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> SimulatorHome:
        return SimulatorHome(tmp_path / "gateway.db")


class ByToken(gateways.FaultyGateway):
    """The faulty gateway, with faults by token."""

    def __init__(self) -> None:
        super().__init__()
        self._met: set[str] = set()

    async def charge(self, request: Charge) -> Answer:
        if request.key not in self._met and request.card_token.startswith("LOST"):
            self.faults.append(Fault[request.card_token])
        if request.key not in self._met and request.card_token == "AWAY":
            self.faults.append(Fault.AWAY)
        self._met.add(request.key)
        return await super().charge(request)


class MemoryHome:
    """One gateway in memory."""

    ok = "tok_ok"
    declined = "tok_declined:no_funds"
    lost_answer = "LOST_ANSWER"
    lost_request = "LOST_REQUEST"
    away_once = "AWAY"

    def __init__(self) -> None:
        self._gateway = ByToken()

    def open(self) -> Gateway:
        return self._gateway

    def close(self, gateway: Gateway) -> None:
        pass

    def captured(self) -> dict[str, int]:
        return self._gateway.captured


class TestFaultyGateway(gateway_contract.GatewayContract):
    """The one that tests take for the truth."""

    @pytest.fixture
    def home(self) -> MemoryHome:
        return MemoryHome()


@pytest.fixture
def home(tmp_path: Path) -> SimulatorHome:
    return SimulatorHome(tmp_path / "gateway.db")


@pytest.fixture
def gateway(home: SimulatorHome) -> Iterator[simulator.SimulatedGateway]:
    gateway = home.open()
    yield gateway
    gateway.close()


async def test_a_slow_charge_that_times_out_is_asked_about(
    home: SimulatorHome, gateway: Gateway
) -> None:
    """The query completes it while the first request is still on its way."""
    slow = attempt("tok_slow")
    first = asyncio.create_task(gateway.charge(charge("tok_slow", key=slow.key)))
    await asyncio.sleep(0)
    sent = await gateway_calls.ask(gateway, "m-1", slow, 5.0)
    assert sent.state is AttemptState.SUCCEEDED
    assert (await first).reference == sent.gateway_reference
    assert home.captured() == {slow.key: 700}


async def test_a_slow_charge_is_barred_by_a_void(home: SimulatorHome, gateway: Gateway) -> None:
    request = charge("tok_slow")
    first = asyncio.create_task(gateway.charge(request))
    await asyncio.sleep(0)
    await gateway.void(Void(request.key + "/void", request.key))
    assert (await first).status is GatewayStatus.DECLINED
    assert not home.captured()


async def test_a_call_that_takes_too_long_is_unknown(gateway: Gateway) -> None:
    assert (await gateway_calls.send(gateway, "m-1", attempt("tok_slow"), 0.01)).state == "UNKNOWN"


async def test_a_gateway_that_is_away_stays_away(home: SimulatorHome, gateway: Gateway) -> None:
    request = charge("tok_away")
    for _ in range(3):
        with pytest.raises(errors.GatewayAway):
            await gateway.charge(request)
    assert not home.captured()


@pytest.mark.parametrize(
    ("state", "after"), [("PENDING", "UNKNOWN"), ("UNKNOWN", "UNKNOWN"), ("FAILED", "FAILED")]
)
async def test_a_doubt_stays_a_doubt_while_the_gateway_is_away(state: str, after: str) -> None:
    away = gateways.FaultyGateway([Fault.AWAY])
    asked = attempt("tok_ok", AttemptState(state))
    result = await gateway_calls.ask(away, "m-1", asked, 5.0)
    assert (result.state, result.checks) == (after, asked.checks + 1)


async def fates(path: Path, seed: int) -> Counter[str]:
    """Charge 400 cards whose fate is drawn; return the answers' order and how often each came."""
    gateway = simulator.SimulatedGateway(path, seed=seed)
    seen: Counter[str] = Counter()
    for number in range(400):
        try:
            answer = await gateway.charge(charge("tok_random", key=f"o-{number}"))
            seen[f"{number % 10} {answer.status}"] += 1
        except errors.SoukError as error:
            seen[f"{number % 10} {type(error).__name__}"] += 1
    gateway.close()
    return seen


async def test_chance_is_the_seeds(tmp_path: Path) -> None:
    first = await fates(tmp_path / "a.db", 1)
    assert first == await fates(tmp_path / "b.db", 1)
    assert first != await fates(tmp_path / "c.db", 2)
    kinds = {name.split()[1] for name in first}
    assert kinds == {"SUCCEEDED", "DECLINED", "GatewaySilent", "GatewayAway"}
