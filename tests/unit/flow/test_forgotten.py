"""Only subscriptions of other names are dropped, and only when they lag longer than the limit."""

import asyncio
from collections.abc import Sequence

import pytest
from loguru import logger

from internal.flow import forgotten, topics
from internal.infra import bus
from internal.kernel import errors
from tests.support import ports

LAG_MAX_S = 100.0
OURS = [(topic, name) for topic, names in topics.subscriptions().items() for name in names]


class Broker(ports.MemoryPublisher):
    """A broker that has Souk's own subscriptions, far behind, and one more."""

    def __init__(self, lag_s: float, consumers: int = 0, name: str = "audit") -> None:
        super().__init__()
        self.dropped: list[tuple[str, str]] = []
        self.stranger = bus.Subscribed(topics.PAID, name, 7, 7, int(lag_s * 1e6), consumers)

    async def subscriptions(self, asked: Sequence[str]) -> list[bus.Subscribed]:
        """See Bus.subscriptions."""
        ours = [bus.Subscribed(*pair, 10**6, 10**6, 10**15, 0) for pair in OURS]
        return [it for it in (*ours, self.stranger) if it.topic in asked]

    async def drop(self, topic: str, subscription: str) -> None:
        """See Bus.drop."""
        self.dropped.append((topic, subscription))
        if self.away:
            raise errors.Misconfigured("403: not allowed")


async def look(broker: Broker) -> list[str]:
    """Look once; return what was said."""
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        of_bus: bus.Bus = broker  # type: ignore[assignment] # it is asked for no more
        await forgotten.ForgottenSubscriptions(of_bus, LAG_MAX_S).look()
    finally:
        logger.remove(sink)
    return said


@pytest.mark.parametrize("consumers", [0, 2])
@pytest.mark.parametrize(
    ("lag_s", "said", "is_dropped"),
    [
        (0, [], False),
        (49, [], False),
        (99, ["audit of orders.paid is lagging: its oldest message is 99 s"], False),
        (101, ["audit of orders.paid is dropped: its oldest message is 101 s"], True),
    ],
)
async def test_a_stranger_is_told_first_and_dropped_at_the_limit(
    lag_s: float, said: list[str], consumers: int, *, is_dropped: bool
) -> None:
    broker = Broker(lag_s, consumers)
    before = forgotten.DROPPED.labels(topics.PAID)._value.get()
    found = await look(broker)
    assert len(found) == len(said)
    assert all(words in text for words, text in zip(said, found, strict=True))
    assert broker.dropped == ([(topics.PAID, "audit")] if is_dropped else [])
    assert forgotten.DROPPED.labels(topics.PAID)._value.get() - before == is_dropped


@pytest.mark.parametrize("name", sorted({name for _, name in OURS}))
async def test_a_name_of_our_own_is_never_dropped(name: str) -> None:
    broker = Broker(10 * LAG_MAX_S, name=name)
    assert await look(broker) == []
    assert broker.dropped == []


async def test_a_broker_that_allows_no_drop_does_not_end_the_watch() -> None:
    broker = Broker(2 * LAG_MAX_S)
    broker.away = 1
    of_bus: bus.Bus = broker  # type: ignore[assignment] # it is asked for no more
    watch = forgotten.ForgottenSubscriptions(of_bus, LAG_MAX_S)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.run(), 0.1)
    assert broker.dropped == [(topics.PAID, "audit")]


def test_every_topic_is_looked_at() -> None:
    asked = topics.all_topics()
    assert {topic for topic, _ in OURS} < set(asked)
    assert set(topics.OUTCOMES) < set(asked)
