"""Cancel requests in the whole pipeline, on both databases: stages die, orders come late.

Each is carried out once, its fact is sent at least once, and nothing of a cancelled order is
charged.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

import pytest

from internal.flow import replay, topics
from internal.infra import failpoints
from internal.kernel.clock import ManualClock
from internal.orders import messages
from internal.payments.gateways import simulator
from internal.requests import store as requests_store
from internal.requests.messages import RequestState
from internal.stages import commands, order_processing
from tests.support import shop
from tests.support.pipeline_fixture import GATEWAY_FILE, PATIENCE_S, Site, World, opened

BY_CARD = (shop.card(),)
LISTENER = "a-listener"
PLACES = ("received", "before_commit", "after_commit", "before_ack")


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    async with opened(site) as world:
        yield world
        await world.drain()
        assert not await world.check()


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def captured(world: World) -> dict[str, int]:
    return simulator.SimulatorLedger(world.folder / GATEWAY_FILE).captured_by_key()


async def taken(world: World) -> None:
    """Wait until the order stage has acknowledged everything; the others may not run."""
    async with asyncio.timeout(PATIENCE_S):
        while (await world.backlog())[topics.ORDER.name]:
            world.fail_if_ended()
            await asyncio.sleep(0.001)


async def state_of(world: World, command: messages.Requested) -> RequestState:
    key = commands.key_of(command)
    found = await world.database.read(lambda c: requests_store.find(c, [key]))
    return found[key].state


async def test_an_order_comes_after_its_cancellation(world: World) -> None:
    await world.run(shop.cancel("o"))
    assert await state_of(world, shop.cancel("o")) is RequestState.WAITING
    await world.run(shop.placed("o", tenders=BY_CARD), shop.placed("p", tenders=BY_CARD))
    assert await world.states("o", "p") == ["CANCELLED CANCELLED_BY_MERCHANT", "FINALIZED"]
    assert await state_of(world, shop.cancel("o")) is RequestState.DONE
    assert set(captured(world)) == {"m-1/p/1"}


async def test_an_order_comes_from_a_dead_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered OK, a bug put it aside, and its merchant gave it up before the replay."""

    def fail(*_: object) -> NoReturn:
        raise KeyError("sku")

    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "draft", fail)
        await world.run(shop.placed("o", tenders=BY_CARD))
    (letter,) = await world.letters()
    await world.run(shop.cancel("o"))
    mark = replay.Mark("replayed", "alex", "mended", world.clock.now_us())
    done = await replay.replay(world.database, world.bus, [letter.letter_key], mark)
    assert done.replayed == 1
    await world.drain()
    assert await world.states("o") == ["CANCELLED CANCELLED_BY_MERCHANT"]
    assert not captured(world)


@pytest.mark.parametrize("place", PLACES)
async def test_the_stage_dies_in_an_update(site: Site, place: str) -> None:
    clock, update = ManualClock(shop.NOW_US), shop.updated("o", ("tea", 3), ("cup", 1))
    async with opened(site, clock, (topics.ORDER,)) as world:
        await world.bus.ensure({topics.ACCEPTED: [LISTENER]})
        await world.publish(shop.kept_open("o"))
        await taken(world)
        failpoints.arm(failpoints.parse(f"order_processing.{place}=raise@1"))
        await world.publish(update)
        with contextlib.suppress(ExceptionGroup):
            await taken(world)
        failpoints.arm({})
    async with opened(site, clock, (topics.ORDER,)) as world:
        await taken(world)
        order = await world.view("o")
        assert (order.version, [line.quantity_milli for line in order.lines]) == (3, [3_000, 1_000])
        assert await state_of(world, update) is RequestState.DONE
        assert await world.bus.backlog(topics.ACCEPTED, LISTENER) >= 2
        assert not await world.check([], is_drained=False)


@pytest.mark.parametrize("passage", [1, 2])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_early", [False, True], ids=["of an order", "before its order"])
async def test_the_stage_dies_on_the_way(
    site: Site, place: str, passage: int, *, is_early: bool
) -> None:
    """Between commit and publishing above all: the fact is repeated, and the effect is not."""
    clock = ManualClock(shop.NOW_US)
    order = shop.placed("o", ("tea", 2), tenders=BY_CARD)
    async with opened(site, clock, (topics.ORDER,)) as world:
        await world.bus.ensure({topics.REJECTED: [LISTENER]})
        await world.publish(*() if is_early else (order,))
        await taken(world)
        failpoints.arm(failpoints.parse(f"order_processing.{place}=raise@{passage}"))
        await world.publish(shop.cancel("o"), *(order,) if is_early else ())
        with contextlib.suppress(ExceptionGroup):
            await taken(world)
        failpoints.arm({})
    async with opened(site, clock, (topics.ORDER,)) as world:
        await taken(world)
        assert await world.states("o") == ["CANCELLED CANCELLED_BY_MERCHANT"]
        assert await state_of(world, shop.cancel("o")) is RequestState.DONE
        assert await world.bus.backlog(topics.REJECTED, LISTENER)
        assert not await world.check(["o"], is_drained=False)
