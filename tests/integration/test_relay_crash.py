"""`kill -9` of a process that relays events: none is lost, and one is repeated only under its id.

Run as a script, this file is that process. It adds its events unless they are there, and ends when
the outbox is empty. The events are read by a shop's own subscription.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from internal.catalogue.messages import ProductsChanged
from internal.flow import relay
from internal.infra import bus, clock, db, failpoints, migrate, settings
from internal.infra.embedded_bus import bus as embedded_bus
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.infra.sqlite import database as sqlite
from internal.pipeline import outbox
from tests.support import pulsar as brokers

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS, VERSIONS = [f"m-{number}" for number in range(5)], 4
EVENTS = [(subject, version) for version in range(1, VERSIONS + 1) for subject in SUBJECTS]
SUBSCRIPTION = "shop"
SEND_TIMEOUT_S = 0.5
"""So short that a lease of a relay that was killed is soon over."""
FAILPOINTS = ("relay.before_publish", "bus.after_publish", "relay.after_publish")
"""Before an event is sent, before its receipt is known, and before its row is deleted."""
PASSAGES = (1, 2, 3)
QUIET_S = 2.0
PULSAR = "SOUK_TEST_RELAY_PULSAR"
"""The settings of the broker in JSON; without them the broker is in the folder."""


# The process that dies


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[db.Database, bus.Bus]]:
    """Open the database of a folder, and the broker."""
    database = sqlite.SqliteDatabase(folder / "souk.db")
    broker: embedded_bus.EmbeddedBus | pulsar_bus.PulsarBus
    if options := os.environ.get(PULSAR):
        broker = pulsar_bus.PulsarBus(
            settings.PulsarSettings.model_validate_json(options), brokers.TOPICS
        )
    else:
        broker = embedded_bus.EmbeddedBus(database)
    await broker.open()
    await broker.ensure({outbox.EVENTS: [SUBSCRIPTION]})
    yield database, broker
    await broker.close()
    await database.close()


async def live(folder: Path) -> None:
    """Relay until nothing is left."""
    async with opened(folder) as (database, broker):
        ours = relay.Relay(database, broker, clock.SystemClock(), SEND_TIMEOUT_S)
        while await database.read(outbox.shards):
            await ours.look()
            await asyncio.sleep(0.05)


# The test that kills it


def add_events(connection: sa.Connection) -> None:
    now_us = clock.SystemClock().now_us()
    facts = [
        ProductsChanged(merchant_id=subject, catalogue_version=version, skus=(), at_us=now_us)
        for subject, version in EVENTS
    ]
    outbox.add(connection, facts, now_us)


def run(folder: Path, armed: str) -> int:
    """Run the process, and return how it ended."""
    environment = os.environ | {"SOUK_TESTING": "1", "SOUK_FAILPOINTS": armed}
    command = [sys.executable, str(Path(__file__)), str(folder)]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False, timeout=60).returncode


async def events(folder: Path) -> list[bus.Delivery]:
    """Read all events from the topic."""
    found: list[bus.Delivery] = []
    async with opened(folder) as (_, broker):
        subscription = await broker.subscribe([outbox.EVENTS], SUBSCRIPTION)
        try:
            while True:
                async with asyncio.timeout(QUIET_S):
                    got = await subscription.receive(100)
                await subscription.acknowledge(got)
                found += got
        except TimeoutError:
            await subscription.close()
    return found


async def prepare(folder: Path) -> None:
    async with opened(folder) as (database, _):
        await database.write(migrate.upgrade)
        await database.write(add_events)


def survives(folder: Path, name: str) -> None:
    """Kill one relay after the other at passages of a failpoint; then compare what has come."""
    asyncio.run(prepare(folder))
    for passage in PASSAGES:
        assert run(folder, f"{name}=kill@{passage}") == -9
    assert run(folder, "") == 0
    deliveries = asyncio.run(events(folder))
    told = [msgspec.json.decode(it.payload, type=ProductsChanged) for it in deliveries]
    names = [it.properties["id"] for it in deliveries]
    assert {(it.merchant_id, it.catalogue_version) for it in told} == set(EVENTS)
    assert len(set(names)) == len(EVENTS)
    for subject in SUBJECTS:
        versions = [it.catalogue_version for it in told if it.merchant_id == subject]
        assert versions == sorted(versions)
        assert {it.key for it in deliveries if it.payload.count(subject.encode())} == {
            f"{subject}/catalogue"
        }
    assert (len(deliveries) > len(EVENTS)) == name.endswith("after_publish")


@pytest.mark.parametrize("name", FAILPOINTS)
def test_no_event_is_lost_by_a_kill_at(tmp_path: Path, name: str) -> None:
    survives(tmp_path, name)


def test_no_event_is_lost_by_a_kill_on_pulsar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = brokers.options()
    monkeypatch.setenv(PULSAR, options.model_dump_json())
    survives(tmp_path, "relay.after_publish")


if __name__ == "__main__":
    failpoints.arm(failpoints.from_environment())
    asyncio.run(live(Path(sys.argv[1])))
