"""The command `scripts/start`: runs an engine with a demo shop, the embedded one without --full.

It runs until Ctrl-C, or until the end of a demo run.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
import typer
import uvloop
from rich.console import Console
from rich.markup import escape

from internal.host import engine, full
from internal.infra import clock, failpoints, files, logs, settings
from internal.kernel import errors, ids

Seed = Callable[[sa.Connection, int, Callable[[int], str]], str | None]
"""Fills an empty database with the demo shop; returns its API key when it was made just now."""

SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets a busy event loop delay every statement of the writer thread."""
EXIT_MISCONFIGURED = 2
EXIT_FAILED = 1

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Arguments(NamedTuple):
    """The arguments of the command line."""

    data: Path | None
    port: int | None
    demo: list[str] | None
    """The demo's command, without the engine's address."""
    is_full: bool

    def settings(self) -> settings.Settings:
        """Read the settings, the command line first.

        Raises:
            Misconfigured: one of them is wrong.
        """
        intake = {} if self.port is None else {"port": self.port}
        if self.is_full:
            return settings.load(config=self.config(), storage={"engine": "full"}, intake=intake)
        storage = {} if self.data is None else {"data_dir": self.data}
        return settings.load(storage={"engine": "embedded", **storage}, intake=intake)

    def config(self) -> Path:
        """Return the full engine's settings file.

        Raises:
            Misconfigured: there is none.
        """
        return full.settings_file(self.data)

    def folder(self, running: engine.Engine) -> Path:
        """Return the folder in which a demo beside the engine finds its data."""
        return self.data or (full.STACK_FOLDER if self.is_full else running.folder)


def run(seed: Seed, demo_script: Path) -> None:
    """Run the command line.

    Exits with 0, 1 (failed) or 2 (wrong usage or setting).
    """

    def start(
        *,
        data: Annotated[
            Path | None,
            typer.Option(
                help="Folder of all lasting data; with --full the stack's.",
                show_default="./data, ./data/stack",
            ),
        ] = None,
        port: Annotated[
            int | None, typer.Option(help="gRPC port, 0 for a free one.", show_default="50051")
        ] = None,
        demo: Annotated[
            int | None, typer.Option(min=1, max=1_000_000, help="Submit this many orders and stop.")
        ] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", help="Write the demo's figures to this file.")
        ] = None,
        is_full: Annotated[
            bool,
            typer.Option("--full", help="Run on Pulsar and MySQL; with --demo, start them, too."),
        ] = False,
    ) -> None:
        """Start Souk: API server, functions and broker in one process, on one folder.

        With --full, start only the API server, on the servers of `scripts/stack up`, where
        `scripts/deploy_functions` puts the functions.
        """
        if json_file and demo is None:
            raise typer.BadParameter("goes with --demo", param_hint="--json")
        command = None
        if demo is not None:
            extra = ["--json", str(json_file)] if json_file else []
            command = [str(demo_script), "--orders", str(demo), *extra]
        raise typer.Exit(_start(seed, Arguments(data, port, command, is_full)))

    typer.run(start)


def _start(seed: Seed, arguments: Arguments) -> int:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        failpoints.arm(failpoints.from_environment())
        if arguments.is_full and arguments.demo is not None:
            with full.servers_up(arguments.data, _say):
                asyncio.run(full.functions_up(arguments.config(), _say))
                return _run(seed, arguments)
        return _run(seed, arguments)
    except errors.Misconfigured as error:
        console.print(f"[red]souk cannot start:[/red] {escape(str(error))}")
        return EXIT_MISCONFIGURED
    except errors.Temporary as error:
        console.print(f"[red]souk cannot start:[/red] {escape(str(error))}")
        if arguments.is_full and (advice := full.advice(arguments.data)):
            console.print(advice, markup=False, soft_wrap=True)
        return EXIT_FAILED


def _say(what: str) -> None:
    console.print(f"{what} …", markup=False)


def _run(seed: Seed, arguments: Arguments) -> int:
    options = arguments.settings()
    logs.setup(_logs_beside_data(options))
    return uvloop.run(_serve(seed, arguments, options))


