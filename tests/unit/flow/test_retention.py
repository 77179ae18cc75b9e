"""Old requests are deleted, a few at a time, and what must stay stays."""

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.flow import retention
from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.privacy import store as privacy_store
from internal.requests import rules, store
from internal.requests.messages import RequestState
from tests.support import ports, shop, staged_orders
from tests.unit.requests import samples

DAY_US = retention.S_PER_DAY * US_PER_SECOND


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        yield opened


def watch(database: ports.MemoryDatabase) -> retention.Retention:
    options = retention.Options(interval_s=0.001, kept_days=30)
    return retention.Retention(database, ManualClock(shop.NOW_US), options)


def kept(connection: sa.Connection) -> set[str]:
    return set(connection.execute(sa.select(store.REQUESTS.c.request_id)).scalars())


def test_requests_older_than_the_setting_are_deleted(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    too_old_us = shop.NOW_US - 30 * DAY_US - 1
    old = [samples.request(f"old-{number}", at_us=too_old_us) for number in range(5)]
    waiting = samples.request("waiting", state=RequestState.WAITING, at_us=too_old_us)
    new = samples.request("new", at_us=too_old_us + 1)
    store.add(connection, [*old, waiting, new])
    watching = watch(ports.MemoryDatabase(connection))
    assert asyncio.run(watching.look()) == 6
    assert kept(connection) == {"new"}
    assert asyncio.run(watching.look()) == 0


async def test_it_looks_again_when_the_database_is_back(connection: sa.Connection) -> None:
    store.add(connection, [samples.request(at_us=1)])
    database = ports.MemoryDatabase(connection)
    database.away = 2
    running = asyncio.create_task(watch(database).run())
    async with asyncio.timeout(5):
        while kept(connection):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_reason_goes_with_a_request_whose_order_never_came(connection: sa.Connection) -> None:
    old, new = (samples.request(f"r-{at_us}", at_us=at_us) for at_us in (1, shop.NOW_US))
    store.add(connection, [old, new])
    numbers = [rules.number_of(it.key) for it in (old, new)]
    held = [privacy_store.Held(number, "m-1", {"note": "ill"}) for number in numbers]
    privacy_store.add(connection, privacy_store.Subject.REQUEST, held, 1)
    assert asyncio.run(watch(ports.MemoryDatabase(connection)).look()) == 1
    left = privacy_store.find(connection, privacy_store.Subject.REQUEST, numbers)
    assert left == {numbers[1]: {"note": "ill"}}
