"""Wakes the calls that wait for an order, by listening to what the stages send.

A message only says that it is time to look; the truth is read from the database. While nobody
waits, no message is opened. A message missed costs a waiting call a second, never its answer.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from internal.api.orders import ports
from internal.flow import topics
from internal.infra import bus, retry
from internal.kernel import facts as kernel_facts
from internal.kernel import ids

MESSAGES_MAX = 1_000


class _Named(msgspec.Struct):
    """What is needed of a fact here; its other fields are skipped."""

    merchant_id: str
    order_id: str


class _Message(msgspec.Struct):
    facts: list[_Named] = []


_decoder = msgspec.json.Decoder(_Message)


class Subscription:
    """Rings for one call when a message about its order appears on one of its topics."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the call."""
        self._rung.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when it rings or has rung since the last wait, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


class OrderNotifier:
    """All bells, by order."""

    def __init__(self, messages: ports.Messages) -> None:
        self._bus = messages
        self._bells: dict[ids.OrderRef, set[Subscription]] = {}
        self.is_closing = False

    @property
    def has_bells(self) -> bool:
        """Tell whether anybody waits."""
        return bool(self._bells)

    @contextmanager
    def bell(self, name: ids.OrderRef, topics: Iterable[str]) -> Iterator[Subscription]:
        """Hang up a bell for as long as the context lasts. Look once after hanging it up."""
        bell = Subscription(topics)
        bells = self._bells.setdefault(name, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)
            if not bells:
                self._bells.pop(name, None)

    async def run(self) -> None:
        """Listen until cancelled."""
        await retry.until_it_works("intake.hub", self._listen)

    def close(self) -> None:
        """Wake everybody: whoever waits should answer with what is known."""
        self.is_closing = True
        for bells in self._bells.values():
            for bell in bells:
                bell.ring()

    async def _listen(self) -> None:
        subscription = await self._bus.tail(topics.OUTCOMES)
        try:
            while True:
                deliveries = await subscription.receive(MESSAGES_MAX)
                if self._bells:
                    self._wake(deliveries)
        finally:
            await subscription.close()

    def _wake(self, deliveries: Iterable[bus.Delivery]) -> None:
        for delivery in deliveries:
            for name in _names_in(delivery.payload):
                for bell in self._bells.get(name, ()):
                    if delivery.topic in bell.topics:
                        bell.ring()


def _names_in(payload: bytes) -> Iterable[ids.OrderRef]:
    """Return the orders a message is about; none of one that cannot be read, which is no loss."""
    try:
        message = _decoder.decode(payload)
    except kernel_facts.UNREADABLE:
        return []
    return [ids.OrderRef(fact.merchant_id, fact.order_id) for fact in message.facts]
