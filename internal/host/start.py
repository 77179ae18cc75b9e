"""Starts an engine with a demo shop, embedded or full, and serves until Ctrl-C or a demo's end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from rich.markup import escape

from internal.console import output
from internal.console.exit_codes import ExitCode
from internal.host import engine, full
from internal.infra import clock, failpoints, files, logs, settings
from internal.kernel import errors, ids
from internal.seeds import demo_shop

SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets a busy event loop delay every statement of the writer thread."""

console = output.report(stderr=True)


class Arguments(NamedTuple):
    """The values of the command line."""

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
        """Return the folder where a demo finds the engine's settings and database."""
        return self.data or (full.STACK_FOLDER if self.is_full else running.folder)


def start(arguments: Arguments) -> int:
    """Start an engine and serve, as the command line says; returns the exit code.

    Raises:
        Misconfigured: the command line or a setting is wrong, or something is missing here.
        Temporary: a server does not answer.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    failpoints.arm(failpoints.from_environment())
    try:
        if arguments.is_full and arguments.demo is not None:
            with full.servers_up(arguments.data, output.progress):
                asyncio.run(full.functions_up(arguments.config(), output.progress))
                return _run(arguments)
        return _run(arguments)
    except errors.Temporary as error:
        if arguments.is_full and (advice := full.advice(arguments.data)):
            error.add_note(advice)
        raise


def _run(arguments: Arguments) -> int:
    options = arguments.settings()
    logs.setup(_logs_beside_data(options))
    try:
        return uvloop.run(_serve(arguments, options))
    except BaseExceptionGroup as group:  # a part has failed while others were still starting
        if group.subgroup(errors.SoukError) is None:
            raise
        return _failed(group)


def _logs_beside_data(options: settings.Settings) -> settings.LogSettings:
    """Write logs to a file, unless the settings name another one: the terminal is for people."""
    file = options.log.file or options.storage.data_dir / files.LOG
    return options.log.model_copy(update={"file": file})


async def _serve(arguments: Arguments, options: settings.Settings) -> int:
    stop = _stop_on_signals()
    async with engine.Engine(options).running() as running:
        key = await _demo_key(running)
        _tell(running, options, key)
        if arguments.demo is None:
            return await _until(stop, running)
        return await _demo(arguments.demo, running, key, arguments.folder(running), stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _demo_key(running: engine.Engine) -> str:
    """Seed the demo shop once; its key is in a file that only this user can read."""
    file = running.folder / files.DEMO_KEY
    now_us = clock.SystemClock().now_us()
    made = await running.database.write(lambda c: demo_shop.seed(c, now_us, ids.random_token))
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
    return ExitCode.OK


def _failed(error: BaseException | None) -> int:
    """Report why a part has failed: the cause, not the exception groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = (error.subgroup(errors.SoukError) or error).exceptions[0]
    text = str(error) if isinstance(error, errors.SoukError) else repr(error)
    console.print(f"[red]souk stops:[/red] {escape(text)}")
    return ExitCode.FAILED


async def _demo(
    command: list[str], running: engine.Engine, key: str, folder: Path, stop: asyncio.Event
) -> int:
    """Run the demo in a process of its own, so that the client's work does not slow the engine."""
    target = f"127.0.0.1:{running.port}"
    arguments = [*command, "--target", target, "--data", str(folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, "SOUK_API_KEY": key}
    )
    try:
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        either: set[asyncio.Future[Any]] = {ended, stopped, running.failed}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running.failed.done():
            return _failed(running.failed.exception())
        return ended.result() if ended.done() else ExitCode.INTERRUPTED
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
