"""Starts an engine with a demo shop, embedded or full, and serves until Ctrl-C or a demo's end."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from loguru import logger
from rich.markup import escape

from internal.console import output, own_ports
from internal.console.exit_codes import ExitCode
from internal.host import banner, demo_key, engine, full, process
from internal.infra import failpoints, logs, settings
from internal.infra.data_folder import files, private, space
from internal.kernel import errors

console = output.report(stderr=True)


class Arguments(NamedTuple):
    """The values of the command line."""

    data: Path | None
    port: int | None
    demo: list[str] | None
    """The demo's command, without the engine's address."""
    is_full: bool
    port_offset: int = 0

    def settings(self) -> settings.Settings:
        """Read the settings, the command line first.

        Raises:
            Misconfigured: one of them is wrong.
        """
        ports: dict[str, Any] = own_ports.moved(self.port_offset) if self.port_offset else {}
        if self.port is not None:
            ports["intake"] = {"port": self.port}
        if self.is_full:
            return settings.load(config=self.config(), storage={"engine": "full"}, **ports)
        storage = {} if self.data is None else {"data_dir": self.data}
        return settings.load(storage={"engine": "embedded", **storage}, **ports)

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
    failpoints.arm(failpoints.from_environment())
    try:
        if arguments.is_full and arguments.demo is not None:
            with full.servers_up(arguments.data, output.progress, arguments.port_offset):
                asyncio.run(full.functions_up(arguments.config(), output.progress))
                return _run(arguments)
        return _run(arguments)
    except errors.Temporary as error:
        if arguments.is_full and (advice := full.advice(arguments.data)):
            error.add_note(advice)
        raise


def _run(arguments: Arguments) -> int:
    os.umask(private.UMASK)  # for what libraries and SQLite make in the data folder
    options = arguments.settings()
    _close_folder(options.storage.data_dir)
    logs.setup(_logs_beside_data(options))
    process.prepare()
    try:
        return uvloop.run(_serve(arguments, options))
    except BaseExceptionGroup as group:  # a part has failed while others were still starting
        if group.subgroup(errors.SoukError) is None:
            raise
        return _failed(group)


def _close_folder(folder: Path) -> None:
    """Make the data folder before the log is opened in it, and say so if others could read it.

    Raises:
        Misconfigured: the folder cannot be used, or its disk is full.
    """
    try:
        was_open = folder.is_dir() and folder.stat().st_mode & private.OTHERS
        private.make_folder(folder)
        private.close_files(folder)
        is_open = folder.stat().st_mode & private.OTHERS
        warning = space.require(folder)
    except OSError as error:
        raise errors.Misconfigured(f"the data folder {folder} cannot be used: {error}") from error
    if was_open:
        more = "can still read it: it has another owner" if is_open else "can no longer read it"
        console.print(f"the data folder {folder} was open to other users, who {more}", markup=False)
    if warning:
        console.print(f"[yellow]{escape(warning)}[/yellow]")


def _logs_beside_data(options: settings.Settings) -> settings.LogSettings:
    """Write logs to a file, unless the settings name another one: the terminal is for people."""
    file = options.log.file or options.storage.data_dir / files.LOG
    return options.log.model_copy(update={"file": file})


async def _serve(arguments: Arguments, options: settings.Settings) -> int:
    stop = _stop_on_signals()
    bounding = asyncio.create_task(process.keep_standard_error_small())
    try:
        return await _serve_until(stop, arguments, options)
    finally:
        bounding.cancel()


async def _serve_until(
    stop: asyncio.Event, arguments: Arguments, options: settings.Settings
) -> int:
    async with engine.Engine(options).running() as running:
        key = await demo_key.find_or_make(running.database, running.folder)
        banner.tell(console, running.port, options, key)
        if arguments.demo is None:
            return await _until(stop, running)
        return await _demo(arguments.demo, running, key.text, arguments.folder(running), stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


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
    logger.critical("souk stops: {}", text)
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
