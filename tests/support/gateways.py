"""A payment gateway in memory that keeps the port's contract and no more.

It may refuse connections and lose requests or answers; its ledger shows what really happened.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import TypeVar

from internal.kernel import errors
from internal.payments.gateways.port import Answer, Charge, GatewayStatus, Void

T = TypeVar("T")


class Fault(Enum):
    """A fault of one call."""

    NONE = auto()
    AWAY = auto()
    """The connection is refused: no effect."""
    LOST_REQUEST = auto()
    """No effect, no answer."""
    LOST_ANSWER = auto()
    """The effect, but no answer."""
    BROKEN = auto()
    """The effect, and then an error that the port does not know."""
    PARTIAL = auto()
    """Only half of the amount is taken."""


class FaultyGateway:
    """A gateway whose calls have the given faults, one after another, then none.

    A charge for a token "tok_declined:<code>" is declined with that code.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = deque(faults)
        self.answers: dict[str, Answer] = {}
        self.amounts: dict[str, int] = {}
        self.voided: set[str] = set()
        self.calls: Counter[str] = Counter()
        self._is_partial = False

    @property
    def captured(self) -> dict[str, int]:
        """Return what is captured and not voided: {key: minor units}."""
        return {
            key: amount
            for key, amount in self.amounts.items()
            if key not in self.voided and self.answers[key].status is GatewayStatus.SUCCEEDED
        }

    async def charge(self, request: Charge) -> Answer:
        """See Gateway.charge."""
        return await self._meet("charge", lambda: self._charge(request))

    async def void(self, request: Void) -> Answer:
        """See Gateway.void."""
        return await self._meet("void", lambda: self._void(request))

    async def lookup(self, key: str) -> Answer | None:
        """See Gateway.lookup."""
        return await self._meet("lookup", lambda: self.answers.get(key))

    async def close(self) -> None:
        """See Gateway.close."""

    async def _meet(self, what: str, act: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        self.calls[what] += 1
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.AWAY:
            raise errors.GatewayAway("refused")
        if fault is Fault.LOST_REQUEST:
            raise errors.GatewaySilent("the request was lost")
        self._is_partial = fault is Fault.PARTIAL
        answer = act()
        if fault is Fault.LOST_ANSWER:
            raise errors.GatewaySilent("the answer was lost")
        if fault is Fault.BROKEN:
            raise ConnectionResetError("reset by peer")
        return answer

    def _charge(self, request: Charge) -> Answer:
        if request.key not in self.answers:
            _, is_declined, code = request.card_token.partition("tok_declined:")
            status = GatewayStatus.DECLINED if is_declined else GatewayStatus.SUCCEEDED
            taken = request.amount_minor // 2 if self._is_partial else request.amount_minor
            told = (0, "") if is_declined else (taken, request.currency)
            self.answers[request.key] = Answer(status, f"ref-{request.key}", code, *told)
            self.amounts[request.key] = taken
        return self.answers[request.key]

    def _void(self, request: Void) -> Answer:
        if request.key not in self.answers:
            barred = Answer(GatewayStatus.DECLINED, "", "voided")
            self.answers.setdefault(request.charge_key, barred)
            self.amounts.setdefault(request.charge_key, 0)
            self.voided.add(request.charge_key)
            self.answers[request.key] = Answer(GatewayStatus.SUCCEEDED, f"ref-{request.key}")
        return self.answers[request.key]
