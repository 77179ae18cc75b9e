"""The janitor drives on what is due, and nothing it meets on its way stops it."""

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.flow import janitor, topics
from internal.infra import bus
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages, store
from tests.support import ports, shop, staged_orders


class Watch:
    """A janitor with three accepted orders and a paid one, all of them long due."""

    def __init__(self, connection: sa.Connection) -> None:
        self.line = staged_orders.StagedOrders(connection)
        self.database, self.broker = ports.MemoryDatabase(connection), ports.MemoryBroker()
        self.line.step(*(shop.placed(name) for name in "abc"))
        self.line.step(*self.line.step(shop.placed("paid")))
        self.line.clock.advance_us(60 * US_PER_SECOND)
        self.janitor = self.janitor_of()

    def janitor_of(self, orders_max: int = 100) -> janitor.Janitor:
        """Make another one, as a second API server has."""
        options = janitor.Options(interval_s=0.001, orders_max=orders_max, redrive_after_s=30.0)
        broker: bus.Bus = self.broker  # type: ignore[assignment] # it is asked for no more
        return janitor.Janitor(self.database, broker, self.line.clock, options)

    def set_states(self, order_id: str, **values: object) -> None:
        """Change columns of an order."""
        order = store.ORDERS.c.order_id == order_id
        self.line.connection.execute(store.ORDERS.update().where(order).values(**values))

    def look(self) -> int:
        return asyncio.run(self.janitor.look())

    def driven(self) -> list[tuple[str, str]]:
        """Return (topic, order) of what was sent."""
        return sorted(
            (message.topic, fact.order_id)
            for message in self.broker.sent
            for fact in topics.ENVELOPE.facts_in(message.payload)
            if isinstance(fact, messages.OrderAccepted | messages.OrderPaid | messages.PaymentDue)
        )

    def damage(self, **values: object) -> None:
        of_b = sa.select(store.ORDERS.c.order_key).where(store.ORDERS.c.order_id == "b")
        log = store.ORDER_LOG
        rows = log.c.order_key.in_(of_b) & (log.c.version == store.SECOND_VERSION)
        self.line.connection.execute(log.update().where(rows).values(**values))


ALL = [
    (topics.ACCEPTED, "a"),
    (topics.ACCEPTED, "b"),
    (topics.ACCEPTED, "c"),
    (topics.PAID, "paid"),
]


@pytest.fixture
def watch() -> Iterator[Watch]:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        yield Watch(connection)


def test_what_is_due_is_driven_on_and_then_left_alone(watch: Watch) -> None:
    assert watch.look() == 4
    assert watch.driven() == ALL
    assert watch.look() == 0
    watch.line.clock.advance_us(30 * US_PER_SECOND)
    assert watch.look() == 4


def test_what_is_not_due_is_left_alone(watch: Watch) -> None:
    watch.line.clock.advance_us(-31 * US_PER_SECOND)
    assert watch.look() == 0


def test_a_late_stage_is_not_made_later(watch: Watch) -> None:
    watch.broker.waiting[topics.ACCEPTED] = janitor.BUSY_MESSAGES + 1
    assert watch.look() == 1
    assert watch.driven() == ALL[3:]


def test_a_gateway_is_asked_whatever_the_backlog_is(watch: Watch) -> None:
    for topic in topics.PAYMENT.topics:
        watch.broker.waiting[topic] = janitor.BUSY_MESSAGES + 1
    watch.set_states("a", charge_state="UNKNOWN")
    watch.set_states("paid", charge_state="VOIDED")
    assert watch.look() == 2
    assert watch.driven() == [(topics.PAYMENT_COMMANDS, "a"), (topics.PAYMENT_COMMANDS, "paid")]


def test_what_waits_longer_for_another_stage_is_in_nobodys_way(watch: Watch) -> None:
    watch.janitor = watch.janitor_of(orders_max=1)
    watch.set_states("paid", due_at_us=shop.NOW_US + 40 * US_PER_SECOND)
    assert watch.look() == 2
    assert watch.driven()[-1] == (topics.PAID, "paid")


def test_it_is_driven_on_by_one_of_several(watch: Watch) -> None:
    assert watch.look() == 4
    watch.janitor = watch.janitor_of()
    assert watch.look() == 0


@pytest.mark.parametrize("fact", ["no JSON", '{"type":"OrderAmazed"}', "{}"])
def test_a_log_that_cannot_be_read_holds_up_no_other(watch: Watch, fact: str) -> None:
    watch.damage(fact=fact)
    assert watch.look() == 3
    assert watch.driven() == [ALL[0], *ALL[2:]]
    assert watch.look() == 0


def test_a_state_of_a_newer_souk_holds_up_no_other(watch: Watch) -> None:
    watch.set_states("b", state="PARKED")
    assert watch.look() == 3
    assert watch.driven() == [ALL[0], *ALL[2:]]


async def test_it_looks_again_when_what_was_away_is_back(watch: Watch) -> None:
    watch.broker.away = 2
    running = asyncio.create_task(watch.janitor.run())
    async with asyncio.timeout(5):
        while len(watch.driven()) < 4:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert watch.driven() == ALL
