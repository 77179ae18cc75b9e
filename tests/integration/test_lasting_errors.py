"""An error that lasts stops a stage and puts no order aside; a single bad order is put aside alone.

The error is that of a trigger, which no list of error numbers knows: 1644 on a server, a failed
constraint on SQLite.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from internal.infra import db, metrics
from internal.orders import messages
from internal.pipeline import breaker
from tests.support import shop
from tests.support.pipeline_fixture import PATIENCE_S, Site, World, opened

ORDERS = 60
SQLITE = (
    "CREATE TRIGGER refuses BEFORE INSERT ON orders WHEN {} BEGIN"
    " SELECT RAISE(ABORT, 'not today'); END"
)
MYSQL = (
    "CREATE TRIGGER refuses BEFORE INSERT ON orders FOR EACH ROW BEGIN IF {} THEN"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not today'; END IF; END"
)


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    async with opened(site) as world:
        yield world
        await repair(world.database)
        await world.drain()
        assert not await world.check()


async def spoil(world: World, condition: str) -> None:
    """Have the database refuse every new order for which `condition` holds of NEW."""
    trigger = (MYSQL if world.site.server else SQLITE).format(condition)
    await world.database.write(lambda c: c.execute(sa.text(trigger)))


async def repair(database: db.Database) -> None:
    await database.write(lambda c: c.execute(sa.text("DROP TRIGGER IF EXISTS refuses")))


def pauses() -> float:
    """Return how many times stages have paused in this process."""
    (family,) = metrics.STAGE_PAUSES.collect()
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))


async def until_paused(before: float, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while pauses() < before + times:  # noqa: ASYNC110 - a metric tells nobody
            await asyncio.sleep(0.001)


def orders(count: int) -> list[messages.OrderPlaced]:
    return [shop.placed(f"o{number}") for number in range(count)]


async def test_a_lasting_error_puts_nothing_aside(world: World) -> None:
    """The stage waits with every order, and goes on by itself when the error is gone."""
    before = pauses()
    await spoil(world, "1 = 1")
    await world.publish(*orders(ORDERS))
    await until_paused(before, 2)
    await world.publish(shop.placed("late"))
    await until_paused(before, 3)
    assert not await world.letters()
    await repair(world.database)
    await world.drain()
    names = [order.order_id for order in orders(ORDERS)]
    assert set(await world.states(*names, "late")) == {"FINALIZED"}
    assert not await world.letters()


async def test_orders_that_come_one_by_one_are_kept_too(world: World) -> None:
    """At most a few are put aside before the stage knows that the error is not theirs."""
    before = pauses()
    await spoil(world, "1 = 1")
    for place, order in enumerate(orders(3 * breaker.FAILED_ALONE_MAX), start=1):
        await world.publish(order)
        if place < breaker.FAILED_ALONE_MAX:
            await world.drain()
    await until_paused(before)
    assert len(await world.letters()) < breaker.FAILED_ALONE_MAX
    await repair(world.database)
    await world.drain()
    assert len(await world.letters()) < breaker.FAILED_ALONE_MAX


@pytest.mark.parametrize("place", [0, 30, ORDERS])
async def test_one_bad_order_among_good_ones_is_put_aside_alone(world: World, place: int) -> None:
    before = pauses()
    await spoil(world, "NEW.order_id = 'bad'")
    batch = orders(ORDERS)
    batch.insert(place, shop.placed("bad"))
    await world.run(*batch)
    assert [letter.subject for letter in await world.letters()] == ["bad"]
    assert set(await world.states(*(o.order_id for o in orders(ORDERS)))) == {"FINALIZED"}
    assert pauses() == before


async def test_a_lone_bad_order_is_put_aside_alone(world: World) -> None:
    await spoil(world, "NEW.order_id = 'bad'")
    await world.run(shop.placed("bad"))
    assert [letter.subject for letter in await world.letters()] == ["bad"]


async def test_many_bad_orders_do_not_stop_the_good_ones(world: World) -> None:
    """A merchant whose orders meet a bug cannot stop the others."""
    await spoil(world, "NEW.order_id LIKE 'bad%'")
    bad = [shop.placed(f"bad{number}") for number in range(3 * breaker.FAILED_ALONE_MAX)]
    good = orders(len(bad))
    await world.run(*bad, *good)
    letters = await world.letters()
    assert sorted(letter.subject for letter in letters) == sorted(it.order_id for it in bad)
    assert set(await world.states(*(order.order_id for order in good))) == {"FINALIZED"}


async def test_a_bad_order_and_its_cancel_request_keep_their_order(world: World) -> None:
    """Both are put aside or both go on: a cancel request never overtakes its order."""
    before = pauses()
    await spoil(world, "1 = 1")
    await world.publish(*orders(ORDERS))
    await world.publish(*(shop.cancel(order.order_id) for order in orders(ORDERS)))
    await until_paused(before, 2)
    await repair(world.database)
    await world.drain()
    states = await world.states(*(order.order_id for order in orders(ORDERS)))
    assert {state.split()[0] for state in states} <= {"CANCELLED", "FINALIZED"}
    logged = [await world.view(order.order_id) for order in orders(ORDERS)]
    assert all(view.state in {"CANCELLED", "FINALIZED"} for view in logged)
    assert not await world.letters()
