"""Holds that have ended are told to the payment stage until it has settled their orders."""

import asyncio
from collections.abc import Iterator

import pytest

from internal.flow import holds, topics
from internal.infra import bus
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages
from internal.pipeline import appointments
from tests.support import ports, shop, staged_orders

HOLD_S = 3_600


class Watch:
    """Two open orders; the hold of the second is twice as long."""

    def __init__(self, line: staged_orders.StagedOrders) -> None:
        self.line, self.broker = line, ports.MemoryPublisher()
        line.carry(shop.kept_open("a", hold_s=HOLD_S), shop.kept_open("b", hold_s=2 * HOLD_S))
        broker: bus.Bus = self.broker  # type: ignore[assignment] # it is asked for no more
        database = ports.MemoryDatabase(line.connection)
        self.holds = holds.Holds(database, broker, line.clock, 1.0)

    def look(self, after_s: int = 0) -> int:
        self.line.clock.advance_us(after_s * US_PER_SECOND)
        return asyncio.run(self.holds.look())

    def told(self) -> list[messages.PaymentDue]:
        return [
            fact
            for message in self.broker.sent
            for fact in topics.ENVELOPE.facts_in(message.payload)
            if isinstance(fact, messages.PaymentDue)
        ]


@pytest.fixture
def watch() -> Iterator[Watch]:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        yield Watch(staged_orders.StagedOrders(connection))


def test_a_hold_is_told_when_it_ends(watch: Watch) -> None:
    assert watch.look(HOLD_S - 1) == 0
    assert watch.look(1) == 1
    (told,) = watch.told()
    assert told.order_id == "a"
    assert {message.topic for message in watch.broker.sent} == {topics.PAYMENT_COMMANDS}


def test_it_is_told_again_if_nothing_came_of_it(watch: Watch) -> None:
    assert watch.look(HOLD_S) == 1
    assert watch.look() == 0
    assert watch.look(appointments.LEASE_FIRST_S) == 1


def test_a_settled_hold_is_not_told_again(watch: Watch) -> None:
    watch.look(HOLD_S)
    watch.line.carry(*watch.told())
    assert watch.line.view("a").state == "EXPIRED"
    assert watch.look(HOLD_S) == 1
    assert [fact.key for fact in watch.told()] == ["a", "b"]
