"""A stage that stands still is seen within a minute: real faults, an order a second, true rules.

The clock is moved; database, bus, stages, promtool are real. Each fault ends, and nothing is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.flow import topics
from internal.infra.settings import MysqlSettings
from internal.pipeline import handler
from tests.support import alerting, mariadb, shop
from tests.support.pipeline_fixture import Site, World, found, opened

WAITING = sa.text(
    "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
)
TAKE_ROOM = (
    "CREATE TRIGGER take_room BEFORE INSERT ON orders FOR EACH ROW INSERT INTO room VALUES ('y')"
)
TAKE_ROOM = (
    "CREATE TRIGGER take_room BEFORE INSERT ON orders FOR EACH ROW INSERT INTO room VALUES ('y')"
)
EVENTUALLY_S = 60.0


@pytest.fixture(autouse=True)
def _fresh_gauges() -> Iterator[None]:
    alerting.reset()
    yield
    alerting.reset()


@asynccontextmanager
async def trading(site: Site, stages: tuple[handler.Stage, ...]) -> AsyncIterator[World]:
    await found(site)
    async with opened(site, stages=stages) as world:
        yield world


async def test_one_order_a_second_raises_nothing(tmp_path: Path) -> None:
    async with trading(Site(tmp_path), topics.STAGES) as world:
        minute = alerting.Minute(world)
        await minute.pass_by(drained=True)
        alerting.assert_firing(minute, tmp_path, {})


@pytest.mark.parametrize("stopped", topics.STAGES, ids=lambda stage: stage.name)
async def test_a_stopped_function_is_told_within_a_minute(
    tmp_path: Path, stopped: handler.Stage
) -> None:
    running = tuple(stage for stage in topics.STAGES if stage != stopped)
    async with trading(Site(tmp_path), running) as world:
        minute = alerting.Minute(world)
        await minute.pass_by(drained=False)
        alerting.assert_firing(minute, tmp_path, {"SoukStageStandsStill": stopped.name})


async def test_locked_rows_are_told_within_a_minute(
    tmp_path: Path, mysql_server: mariadb.Server, mysql_books: MysqlSettings
) -> None:
    async with trading(Site(tmp_path, mysql_books), topics.STAGES) as world:
        holder = mysql_server.engine(mysql_books.database)
        with holder.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM stock FOR UPDATE").all()
            await world.publish(shop.placed("first"))
            await until_somebody_waits(holder)
            minute = alerting.Minute(world)
            await minute.pass_by(drained=False)
            alerting.assert_firing(minute, tmp_path, {"SoukStageStandsStill": "order_processing"})
            connection.rollback()
        holder.dispose()
        await everything_ends(world)


async def test_a_full_disk_is_told_within_a_minute(
    tmp_path: Path, mysql_server: mariadb.Server, mysql_books: MysqlSettings
) -> None:
    async with trading(Site(tmp_path, mysql_books), topics.STAGES) as world:
        engine = mysql_server.engine(mysql_books.database)
        async with no_room_for_orders(engine):
            minute = alerting.Minute(world)
            await minute.pass_by(drained=False)
        engine.dispose()
        alerting.assert_firing(minute, tmp_path, {"SoukStageStandsStill": "order_processing"})
        await everything_ends(world)


@asynccontextmanager
async def no_room_for_orders(engine: sa.Engine) -> AsyncIterator[None]:
    """Make the server answer 1114 to every new order, as it does when its disk is full."""
    with engine.connect() as connection:

        async def run(statement: str) -> None:
            # Elsewhere than on the loop: a stage there may hold what the statement waits for.
            await asyncio.to_thread(connection.exec_driver_sql, statement)

        await run("SET max_heap_table_size = 16384")
        await run("CREATE TABLE room (text CHAR(200)) ENGINE = MEMORY")
        with pytest.raises(sa.exc.OperationalError, match="1114"):
            await run("INSERT INTO room SELECT 'x' FROM seq_1_to_10000")
        await run(TAKE_ROOM)
        try:
            yield
        finally:
            await run("DROP TRIGGER take_room")
            await run("DROP TABLE room")


async def until_somebody_waits(engine: sa.Engine) -> None:
    async with asyncio.timeout(EVENTUALLY_S):
        with engine.connect() as connection:
            while not connection.execute(WAITING).scalar():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(
                    0.3
                )  # the server's answer is renewed 0.1 s after the last question


async def everything_ends(world: World) -> None:
    """Wait for the last order: the stage goes on by itself when the fault has ended."""
    async with asyncio.timeout(EVENTUALLY_S):
        while any((await world.backlog()).values()):
            world.fail_if_ended()
            await asyncio.sleep(0.05)
    assert not await world.check()
    assert await world.states("at-1", "at-60") == ["FINALIZED", "FINALIZED"]