def _logs_beside_data(options: settings.Settings) -> settings.LogSettings:
    """Log to the data folder unless another file is set: the terminal is for people."""
    file = options.log.file or options.storage.data_dir / files.LOG
    return options.log.model_copy(update={"file": file})


async def _serve(seed: Seed, arguments: Arguments, options: settings.Settings) -> int:
    stop = _stop_on_signals()
    async with engine.Engine(options).running() as running:
        key = await _demo_key(running, seed)
        _tell(running, options, key)
        if arguments.demo is None:
            return await _until(stop, running)
        return await _demo(arguments.demo, running, key, arguments.folder(running))


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _demo_key(running: engine.Engine, seed: Seed) -> str:
    """Seed the demo shop once; its key is in a file that only this user can read."""
    file = running.folder / files.DEMO_KEY
    now_us = clock.SystemClock().now_us()
    made = await running.database.write(lambda c: seed(c, now_us, ids.random_token))
    if made:
        _write_secret(file, made)
        return made
    return await asyncio.to_thread(file.read_text) if file.exists() else ""


def _write_secret(file: Path, secret: str) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secret)


def _tell(running: engine.Engine, options: settings.Settings, key: str) -> None:
    address = f"{options.intake.host}:{running.port}"
    console.print(f"[bold]Souk[/bold] takes orders on [bold]{address}[/bold] (gRPC)")
    if options.metrics.port:
        console.print(f"  metrics   http://{options.metrics.host}:{options.metrics.port}/metrics")
    for name, place in _places(options):
        console.print(f"  {name:9} {place}", markup=False)
    console.print(f"  logs      {options.log.file or options.storage.data_dir / files.LOG}")
    console.print(
        f"  API key   {key or 'not known here; souk merchants rotate-key demo'}", markup=False
    )
    console.print("\nTry it:\n")
    console.print(_example(address, key, tls=options.intake.tls_key_file is not None), markup=False)
    console.print("\nCtrl-C drains and stops.")


def _places(options: settings.Settings) -> list[tuple[str, object]]:
    if options.storage.engine == "embedded":
        return [("data", options.storage.data_dir / files.DATABASE)]
    database = f"{options.mysql.database} on {options.mysql.host}:{options.mysql.port}"
    topics = f"{options.pulsar.service_url} {options.pulsar.topic('*')}"
    return [("database", database), ("topics", topics)]


def _example(address: str, key: str, *, tls: bool) -> str:
    order = {
        "order_id": "my-first-order",
        "store_id": "berlin",
        "currency": "EUR",
        "lines": [{"sku": "COFFEE-250", "quantity": 2}],
        "tenders": [{"card": {"token": "tok_ok"}}],
    }
    body = json.dumps({"order": order, "wait_for": "WAIT_FOR_FINALIZED"})
    plain = "" if tls else "-plaintext "
    return (
        f"grpcurl {plain}-H 'authorization: Bearer {key or 'YOUR-KEY'}' -d '{body}'"
        f" {address} souk.v1.OrderService/SubmitOrder"
    )


async def _until(stop: asyncio.Event, running: engine.Engine) -> int:
    waiting = asyncio.create_task(stop.wait())
    either: set[asyncio.Future[Any]] = {waiting, running.failed}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.failed.done():
        waiting.cancel()
        return _failed(running.failed.exception())
    console.print("draining …")
    return 0


def _failed(error: BaseException | None) -> int:
    """Print why a part has failed: the cause, without the exception groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = str(error) if isinstance(error, errors.SoukError) else repr(error)
    console.print(f"[red]souk stops:[/red] {escape(said)}")
    return EXIT_FAILED


async def _demo(command: list[str], running: engine.Engine, key: str, folder: Path) -> int:
    """Run the demo in its own process, so that the client does not slow the engine down."""
    target = f"127.0.0.1:{running.port}"
    arguments = [*command, "--target", target, "--data", str(folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, "SOUK_API_KEY": key}
    )
    try:
        ended = asyncio.create_task(process.wait())
        either: set[asyncio.Future[Any]] = {ended, running.failed}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if running.failed.done():
            return _failed(running.failed.exception())
        return ended.result()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
