"""Wakes the calls that wait for an order, by listening to the stages' messages.

A message only says that it is time to look; the truth is read from the database. Each process hears
the messages of all orders, so one is decoded only if a call waits on its topic for an order with
its key. A missed message costs a waiting call a second, never its answer.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from internal.api.orders import ports
from internal.flow import topics
from internal.infra import bus, retry
from internal.kernel import facts as kernel_facts
from internal.kernel import ids

MESSAGES_MAX = 1_000


class _Fact(msgspec.Struct):
    """The fields of a fact that are needed here; the others are skipped."""

    merchant_id: str
    order_id: str


class _Message(msgspec.Struct):
    facts: list[_Fact] = []


_decoder = msgspec.json.Decoder(_Message)


class Subscription:
    """Wakes one call when a message about its order appears on one of its topics."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake the call."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Return when notified, now or since the last wait, or after `timeout_s`: then False."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class OrderNotifier:
    """All subscriptions, by order."""

    def __init__(self, messages: ports.Messages) -> None:
        self._bus = messages
        self._subscriptions: dict[ids.OrderRef, set[Subscription]] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()
        """How many of them wait for a message with this topic and key."""
        self.is_closing = False

    @property
    def has_subscriptions(self) -> bool:
        """Tell whether any call waits."""
        return bool(self._subscriptions)

    @contextmanager
    def subscribe(self, ref: ids.OrderRef, topics: Iterable[str]) -> Iterator[Subscription]:
        """Subscribe to an order while the context lasts. Look at the order once after that."""
        subscription = Subscription(topics)
        key = ids.shard_of(ref.merchant_id, ref.order_id, self._bus.shard_keys)
        places = [(topic, key) for topic in subscription.topics]
        of_order = self._subscriptions.setdefault(ref, set())
        of_order.add(subscription)
        self._waiting.update(places)
        try:
            yield subscription
        finally:
            of_order.discard(subscription)
            self._waiting.subtract(places)
            if not of_order:
                self._subscriptions.pop(ref, None)

    async def run(self) -> None:
        """Listen until cancelled."""
        await retry.until_it_works("intake.hub", self._listen)

    def close(self) -> None:
        """Wake every waiting call: it should answer with what is known."""
        self.is_closing = True
        for of_order in self._subscriptions.values():
            for subscription in of_order:
                subscription.notify()

    async def _listen(self) -> None:
        tail = await self._bus.tail(topics.OUTCOMES, self._is_awaited)
        try:
            while True:
                self._notify(await tail.receive(MESSAGES_MAX))
        finally:
            await tail.close()

    def _is_awaited(self, topic: str, key: str) -> bool:
        return self._waiting[topic, key] > 0

    def _notify(self, deliveries: Iterable[bus.Delivery]) -> None:
        for delivery in deliveries:
            for ref in _refs_in(delivery.payload):
                for subscription in self._subscriptions.get(ref, ()):
                    if delivery.topic in subscription.topics:
                        subscription.notify()


def _refs_in(payload: bytes) -> Iterable[ids.OrderRef]:
    """Return the orders that a message is about; none if it is unreadable, which does no harm."""
    try:
        message = _decoder.decode(payload)
    except kernel_facts.UNREADABLE:
        return []
    return [ids.OrderRef(fact.merchant_id, fact.order_id) for fact in message.facts]
