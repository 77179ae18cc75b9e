"""Opening the bus over Pulsar without a broker, or with one that rejects this client."""

import asyncio

import pytest

from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.kernel import errors
from tests.support import no_pulsar


async def test_an_unreachable_broker() -> None:
    opened = pulsar_bus.PulsarBus(no_pulsar.NOWHERE, no_pulsar.TOPICS)
    with pytest.raises(errors.BusAway, match=r"127\.0\.0\.1:1"):
        await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)
    with pytest.raises(errors.BusAway, match="not open"):
        await opened.publish([])
    await opened.close()


async def test_a_broker_of_which_only_the_admin_api_answers() -> None:
    async with no_pulsar.answering(404, b"no such topic") as options:
        opened = pulsar_bus.PulsarBus(options, no_pulsar.TOPICS)
        with pytest.raises(errors.BusAway, match=r"pulsar://127\.0\.0\.1:1"):
            await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)


async def test_a_broker_that_rejects_this_client() -> None:
    async with no_pulsar.answering(401, b"") as options:
        opened = pulsar_bus.PulsarBus(options, no_pulsar.TOPICS)
        with pytest.raises(errors.Misconfigured, match=r"TOKEN_FILE.*401"):
            await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("pulsar://127.0.0.1:1", "127.0.0.1:1: nothing listens there"),
        (
            "pulsar://127.0.0.1:1,souk.invalid",
            "nothing listens there.*; souk.invalid: no such host",
        ),
    ],
)
async def test_a_broker_that_is_not_there_is_named(address: str, reason: str) -> None:
    """With the setting, the address and the reason, in one line."""
    async with no_pulsar.answering(404, b"") as options:
        opened = pulsar_bus.PulsarBus(
            options.model_copy(update={"service_url": address}), no_pulsar.TOPICS
        )
        words = f"SOUK_PULSAR__SERVICE_URL names {address}: .*{reason}"
        with pytest.raises(errors.BusAway, match=words) as caught:
            await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)
    assert "\n" not in str(caught.value)
    opened = pulsar_bus.PulsarBus(no_pulsar.NOWHERE, no_pulsar.TOPICS)
    with pytest.raises(errors.BusAway, match=r"SOUK_PULSAR__ADMIN_URL names .*: nothing listens"):
        await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)


@pytest.mark.parametrize("address", ["nonsense", "pulsar://", "ftp://127.0.0.1"])
async def test_an_invalid_address(address: str) -> None:
    opened = pulsar_bus.PulsarBus(
        no_pulsar.NOWHERE.model_copy(update={"service_url": address}), no_pulsar.TOPICS
    )
    with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__SERVICE_URL"):
        await asyncio.wait_for(opened.open(), no_pulsar.TIMEOUT_S)
