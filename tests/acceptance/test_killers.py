"""Orders that kill the engine: after a few lives it goes on without them, and with all others."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.cli import main
from internal.flow import topics
from internal.infra import clock, settings
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.lab.chaos import engine_process
from internal.orders import store
from internal.orders.messages import OrderPlaced
from internal.payments.gateways import registry
from internal.payments.messages import Tender, TenderKind
from internal.pipeline import crash_counts
from internal.pricing.messages import WantedLine
from internal.seeds import demo_shop
from tests.acceptance import audit, crashing_engine, raw_topics

pytestmark = pytest.mark.slow

MORTAL = Path(crashing_engine.__file__)
LIFE_S = 90.0
LOOK_EVERY_S = 0.05
ORDERS = 150


@pytest.mark.parametrize(
    "stages", [*([name] for name in crashing_engine.KILLERS), list(crashing_engine.KILLERS)]
)
async def test_killers_are_put_aside_and_nobody_else(
    shop_folder: Path, tmp_path: Path, stages: Sequence[str]
) -> None:
    folder = Path(shutil.copytree(shop_folder, tmp_path / "data"))
    killers = [f"{crashing_engine.KILLERS[name]}.{number}" for number, name in enumerate(stages)]
    good = [f"good.{number:04d}" for number in range(ORDERS)]
    await send(folder, [*good[: ORDERS // 2], *killers, *good[ORDERS // 2 :]])
    deaths = 0
    while await dies(folder, killers):
        deaths += 1
        assert deaths <= len(killers) * (crash_counts.ATTEMPTS_MAX + 1)
    assert deaths >= crash_counts.ATTEMPTS_MAX

    letters = await raw_topics.letters(folder, len(killers))
    assert sorted((it.order_id, it.stage, it.code) for it in letters) == sorted(
        (killer, name, crash_counts.CODE) for killer, name in zip(killers, stages, strict=True)
    )
    assert await states(folder, good) == {OrderState.FINALIZED}
    await come_to_their_end_when_the_bug_is_mended(folder, [*good, *killers])
    assert not await findings(folder, [*good, *killers])


async def test_an_engine_on_foreign_tables_stops_and_says_so(
    shop_folder: Path, tmp_path: Path
) -> None:
    """However often it is started: no order is to blame, and none is put aside."""
    folder = Path(shutil.copytree(shop_folder, tmp_path / "data"))
    await send(folder, ["good.1"])
    async with audit.books(folder) as books:
        await books.write(lambda c: c.execute(sa.text("ALTER TABLE orders RENAME trace_id TO x")))
    for _ in range(crash_counts.ATTEMPTS_MAX + 1):
        async with engine_process.started(folder) as engine:
            async with asyncio.timeout(LIFE_S):
                assert await engine.ended() == 1
            assert "souk migrate" in engine.said
    assert not await raw_topics.letters(folder, 0)
    async with audit.books(folder) as books:
        await books.write(lambda c: c.execute(sa.text("ALTER TABLE orders RENAME x TO trace_id")))
    async with running(folder), asyncio.timeout(LIFE_S):
        while await states(folder, ["good.1"]) != {OrderState.FINALIZED}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(LOOK_EVERY_S)


async def send(folder: Path, order_ids: Sequence[str]) -> None:
    """Have these orders on their topic before an engine runs."""
    await raw_topics.publish(folder, topics.ENVELOPE.pack(map(order, order_ids)))


def order(order_id: str) -> OrderPlaced:
    tenders = (Tender(TenderKind.CARD, None, "tok_ok"),)
    lines = (WantedLine("COFFEE-250", 1),)
    now_us = clock.SystemClock().now_us()
    names = (demo_shop.MERCHANT_ID, order_id, "berlin", demo_shop.CURRENCY)
    return OrderPlaced(*names, lines, tenders, "0" * 64, now_us)


async def dies(folder: Path, killers: Sequence[str]) -> bool:
    """Let an engine live; tell whether it died before everything but the killers was done."""
    async with engine_process.started(folder, script=MORTAL) as engine:
        ended = asyncio.create_task(engine.ended())
        try:
            async with asyncio.timeout(LIFE_S):
                while await open_orders(folder) - set(killers) or await backlog(folder):
                    if ended.done():
                        return True
                    await asyncio.sleep(LOOK_EVERY_S)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
        assert await engine.stop() == 0, engine.said
        return False


async def come_to_their_end_when_the_bug_is_mended(folder: Path, order_ids: Sequence[str]) -> None:
    async with running(folder):
        code = await asyncio.to_thread(
            main.run, ["dlq", "replay", "--code", crash_counts.CODE, "--yes", "--data", str(folder)]
        )
        assert code == 0
        async with asyncio.timeout(LIFE_S):
            while await states(folder, order_ids) != {OrderState.FINALIZED}:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK_EVERY_S)
    table = crash_counts.STAGE_ATTEMPTS
    counted = sa.select(table).where(table.c.order_id != "")
    async with audit.books(folder) as books:
        assert not await books.read(lambda c: c.execute(counted).all())


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[None]:
    """Run an engine without the bug."""
    async with engine_process.started(folder) as engine:
        assert await engine.address()
        yield
        assert await engine.stop() == 0, engine.said


async def backlog(folder: Path) -> bool:
    async with audit.books(folder) as books:
        return any((await books.read(audit._backlog)).values())


async def open_orders(folder: Path) -> set[str]:
    orders = store.ORDERS.c
    query = sa.select(orders.order_id).where(orders.state.in_(["ACCEPTED", "PAID"]))
    async with audit.books(folder) as books:
        return set(await books.read(lambda c: c.execute(query).scalars().all()))


async def states(folder: Path, order_ids: Sequence[str]) -> set[str]:
    names = [ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in order_ids]
    async with audit.books(folder) as books:
        found = await books.read(lambda c: store.find(c, names))
    return {found[name].state if name in found else "missing" for name in names}


async def findings(folder: Path, order_ids: Sequence[str]) -> Sequence[invariants.Finding]:
    captured = registry.captured_by_key(settings.of_folder(folder)) or {}
    names = [ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in order_ids]
    async with audit.books(folder) as books:
        return await books.read(
            lambda c: invariants.check(c, captured_at_gateway=captured, acknowledged=names)
        )
