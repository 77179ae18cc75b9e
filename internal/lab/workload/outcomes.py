"""Waits until every order that was answered OK has come to its end, and sees that it stays there.

Reads with the merchant's own calls only. Looks as seldom as it can: looking costs the server time
that is being measured.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from internal.client import client
from internal.kernel import states
from internal.wire.souk.v1 import order_pb2

CALL_S = 30.0
FIRST_PAUSE_S = 0.1
PAUSE_MAX_S = 1.0
SINGLE_LOOKS_MAX = 100
"""Up to so many open orders are asked about one by one; more of them by listing."""
LAST_ORDERS = 16
SKEW_US = 300_000_000
"""The server's clock may be this far behind ours: listings start so much earlier."""

_STATES = {
    number: states.OrderState(name.removeprefix("ORDER_STATE_"))
    for name, number in order_pb2.OrderState.items()
    if number
}


class End(NamedTuple):
    """How an order ended, by the server's word and clock."""

    state: states.OrderState
    reason: str
    placed_at_us: int
    ended_at_us: int

    @property
    def took_ms(self) -> float:
        """From the OK to the end."""
        return (self.ended_at_us - self.placed_at_us) / 1_000


class Settlement:
    """The ends of some orders, as far as they are known."""

    def __init__(self, connection: client.Client, wanted: Sequence[str], since_us: int) -> None:
        """Watch over `wanted`, the oldest first, placed since then by our clock."""
        self._client, self._wanted = connection, wanted
        self._since_us = since_us - SKEW_US
        self.ends: dict[str, End] = {}
        self.restless: set[str] = set()
        """Orders that were at one end first and at another later: there must be none."""

    @property
    def open(self) -> set[str]:
        """Orders that are not known to have ended."""
        return set(self._wanted) - self.ends.keys()

    async def wait(self, deadline_s: float, tell: Callable[[int], None]) -> None:
        """Return when all have ended, or after `deadline_s`; `tell` learns how many have."""
        give_up_at_s = time.perf_counter() + deadline_s
        if len(self._wanted) > client.PAGE_ORDERS:
            await self.last_ones(deadline_s)
        pause_s = FIRST_PAUSE_S
        await self.look(self.open)
        tell(len(self.ends))
        while self.open and time.perf_counter() < give_up_at_s:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            await self.look(self.open)
            tell(len(self.ends))

    async def look(self, order_ids: Collection[str]) -> None:
        """Ask once about these orders."""
        if len(order_ids) <= SINGLE_LOOKS_MAX:
            await asyncio.gather(*map(self._ask, order_ids))
        else:
            await self._list(set(order_ids))

    async def stories_with_several_ends(self, order_ids: Collection[str]) -> list[str]:
        """Return those whose timeline does not tell of exactly one end."""
        orders = await asyncio.gather(*(self._client.get(name, CALL_S) for name in order_ids))
        return [
            order.order_id
            for order in orders
            if not isinstance(order, client.Failure) and _ends_told(order) != 1
        ]

    async def last_ones(self, deadline_s: float) -> None:
        """Wait for the last of the orders: the others will hardly end later."""
        last = self._wanted[-LAST_ORDERS:]
        await asyncio.gather(*(self._client.ended(name, deadline_s) for name in last))

    async def _ask(self, order_id: str) -> None:
        order = await self._client.get(order_id, CALL_S)
        if not isinstance(order, client.Failure):
            self._note(order, order.refusal.reason)

    async def _list(self, order_ids: set[str]) -> None:
        async for page in self._client.pages(self._since_us, CALL_S):
            for order in page:
                if order.order_id in order_ids:
                    order_ids.discard(order.order_id)
                    self._note(order, order.refusal_reason)
            if not order_ids:
                return

    def _note(self, order: order_pb2.Order | order_pb2.OrderSummary, reason: str) -> None:
        state = _STATES[order.state]
        before = self.ends.get(order.order_id)
        if before and before.state is not state:
            self.restless.add(order.order_id)
        elif not before and states.is_terminal(state):
            placed_at_us = order.placed_at.ToMicroseconds()
            ended_at_us = order.updated_at.ToMicroseconds()
            self.ends[order.order_id] = End(state, reason, placed_at_us, ended_at_us)


def _ends_told(order: order_pb2.Order) -> int:
    """Count the versions in which an order was at an end; refused requests change no version."""
    return len({e.version for e in order.timeline if states.is_terminal(_STATES[e.state])})
