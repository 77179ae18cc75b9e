"""A site with the shop in it, for tests of the whole pipeline: on SQLite, and on a server."""

import asyncio
from pathlib import Path

import pytest

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
