"""Publishing without a broker: errors come in time, and invalid messages are found first."""

import asyncio

import pytest

from internal.infra import bus
from internal.infra.pulsar_bus import driver, publisher
from internal.kernel import errors
from tests.support import no_pulsar


async def test_publishing_while_the_broker_is_away() -> None:
    """Who waits behind somebody who is refused is refused with him, not after another timeout."""
    client = await asyncio.to_thread(driver.open_client, no_pulsar.NOWHERE, None)
    ours = publisher.PulsarPublisher(client, no_pulsar.NOWHERE, no_pulsar.TOPICS)
    calls = [ours.publish([bus.Outgoing("t", "k", b"x")]) for _ in range(9)]
    waiting = asyncio.gather(*calls, return_exceptions=True)
    answers = await asyncio.wait_for(waiting, 2 * no_pulsar.NOWHERE.operation_timeout_s + 1)
    assert [type(answer) for answer in answers] == [errors.BusAway] * 9
    await ours.close()
    with pytest.raises(errors.BusAway, match="closed"):
        await ours.publish([bus.Outgoing("t", "k", b"x")])
    await asyncio.to_thread(driver.close_quietly, client)


@pytest.mark.parametrize(
    "message",
    [
        bus.Outgoing("t", "k", b"x" * 6 * 1024 * 1024),
        bus.Outgoing("t", "k" * 6 * 1024 * 1024, b""),
        bus.Outgoing("t", "k", b"", {"name": "v" * 6 * 1024 * 1024}),
        bus.Outgoing("t", "half of a pair: \ud800", b""),
        bus.Outgoing("t", "k", b"", {"name": "\udc00"}),
        bus.Outgoing("t", "k", b"", {"name": 1}),  # type: ignore[dict-item] # what it is about
        bus.Outgoing("t", b"k", b""),  # type: ignore[arg-type] # what it is about
        bus.Outgoing("\ud800", "k", b""),
        bus.Outgoing("a/b", "k", b""),
        bus.Outgoing("", "k", b""),
    ],
    ids=lambda message: repr(message)[:40],
)
async def test_poison_is_seen_before_anything_is_sent(message: bus.Outgoing) -> None:
    client = await asyncio.to_thread(driver.open_client, no_pulsar.NOWHERE, None)
    ours = publisher.PulsarPublisher(client, no_pulsar.NOWHERE, no_pulsar.TOPICS)
    with pytest.raises(errors.Poison):
        await ours.publish([bus.Outgoing("t", "k", b"x"), message])
    await asyncio.to_thread(driver.close_quietly, client)
