"""The simulator keeps the contract of every gateway and behaves as the tokens say.

So does the faulty gateway in memory, on which other tests rely.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
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


class SimulatorAccess:
    """A simulator's file."""

    ok = "tok_ok"
    declined = "tok_declined:no_funds"
    lost_answer = "tok_lost_answer"
    lost_request = "tok_timeout_before"
    away_once = "tok_away_once"
    partial = "tok_partial:350"

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> simulator.SimulatedGateway:
        return simulator.SimulatedGateway(self._path, slow_s=0.05)

    def captured(self) -> dict[str, int]:
        return simulator.SimulatorLedger(self._path).captured_by_key()


class TestSimulator(gateway_contract.GatewayContract):
    """The simulator on its file."""

    @pytest.fixture
    def access(self, tmp_path: Path) -> SimulatorAccess:
        return SimulatorAccess(tmp_path / "gateway.db")


class FaultyByToken(gateways.FaultyGateway):
    """The faulty gateway, with a fault for each token."""

    def __init__(self) -> None:
        super().__init__()
        self._met: set[str] = set()

    async def charge(self, request: Charge) -> Answer:
        if request.key not in self._met and request.card_token.startswith("LOST"):
            self.faults.append(Fault[request.card_token])
        if request.key not in self._met and request.card_token in {"AWAY", "PARTIAL"}:
            self.faults.append(Fault[request.card_token])
        self._met.add(request.key)
        return await super().charge(request)


class MemoryAccess:
    """One gateway in memory."""

    ok = "tok_ok"
    declined = "tok_declined:no_funds"
    lost_answer = "LOST_ANSWER"
    lost_request = "LOST_REQUEST"
    away_once = "AWAY"
    partial = "PARTIAL"

    def __init__(self) -> None:
        self._gateway = FaultyByToken()

    def open(self) -> Gateway:
        return self._gateway

    def captured(self) -> dict[str, int]:
        return self._gateway.captured


class TestFaultyGateway(gateway_contract.GatewayContract):
    """The faulty gateway on which other tests rely."""

    @pytest.fixture
    def access(self) -> MemoryAccess:
        return MemoryAccess()


@pytest.fixture
def access(tmp_path: Path) -> SimulatorAccess:
    return SimulatorAccess(tmp_path / "gateway.db")


@pytest.fixture
async def gateway(access: SimulatorAccess) -> AsyncIterator[simulator.SimulatedGateway]:
    gateway = access.open()
    yield gateway
    await gateway.close()


async def test_a_slow_charge_that_timed_out_is_completed_by_asking(
    access: SimulatorAccess, gateway: Gateway
) -> None:
    """The second request completes it while the first is still on its way."""
    slow = attempt("tok_slow")
    first = asyncio.create_task(gateway.charge(charge("tok_slow", key=slow.key)))
    await asyncio.sleep(0)
    sent = await gateway_calls.ask(gateway, "m-1", slow, 5.0)
    assert sent.state is AttemptState.SUCCEEDED
    assert (await first).reference == sent.gateway_reference
    assert access.captured() == {slow.key: 700}


async def test_a_slow_charge_is_barred_by_a_void(access: SimulatorAccess, gateway: Gateway) -> None:
    request = charge("tok_slow")
    first = asyncio.create_task(gateway.charge(request))
    await asyncio.sleep(0)
    await gateway.void(Void(request.key + "/void", request.key))
    assert (await first).status is GatewayStatus.DECLINED
    assert not access.captured()


async def test_a_call_that_takes_too_long_is_unknown(gateway: Gateway) -> None:
    assert (await gateway_calls.send(gateway, "m-1", attempt("tok_slow"), 0.01)).state == "UNKNOWN"


async def test_a_gateway_that_is_away_stays_away(access: SimulatorAccess, gateway: Gateway) -> None:
    request = charge("tok_away")
    for _ in range(3):
        with pytest.raises(errors.GatewayAway):
            await gateway.charge(request)
    assert not access.captured()


@pytest.mark.parametrize(
    ("state", "after"), [("PENDING", "UNKNOWN"), ("UNKNOWN", "UNKNOWN"), ("FAILED", "FAILED")]
)
async def test_asking_a_gateway_that_is_away_resolves_nothing(state: str, after: str) -> None:
    away = gateways.FaultyGateway([Fault.AWAY])
    asked = attempt("tok_ok", AttemptState(state))
    result = await gateway_calls.ask(away, "m-1", asked, 5.0)
    assert (result.state, result.tries) == (after, asked.tries + 1)


async def outcomes(path: Path, seed: int) -> Counter[str]:
    """Charge 400 cards with random outcomes; count the outcomes, in ten groups."""
    gateway = simulator.SimulatedGateway(path, seed=seed)
    seen: Counter[str] = Counter()
    for number in range(400):
        try:
            answer = await gateway.charge(charge("tok_random", key=f"o-{number}"))
            seen[f"{number % 10} {answer.status}"] += 1
        except errors.SoukError as error:
            seen[f"{number % 10} {type(error).__name__}"] += 1
    await gateway.close()
    return seen


async def test_random_outcomes_depend_on_the_seed(tmp_path: Path) -> None:
    first = await outcomes(tmp_path / "a.db", 1)
    assert first == await outcomes(tmp_path / "b.db", 1)
    assert first != await outcomes(tmp_path / "c.db", 2)
    kinds = {name.split()[1] for name in first}
    assert kinds == {"SUCCEEDED", "DECLINED", "GatewaySilent", "GatewayAway"}


class TestLedgerInTrouble:
    """The simulator's own disk: no order is at fault."""

    async def test_full(self, tmp_path: Path) -> None:
        gateway = simulator.SimulatedGateway(tmp_path / "gateway.db")
        gateway._connection.execute("PRAGMA max_page_count=1")  # no more than it has now
        requests = [charge("tok_ok") for _ in range(1_000)]
        with pytest.raises(errors.GatewayAway, match="full"):
            await asyncio.gather(*map(gateway.charge, requests))
        assert await gateway.lookup(requests[-1].key) is None
        gateway._connection.execute("PRAGMA max_page_count=10000")
        assert (await gateway.charge(requests[-1])).status is GatewayStatus.SUCCEEDED
        await gateway.close()

    async def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "gateway.db"
        await simulator.SimulatedGateway(path).close()
        path.write_bytes(b"no database at all" * 1_000)
        with pytest.raises(errors.DatabaseDamaged, match="damaged"):
            simulator.SimulatedGateway(path)
        with pytest.raises(errors.DatabaseDamaged, match="damaged"):
            simulator.SimulatorLedger(path).captured_by_key()
