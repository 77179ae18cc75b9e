"""Demo, load runs and benchmarks against an engine that is started as users start it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from internal.infra.data_folder import files
from internal.lab import engine_process
from internal.lab.demo import scenes

ROOT = Path(__file__).resolve().parents[2]
DEMO_KEYS = {
    "orders",
    "accepted",
    "finalized",
    "rejected",
    "replayed",
    "invalid",
    "orders_per_s",
    "p50_ms",
    "p99_ms",
    "check_ok",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """The options that lead a script to an engine in a process of its own, on a fresh folder."""
    loop = asyncio.new_event_loop()
    stack = contextlib.AsyncExitStack()
    folder = tmp_path_factory.mktemp("engine")
    starting = engine_process.serving(("--data", str(folder)), folder)
    engine = loop.run_until_complete(stack.enter_async_context(starting))
    yield ("--target", engine.access.target, "--data", str(folder))
    loop.run_until_complete(stack.aclose())
    loop.close()


def run(script: str, *given: str) -> subprocess.CompletedProcess[str]:
    """Run a script of cmd/ to its end."""
    command = [sys.executable, str(ROOT / "cmd" / script), *given]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def read(file: Path) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(file.read_text())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_demo_shows_everything_and_its_figures_add_up(
    server: Sequence[str], tmp_path: Path
) -> None:
    file = tmp_path / "demo.json"
    ended = run("demo.py", *server, "--orders", "300", "--json", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = read(file)
    assert figures.keys() >= DEMO_KEYS
    assert figures["check_ok"] is True
    assert figures["orders"] == 300
    refused = figures["replayed"] + figures["conflicts"] + figures["invalid"]
    assert figures["accepted"] + refused == 300
    assert figures["finalized"] + figures["rejected"] == figures["accepted"]
    assert {"PAYMENT_DECLINED", "OUT_OF_STOCK", "UNKNOWN_SKU"} <= figures[
        "rejected_by_reason"
    ].keys()
    assert figures["surprises"] == 0
    assert all(it["debit_minor"] == it["credit_minor"] > 0 for it in figures["ledger"].values())
    assert figures["ledger"].keys() == {"CAD", "CHF", "EUR"}
    assert [scene["name"] for scene in figures["scenes"]] == [it.name for it in scenes.SCENES]
    assert not any(scene["wrong"] for scene in figures["scenes"])
    for word in ("accepted", "replayed", "PAYMENT_DECLINED", "orders/s", "ledger", "stock"):
        assert word in ended.stdout
    for scene in scenes.SCENES:
        assert scene.title in ended.stdout


@pytest.mark.slow
def test_smoke_run_ends_with_its_verdict(server: Sequence[str], tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    given = ["--orders", "100", "--rate", "200", "--json", str(file)]
    ended = run("load.py", "smoke", *server, *given)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = read(file)
    assert figures["verdict_ok"] is True
    assert figures["hanging"] == figures["astray"] == []
    assert figures["finalized"] + figures["rejected"] == figures["accepted"] > 0
    assert "every order that was taken came to exactly one end" in ended.stdout


def test_wrong_key_is_one_line(server: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("souk_000000000000_" + 64 * "0")
    given = ["--api-key-file", str(tmp_path / "key")]
    ended = run("load.py", "smoke", *server, *given)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "does not take the API key" in ended.stderr


@pytest.mark.slow
def test_bench_measures_and_verifies() -> None:
    ended = run("bench.py", "embedded", "--only", "embedded_unary", "--orders", "300")
    assert ended.returncode == 0, ended.stderr
    figures = lines(ended.stdout)
    assert figures[0].keys() == {"scenario", "metric", "value", "must"}
    assert figures[0]["scenario"] == "embedded_unary"
    assert figures[0]["metric"] == "orders_per_s"
    assert figures[0]["must"] == 1000
    assert figures[0]["value"] > 0
    assert "cpu_s_per_1000_orders" in ended.stderr


@pytest.mark.slow
async def test_terminated_bench_leaves_nothing_running() -> None:
    before = set((ROOT / ".cache").glob("bench-*"))
    command = [sys.executable, str(ROOT / "cmd" / "bench.py"), "embedded", "--seconds", "60"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = await anext(new_folders(before))
    await asyncio.sleep(2)
    engines = engines_on(folder)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 128 + signal.SIGTERM
    assert not folder.exists()
    assert not any(is_running(pid) for pid in engines)


async def new_folders(before: set[Path]) -> AsyncIterator[Path]:
    """Yield the folders that measurements make, as soon as they are there."""
    for _ in range(300):
        for folder in set((ROOT / ".cache").glob("bench-*")) - before:
            if (folder / files.DEMO_KEY).exists():
                yield folder
        await asyncio.sleep(0.1)


def engines_on(folder: Path) -> list[int]:
    """Return the processes whose command line names this folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in command.read_bytes():
                found.append(int(command.parent.name))
    return found


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
