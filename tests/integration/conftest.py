"""A site with the shop in it, for tests of the whole pipeline: on SQLite, and on a server.

And an embedded engine with two merchants' shops, and a till at it.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from internal.host import engine
from internal.infra import settings
from tests.support import shop, tills
from tests.support.pipeline_fixture import Site, copy, found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    asyncio.run(found(Site(folder)))
    return folder


@pytest.fixture(params=["sqlite", "mysql"])
def site(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Site:
    if request.param == "sqlite":
        return copy(template, tmp_path / "data")
    on_server = Site(tmp_path, request.getfixturevalue("mysql_books"))
    asyncio.run(found(on_server))
    return on_server


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[engine.Engine]:
    """An engine with two merchants' shops."""
    chosen = settings.load(storage={"data_dir": tmp_path}, intake={"port": 0}, metrics={"port": 0})
    async with engine.Engine(chosen).running() as started:
        await started.database.write(tills.open_shops)
        yield started


@pytest.fixture
async def channel(running: engine.Engine) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as opened:
        yield opened


@pytest.fixture
def till(channel: grpc.aio.Channel) -> tills.Till:
    return tills.Till(channel, shop.MERCHANT)
