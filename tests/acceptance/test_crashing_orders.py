"""Orders that crash the engine: after a few crashes they become dead letters; all others go on."""

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
from internal.lab import engine_process
from internal.orders import store
from internal.orders.messages import OrderPlaced, PaymentDue
from internal.payments.gateways import registry
from internal.payments.messages import Tender, TenderKind
from internal.pipeline import crash_counts
from internal.pipeline.dead_letters import DeadLetter
from internal.pricing.messages import WantedLine
from internal.privacy.messages import Private
from internal.seeds import demo_shop
from tests.acceptance import audit, crashing_engine, raw_topics

pytestmark = pytest.mark.slow

SCRIPT = Path(crashing_engine.__file__)
RUN_S = 90.0
LOOK_EVERY_S = 0.05
ORDERS = 150


@pytest.mark.parametrize(
    "stages", [*([name] for name in crashing_engine.CRASHING), list(crashing_engine.CRASHING)]
)
async def test_only_crashing_orders_become_dead_letters(
    shop_folder: Path, tmp_path: Path, stages: Sequence[str]
) -> None:
    folder = Path(shutil.copytree(shop_folder, tmp_path / "data"))
    crashing = [f"{crashing_engine.CRASHING[name]}.{number}" for number, name in enumerate(stages)]
    good = [f"good.{number:04d}" for number in range(ORDERS)]
    await send(folder, [*good[: ORDERS // 2], *crashing, *good[ORDERS // 2 :]])
    crashes = 0
    while await dies(folder, crashing):
        crashes += 1
        assert crashes <= len(crashing) * (crash_counts.ATTEMPTS_MAX + 1)
    assert crashes >= crash_counts.ATTEMPTS_MAX

    letters = await raw_topics.letters(folder, len(crashing))
    named = [(it.subject, it.stage, it.code) for it in letters if not is_reminder(it)]
    assert sorted(named) == sorted(
        (order_id, name, crash_counts.CODE) for order_id, name in zip(crashing, stages, strict=True)
    )
    assert {(it.subject, it.stage, it.code) for it in letters} == set(named)
    assert await states(folder, good) == {OrderState.FINALIZED}
    await come_to_their_end_when_the_bug_is_mended(folder, [*good, *crashing])
    assert not await findings(folder, [*good, *crashing])


async def test_an_engine_on_foreign_tables_stops_and_says_so(
    shop_folder: Path, tmp_path: Path
) -> None:
    """However often it is started, no order is blamed, and none becomes a dead letter."""
    folder = Path(shutil.copytree(shop_folder, tmp_path / "data"))
    await send(folder, ["good.1"])
    async with audit.database_of(folder) as database:
        await database.write(
            lambda c: c.execute(sa.text("ALTER TABLE orders RENAME trace_id TO x"))
        )
    for _ in range(crash_counts.ATTEMPTS_MAX + 1):
        async with engine_process.isolated(folder) as engine:
            async with asyncio.timeout(RUN_S):
                assert await engine.ended() == 1
            assert "souk migrate" in engine.output
    assert not await raw_topics.letters(folder, 0)
    async with audit.database_of(folder) as database:
        await database.write(
            lambda c: c.execute(sa.text("ALTER TABLE orders RENAME x TO trace_id"))
        )
    async with running(folder), asyncio.timeout(RUN_S):
        while await states(folder, ["good.1"]) != {OrderState.FINALIZED}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(LOOK_EVERY_S)


def is_reminder(letter: DeadLetter) -> bool:
    """Tell whether it is of the janitor's: an order that crashes the stage for long is due, too."""
    facts = topics.ENVELOPE.facts_in(letter.payload.encode())
    return any(isinstance(fact, PaymentDue) for fact in facts)


async def send(folder: Path, order_ids: Sequence[str]) -> None:
    """Publish these orders before an engine runs."""
    private = [Private(tokens={"t1": "tok_ok"})] * len(order_ids)
    await raw_topics.publish(folder, topics.ENVELOPE.pack(map(order, order_ids), 16, private))


def order(order_id: str) -> OrderPlaced:
    tenders = (Tender(TenderKind.CARD, "t1"),)
    lines = (WantedLine("COFFEE-250", 1_000),)
    now_us = clock.SystemClock().now_us()
    names = (demo_shop.MERCHANT_ID, order_id, "berlin", demo_shop.CURRENCY)
    return OrderPlaced(*names, lines, tenders, "0" * 64, now_us)


async def dies(folder: Path, crashing: Sequence[str]) -> bool:
    """Run an engine; tell whether it died before all orders but the crashing ones were done."""
    async with engine_process.isolated(folder, script=SCRIPT) as engine:
        ended = asyncio.create_task(engine.ended())
        try:
            async with asyncio.timeout(RUN_S):
                while await open_orders(folder) - set(crashing) or await backlog(folder):
                    if ended.done():
                        return True
                    await asyncio.sleep(LOOK_EVERY_S)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
        assert await engine.stop() == 0, engine.output
        return False


async def come_to_their_end_when_the_bug_is_mended(folder: Path, order_ids: Sequence[str]) -> None:
    async with running(folder):
        code = await asyncio.to_thread(
            main.run, ["dlq", "replay", "--code", crash_counts.CODE, "--yes", "--data", str(folder)]
        )
        assert code == 0
        async with asyncio.timeout(RUN_S):
            while await states(folder, order_ids) != {OrderState.FINALIZED}:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK_EVERY_S)
    table = crash_counts.STAGE_ATTEMPTS
    counted = sa.select(table).where(table.c.subject != "")
    async with audit.database_of(folder) as database:
        assert not await database.read(lambda c: c.execute(counted).all())


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[None]:
    """Run an engine that does not have the bug."""
    async with engine_process.isolated(folder) as engine:
        assert await engine.address()
        yield
        assert await engine.stop() == 0, engine.output


async def backlog(folder: Path) -> bool:
    async with audit.database_of(folder) as database:
        return any((await database.read(audit.backlog)).values())


async def open_orders(folder: Path) -> set[str]:
    orders = store.ORDERS.c
    query = sa.select(orders.order_id).where(orders.state.in_(["ACCEPTED", "PAID"]))
    async with audit.database_of(folder) as database:
        return set(await database.read(lambda c: c.execute(query).scalars().all()))


async def states(folder: Path, order_ids: Sequence[str]) -> set[str]:
    names = [ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in order_ids]
    async with audit.database_of(folder) as database:
        found = await database.read(lambda c: store.find(c, names))
    return {found[name].state if name in found else "missing" for name in names}


async def findings(folder: Path, order_ids: Sequence[str]) -> Sequence[invariants.Finding]:
    captured = registry.captured_by_key(settings.of_folder(folder)) or {}
    names = [ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in order_ids]
    async with audit.database_of(folder) as database:
        return await database.read(
            lambda c: invariants.check(c, captured_at_gateway=captured, acknowledged=names)
        )
