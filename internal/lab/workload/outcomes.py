"""Waits until every order that was answered OK has ended, and checks that it stays at its end.

Uses the merchant's own calls only. Polls as seldom as possible: polling costs the server time that
is being measured.
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
"""Up to this many open orders are polled one by one; more of them by listing."""
LAST_ORDERS = 16
SKEW_US = 300_000_000
"""The server's clock may be this far behind ours: listings start earlier by this much."""

_STATES = {
    number: states.OrderState(name.removeprefix("ORDER_STATE_"))
    for name, number in order_pb2.OrderState.items()
    if number
}


class End(NamedTuple):
    """How an order ended, by the server's answer and clock."""

    state: states.OrderState
    reason: str
    placed_at_us: int
    ended_at_us: int

    @property
    def took_ms(self) -> float:
        """Time from the OK to the end."""
        return (self.ended_at_us - self.placed_at_us) / 1_000


class Watcher:
    """Collects the ends of some orders."""

    def __init__(self, connection: client.Client, wanted: Sequence[str], since_us: int) -> None:
        """Watch the orders `wanted`, oldest first, placed since `since_us` by our clock."""
        self._client, self._wanted = connection, wanted
        self._since_us = since_us - SKEW_US
        self.ends: dict[str, End] = {}
        self.changed_after_end: set[str] = set()
        """Orders that were first at one end and later at another: there must be none."""

    @property
    def open(self) -> set[str]:
        """Orders without a known end."""
        return set(self._wanted) - self.ends.keys()

    async def wait(self, deadline_s: float, tell: Callable[[int], None]) -> None:
        """Return once all have ended, or after `deadline_s`; `tell` is told how many have."""
        give_up_at_s = time.perf_counter() + deadline_s
        if len(self._wanted) > client.PAGE_ORDERS:
            await self.wait_for_last(deadline_s)
        pause_s = FIRST_PAUSE_S
        await self.look(self.open)
        tell(len(self.ends))
        while self.open and time.perf_counter() < give_up_at_s:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            await self.look(self.open)
            tell(len(self.ends))

    async def look(self, order_ids: Collection[str]) -> None:
        """Poll these orders once."""
        if len(order_ids) <= SINGLE_LOOKS_MAX:
            await asyncio.gather(*map(self._ask, order_ids))
        else:
            await self._list(set(order_ids))

    async def without_exactly_one_end(self, order_ids: Collection[str]) -> list[str]:
        """Return the orders whose timeline does not show exactly one end."""
        orders = await asyncio.gather(*(self._client.get(name, CALL_S) for name in order_ids))
        return [
            order.order_id
            for order in orders
            if not isinstance(order, client.Failure) and _count_ends(order) != 1
        ]

    async def wait_for_last(self, deadline_s: float) -> None:
        """Wait for the last orders: earlier ones hardly end later."""
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
            self.changed_after_end.add(order.order_id)
        elif not before and states.is_terminal(state):
            placed_at_us = order.placed_at.ToMicroseconds()
            ended_at_us = order.updated_at.ToMicroseconds()
            self.ends[order.order_id] = End(state, reason, placed_at_us, ended_at_us)


def _count_ends(order: order_pb2.Order) -> int:
    """Count the versions in which an order was at an end; refused requests change no version."""
    return len({e.version for e in order.timeline if states.is_terminal(_STATES[e.state])})
