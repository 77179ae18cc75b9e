"""What the acceptance tests start from: a data folder with the demo shop in it, made once."""

import asyncio
from pathlib import Path

import pytest

from internal.lab.chaos import engine_process
from tests.acceptance import runs


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the first start leaves it; to be copied, not used."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    asyncio.run(_open_shop(folder))
    return folder


async def _open_shop(folder: Path) -> None:
    async with engine_process.started(folder) as engine:
        assert await engine.address(), engine.said
        assert await engine.stop() == 0, engine.said


@pytest.fixture
def story_of(request: pytest.FixtureRequest, stories: runs.Stories) -> runs.StoryOf:
    """Returns one of a module's `stories`, and has the test's report tell it (see it with -rP)."""

    def find(name: str) -> runs.Story:
        story = stories[name]
        if isinstance(story, BaseException):
            raise story
        request.node.add_report_section("call", "run", story.told())
        return story

    return find
