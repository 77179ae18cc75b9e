"""The notifier wakes the calls that wait for an order, and no others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from internal.flow import topics
from internal.infra import bus
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.pipeline import envelope
from internal.views.order import OrderView
from tests.unit.api import memory
from tests.unit.api.orders import waiting

KEY = ids.shard_of(*waiting.REF, memory.MemoryBus.shard_keys)


@pytest.fixture
async def rig() -> AsyncIterator[waiting.Rig]:
    async with waiting.running_rig() as running:
        yield running


async def test_wakes_for_its_order_on_its_topics_only(rig: waiting.Rig) -> None:
    rig.orders.record(waiting.fact())
    rig.orders.record(waiting.fact("o-2"))
    call = rig.follow()
    await waiting.turns()
    reads = rig.orders.reads
    await rig.orders.tell(waiting.REF, topics.ACCEPTED)
    await rig.orders.tell(ids.OrderRef("m1", "o-2"), topics.FINALIZED)
    await waiting.turns()
    assert rig.orders.reads == reads
    rig.orders.move(waiting.REF, OrderState.REJECTED)
    await rig.orders.tell(waiting.REF, topics.REJECTED)
    view = await call
    assert isinstance(view, OrderView)
    assert view.state is OrderState.REJECTED
    assert rig.orders.reads == reads + 1
    assert not rig.notifier.has_subscriptions


async def test_a_message_between_look_and_wait_is_not_lost(rig: waiting.Rig) -> None:
    with rig.notifier.subscribe(waiting.REF, topics.OUTCOMES) as subscription:
        subscription.notify()
        async with asyncio.timeout(1):
            await subscription.wait(60)


async def test_unreadable_messages_wake_no_call_and_break_nothing(rig: waiting.Rig) -> None:
    with rig.notifier.subscribe(waiting.REF, topics.OUTCOMES) as subscription:
        for payload in (b"", b"{", b"[]", b'{"v":2,"facts":[{}]}', b'{"facts":null}'):
            await rig.bus.publish([bus.Outgoing(topics.PAID, KEY, payload, {"orders": "1"})])
        await waiting.turns()
        rig.orders.record(waiting.fact())
        await rig.orders.tell(waiting.REF, topics.ACCEPTED)
        async with asyncio.timeout(1):
            await subscription.wait(60)


@pytest.mark.parametrize(
    ("topic", "key", "wakes"),
    [
        (topics.ACCEPTED, KEY, True),
        (topics.FINALIZED, KEY, False),
        (topics.ACCEPTED, "99", False),
    ],
    ids=["what it waits for", "another topic", "another key"],
)
async def test_only_messages_with_topic_and_key_of_a_waiting_call_are_read(
    rig: waiting.Rig, topic: str, key: str, *, wakes: bool
) -> None:
    payload = envelope.encode([waiting.fact()])
    with rig.notifier.subscribe(waiting.REF, topics.DECIDED) as subscription:
        await rig.bus.publish([bus.Outgoing(topic, key, payload, {"orders": "1"})])
        assert await subscription.wait(0.05) is wakes


async def test_closing_wakes_every_call(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.submission())
    call = rig.follow(60)
    await waiting.turns()
    rig.notifier.close()
    assert await call == waiting.submission()
