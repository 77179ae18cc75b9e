"""The loader: which requests share a read, and what an order is before it is recorded."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from internal.kernel import errors, ids
from internal.views.order import OrderView
from tests.unit.api.orders import waiting


@pytest.fixture
async def rig() -> AsyncIterator[waiting.Rig]:
    async with waiting.running_rig() as running:
        yield running


async def test_requests_at_the_same_time_share_a_read(rig: waiting.Rig) -> None:
    rig.orders.record(waiting.fact())
    refs = [waiting.REF, ids.OrderRef("m1", "o-2")] * 50
    first = asyncio.create_task(rig.loader.recorded(waiting.REF))
    await asyncio.sleep(0)
    views = await asyncio.gather(*(rig.loader.recorded(ref) for ref in refs))
    assert [view is not None for view in views] == [True, False] * 50
    assert await first
    assert rig.orders.reads == 2


async def test_a_request_never_shares_a_read_that_began_before_it(rig: waiting.Rig) -> None:
    early = asyncio.create_task(rig.loader.recorded(waiting.REF))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rig.orders.record(waiting.fact())
    assert await rig.loader.recorded(waiting.REF) is not None
    await early


async def test_an_order_never_goes_back_to_placed(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.submission())
    assert await rig.loader.get(waiting.REF) == waiting.submission()
    rig.orders.record(waiting.fact())
    assert isinstance(await rig.loader.get(waiting.REF), OrderView)
    rig.orders.views.clear()
    assert await rig.loader.get(waiting.REF) is None


async def test_errors_reach_all_and_pass(rig: waiting.Rig) -> None:
    rig.orders.is_away = True
    for _ in range(2):
        with pytest.raises(errors.DatabaseAway):
            await rig.loader.get(waiting.REF)
    rig.orders.is_away = False
    assert await rig.loader.get(waiting.REF) is None


async def test_a_cancelled_caller_does_not_cancel_the_others(rig: waiting.Rig) -> None:
    rig.orders.record(waiting.fact())
    leaving = asyncio.create_task(rig.loader.recorded(waiting.REF))
    staying = asyncio.create_task(rig.loader.recorded(waiting.REF))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
