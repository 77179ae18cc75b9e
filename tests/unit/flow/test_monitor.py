"""The monitor tells the age of what waits, whichever part of Souk is away."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest
import sqlalchemy as sa

from internal.catalogue.messages import ProductsChanged
from internal.flow import lookout, monitor, topics
from internal.infra import bus, db, metrics
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.pipeline import outbox
from tests.support import ports, shop, staged_orders

T = TypeVar("T")
PLACED = (topics.PLACED, topics.ORDER.subscription)


class Broker(ports.MemoryPublisher):
    """A broker on which one message waits for a stage, from the instant it is told."""

    def __init__(self, line: staged_orders.StagedOrders) -> None:
        super().__init__()
        self._line, self.since_us = line, dict.fromkeys(topics.STAGE_OF, 0)

    async def subscriptions(self, topics_wanted: Sequence[str]) -> list[bus.Subscribed]:
        """See Bus.subscriptions."""
        if self.away:
            raise errors.BusAway("on holiday")
        return [
            self._subscribed(topic, name) for topic, name in self.since_us if topic in topics_wanted
        ]

    def _subscribed(self, topic: str, name: str) -> bus.Subscribed:
        waiting = 1 if self.since_us[topic, name] else 0
        age_us = self._age_us(self.since_us[topic, name])
        return bus.Subscribed(topic, name, waiting, waiting, age_us, 0)

    def _age_us(self, since_us: int) -> int:
        return self._line.clock.now_us() - since_us if since_us else 0


class Database(ports.MemoryDatabase):
    """A database that can be away for readers, too."""

    async def read(
        self, work: db.Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        """See Database.read."""
        if self.away:
            raise errors.DatabaseAway("on holiday")
        return await super().read(work, is_quick=is_quick, limit_s=limit_s)


class Sight:
    """A monitor, and what it tells of a shop."""

    def __init__(self, connection: sa.Connection) -> None:
        self.line = staged_orders.StagedOrders(connection)
        self.database, self.broker = Database(connection), Broker(self.line)
        self.monitor = monitor.Monitor(self.database, self.line.clock, 0.001)
        of_bus: bus.Bus = self.broker  # type: ignore[assignment] # no more of it is asked
        self.lookout = lookout.Lookout(of_bus, [self.monitor], 0.001)

    def wait(self, seconds: int) -> None:
        self.line.clock.advance_us(seconds * US_PER_SECOND)

    async def looks(self) -> None:
        """Let it look at everything that answers."""
        await self.lookout.look()
        await asyncio.gather(self.monitor.look_at_orders(), return_exceptions=True)
        self.monitor.tell()

    def told(self) -> tuple[float, float]:
        """Return the ages of the oldest order, and of the order stage's oldest message."""
        return (
            metrics.OLDEST_UNFINISHED_SECONDS._value.get(),
            metrics.OLDEST_MESSAGE_SECONDS.labels("order_processing")._value.get(),
        )


async def test_the_age_of_the_oldest_event_is_told(sight: Sight) -> None:
    clock = sight.line.clock
    outbox.add(
        sight.line.connection,
        [ProductsChanged(merchant_id="m-1", catalogue_version=1, skus=(), at_us=clock.now_us())],
        clock.now_us(),
    )
    sight.wait(40)
    await sight.looks()
    assert metrics.OLDEST_EVENT_SECONDS._value.get() == 40
    sight.line.connection.execute(outbox.OUTBOX.delete())
    await sight.looks()
    assert metrics.OLDEST_EVENT_SECONDS._value.get() == 0


@pytest.fixture
def sight() -> Iterator[Sight]:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        yield Sight(connection)


async def test_an_order_counts_before_it_is_recorded_and_until_it_has_ended(sight: Sight) -> None:
    await sight.looks()
    assert sight.told() == (0, 0)
    sight.broker.since_us[PLACED] = sight.line.clock.now_us()
    sight.wait(40)
    await sight.looks()
    assert sight.told() == (40, 40)
    sight.broker.since_us[PLACED] = 0
    accepted = sight.line.step(shop.placed("o"))
    await sight.looks()
    assert sight.told() == (40, 0)
    sight.line.step(*sight.line.step(*accepted))
    await sight.looks()
    assert sight.told() == (0, 0)


async def test_it_is_told_while_the_database_is_away(sight: Sight) -> None:
    sight.broker.since_us[PLACED] = sight.line.clock.now_us()
    sight.database.away = 1
    sight.wait(40)
    await sight.looks()
    assert sight.told() == (40, 40)


async def test_it_goes_on_growing_while_nothing_answers(sight: Sight) -> None:
    sight.line.step(shop.placed("o"))
    sight.broker.since_us[PLACED] = sight.line.clock.now_us()
    sight.wait(10)
    await sight.looks()
    sight.database.away = sight.broker.away = 1
    sight.wait(30)
    await sight.looks()
    assert sight.told() == (40, 40)


async def test_it_looks_again_and_again(sight: Sight) -> None:
    sight.broker.away = sight.database.away = 1
    running = [asyncio.create_task(each.run()) for each in (sight.monitor, sight.lookout)]
    await asyncio.sleep(0.005)
    sight.broker.away = sight.database.away = 0
    sight.broker.since_us[PLACED] = sight.line.clock.now_us() - US_PER_SECOND
    async with asyncio.timeout(5):
        while sight.told() != (1, 1):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    for task in running:
        assert not task.done()
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
