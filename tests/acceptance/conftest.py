"""Fixtures of the acceptance tests: a data folder with the demo shop, made once."""

import asyncio
from pathlib import Path

import pytest

from internal.lab import engine_process
from tests.acceptance import runs


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the first start leaves it; to be copied, not used."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    asyncio.run(_seed_shop(folder))
    return folder


async def _seed_shop(folder: Path) -> None:
    async with engine_process.isolated(folder) as engine:
        assert await engine.address(), engine.output
        assert await engine.stop() == 0, engine.output


@pytest.fixture
def result_of(request: pytest.FixtureRequest, results: runs.RunResults) -> runs.ResultOf:
    """Returns one of a module's `results` and adds it to the test's report (shown by -rP)."""

    def find(name: str) -> runs.RunResult:
        result = results[name]
        if isinstance(result, BaseException):
            raise result
        request.node.add_report_section("call", "run", result.told())
        return result

    return find
