"""How the engine starts, refuses to start, and stops: it drains and loses nothing."""

import asyncio
import contextlib
import random
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from internal.lab import engine_process
from tests.acceptance import runs

pytestmark = pytest.mark.slow

FAILED, MISCONFIGURED, INTERRUPTED = 1, 2, 130


@pytest.fixture
def folder(shop_folder: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "data"
    shutil.copytree(shop_folder, copied)
    return copied


async def refusal(folder: Path, *arguments: str, **settings: str) -> str:
    """Start an engine that must refuse its settings; return its output."""
    exit_code, said = await failure(folder, *arguments, **settings)
    assert exit_code == MISCONFIGURED
    return said


async def failure(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Start an engine that cannot start; return its exit code and its output."""
    async with engine_process.isolated(folder, *arguments, settings=settings) as engine:
        assert await engine.address() == ""
        exit_code = await engine.ended()
        assert "Traceback" not in engine.output
        return exit_code, engine.output


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


class TestStop:
    async def test_in_the_middle_of_orders_nothing_is_lost(
        self, shop_folder: Path, tmp_path: Path
    ) -> None:
        stops = tuple(runs.Stop(answers) for answers in (100, 300, 500))
        options = runs.Options("stop", random.randrange(1_000_000), stops, 2_000)
        result = await runs.run(shop_folder, tmp_path / "data", options)
        assert result.exits == (0, 0, 0), result.told()
        assert not result.findings, result.told()
        assert len(result.log.placed) > 400, result.told()

    async def test_when_idle_is_quick(self, folder: Path) -> None:
        async with engine_process.isolated(folder) as engine:
            assert await engine.address()
            async with asyncio.timeout(5):
                assert await engine.stop() == 0
            assert "drain" in engine.output

    async def test_during_a_demo_it_does_not_wait_for_the_last_order(self, folder: Path) -> None:
        async with engine_process.isolated(folder, "--demo", "1000000") as engine:
            assert await engine.address()
            assert await engine.stop() == INTERRUPTED


class TestRefusals:
    async def test_second_engine_on_one_folder(self, folder: Path) -> None:
        async with engine_process.isolated(folder) as first:
            assert await first.address()
            said = await refusal(folder)
            assert "another engine is running" in said
            assert str(folder) in said
            assert await first.stop() == 0

    async def test_port_that_is_taken(self, folder: Path) -> None:
        with taken_port() as port:
            said = await refusal(folder, "--port", str(port))
        assert f"port {port} of 127.0.0.1 (SOUK_INTAKE__PORT)" in said
        assert "--port-offset" in said

    async def test_metrics_port_that_is_taken(self, folder: Path) -> None:
        with taken_port() as port:
            said = await refusal(folder, SOUK_METRICS__PORT=str(port))
        assert f"port {port} of 127.0.0.1 (SOUK_METRICS__PORT)" in said
        assert "--port-offset" in said

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"SOUK_STAGES__BATCH_ORDERS_MAX": "many"}, "SOUK_STAGES__BATCH_ORDERS_MAX"),
            ({"SOUK_STAGES__BATCH_ORDERS_MAX": "0"}, "SOUK_STAGES__BATCH_ORDERS_MAX"),
            ({"SOUK_STAGES__NO_SUCH": "1"}, "SOUK_STAGES__NO_SUCH"),
            ({"SOUK_NO_SUCH__GROUP": "1"}, "SOUK_NO_SUCH__GROUP"),
            ({"SOUK_CONFIG": "no-such-file.toml"}, "SOUK_CONFIG"),
            ({"SOUK_FAILPOINTS": "db.before_commit=kill"}, "SOUK_FAILPOINTS"),
            ({"SOUK_FAILPOINTS": "here=explode", "SOUK_TESTING": "1"}, "SOUK_FAILPOINTS"),
            ({"SOUK_INTAKE__TLS_KEY_FILE": "key.pem"}, "SOUK_INTAKE"),
        ],
        ids=lambda it: it if isinstance(it, str) else ",".join(it.values()),
    )
    async def test_wrong_setting(
        self, folder: Path, settings: Mapping[str, str], named: str
    ) -> None:
        assert named in await refusal(folder, **settings)

    async def test_file_with_a_wrong_setting(self, folder: Path, tmp_path: Path) -> None:
        config = tmp_path / "souk.toml"
        config.write_text('[stages]\neffects_max = "all"\n')
        said = await refusal(folder, SOUK_CONFIG=str(config))
        assert "SOUK_STAGES__EFFECTS_MAX" in said

    async def test_file_that_is_not_toml(self, folder: Path, tmp_path: Path) -> None:
        config = tmp_path / "souk.toml"
        config.write_text("[janitor\n")
        said = await refusal(folder, SOUK_CONFIG=str(config))
        assert str(config) in said

    async def test_folder_that_is_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "data"
        file.write_text("")
        assert str(file) in await refusal(file)

    async def test_full_without_servers(self, tmp_path: Path) -> None:
        """With --full even an empty settings file configures the full engine."""
        (tmp_path / "souk.toml").write_text("")
        no_server = {"SOUK_MYSQL__HOST": "127.0.0.1", "SOUK_MYSQL__PORT": "1"}
        exit_code, said = await failure(tmp_path, "--full", **no_server)
        assert exit_code == FAILED
        assert "SOUK_MYSQL__HOST and SOUK_MYSQL__PORT name 127.0.0.1:1" in said
        assert f"scripts/stack up --dir {tmp_path}" in said

    async def test_full_without_settings(self, tmp_path: Path) -> None:
        assert "scripts/stack up" in await refusal(tmp_path, "--full")
