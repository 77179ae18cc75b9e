"""An engine's process is watched, killed or stopped; one that does not start says why."""

import os
import signal
from pathlib import Path

import pytest

from internal.infra.data_folder import files
from internal.kernel import errors
from internal.lab import engine_process

SERVES = """
import sys, time
print("Souk takes orders on 127.0.0.1:4711 (gRPC)", file=sys.stderr, flush=True)
time.sleep(60)
"""
DRAINS = """
import signal, sys, time
def stop(*_):
    print("draining", file=sys.stderr, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("Souk takes orders on 127.0.0.1:4711 (gRPC)", file=sys.stderr, flush=True)
time.sleep(60)
"""
FAILS = "import sys; sys.exit('no coffee')"
SHOWS = (
    "import os, sys; sys.exit(repr((sys.argv[1:], sorted(k for k in os.environ if 'SOUK' in k))))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def script(folder: Path, text: str) -> Path:
    file = folder.with_name("script.py")
    file.write_text(text)
    return file


async def test_address_is_known_when_it_takes_orders_and_a_kill_is_seen(folder: Path) -> None:
    async with engine_process.isolated(folder, script=script(folder, SERVES)) as engine:
        assert await engine.address() == "127.0.0.1:4711"
        engine.kill()
        assert await engine.ended() == engine_process.KILLED
        assert not engine.is_running


async def test_stop_lets_it_drain(folder: Path) -> None:
    async with engine_process.isolated(folder, script=script(folder, DRAINS)) as engine:
        assert await engine.address()
        assert await engine.stop() == 0
        assert "draining" in engine.output


async def test_one_that_ends_at_its_start_has_no_address(folder: Path) -> None:
    async with engine_process.isolated(folder, script=script(folder, FAILS)) as engine:
        assert await engine.address() == ""
        assert await engine.ended() == 1
        assert "no coffee" in engine.output


async def test_one_that_still_runs_is_killed_at_the_end(folder: Path) -> None:
    async with engine_process.isolated(folder, script=script(folder, SERVES)) as engine:
        await engine.address()
    with pytest.raises(ProcessLookupError):
        os.kill(engine.pid, signal.SIGCONT)


async def test_isolated_engine_sees_no_setting_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUK_CONFIG", "ours.toml")
    shows, armed = script(folder, SHOWS), engine_process.armed("x=kill")
    async with engine_process.isolated(folder, "--full", settings=armed, script=shows) as engine:
        await engine.ended()
    assert f"['--port', '0', '--data', '{folder}', '--full']" in engine.output
    seen = sorted([*engine_process.NO_METRICS, *engine_process.IMPATIENT, *armed])
    assert repr(seen) in engine.output


async def test_engine_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(errors.Misconfigured, match=r"does not start: (.|\n)*--nonsense"):
        async with engine_process.serving(("--nonsense",), folder):
            pass


def test_access_is_the_address_with_the_key_in_the_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / files.DEMO_KEY).write_text("souk_key")
    access = engine_process.access_to("127.0.0.1:1", folder)
    assert (access.target, access.api_key) == ("127.0.0.1:1", "souk_key")
