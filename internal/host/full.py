"""The servers of `scripts/start --full`, and for a demo run also the functions on them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from internal.deploy import deploy
from internal.infra.data_folder import files
from internal.kernel import errors
from internal.stack import layout, ports, stack

STACK_FOLDER = Path("data", "stack")
"""The default folder of scripts/stack."""

Tell = Callable[[str], None]


def settings_file(data: Path | None) -> Path:
    """Return the full engine's settings: SOUK_CONFIG's, or those of the stack in a folder.

    Raises:
        Misconfigured: there are none.
    """
    file = _named(data) or (data or STACK_FOLDER) / files.CONFIG
    if not file.is_file():
        raise errors.Misconfigured(
            f"there is no {file}: `scripts/stack up` brings up a broker and a database and writes"
            " one; or let SOUK_CONFIG name your own, without --data"
        )
    return file.absolute()


def _named(data: Path | None) -> Path | None:
    """Return SOUK_CONFIG's file unless a folder is given. Its servers are not Souk's to run."""
    named = os.environ.get("SOUK_CONFIG")
    return Path(named) if named and data is None else None


def advice(data: Path | None) -> str:
    """Return what to do when a server does not answer; nothing about servers Souk does not own."""
    if _named(data):
        return ""
    where = f" --dir {data}" if data else ""
    logs = layout.Folder((data or STACK_FOLDER).absolute()).logs
    return (
        f"`scripts/stack up{where}` brings the servers up, `scripts/stack status{where}` tells;"
        f" their logs are in {logs}"
    )


@contextlib.contextmanager
def servers_up(data: Path | None, tell: Tell, port_offset: int = 0) -> Iterator[None]:
    """Run the servers of a stack for a while; stop those that did not run before.

    Servers that SOUK_CONFIG names are neither started nor stopped. The stack's ports are
    `port_offset` above the usual ones; 0 means those of its last start.

    Raises:
        Misconfigured: something is missing on this machine, or a port is taken.
        Temporary: a server does not start.
    """
    if _named(data):
        yield
        return
    wanted = ports.moved(port_offset) if port_offset else None
    here = stack.Stack(data or STACK_FOLDER, wanted, tell=tell)
    tell("bringing up Pulsar and the database")
    ran_before = [name for name in here.names if here.pid_of(name) is not None]
    try:
        with ended_like_interrupted():
            here.up()
            yield
    finally:
        running = [name for name in here.names if here.pid_of(name) is not None]
        if started := [name for name in running if name not in ran_before]:
            tell(f"stopping {' and '.join(started)}")
            for name in started:
                here.stop(name)


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C: whatever was started is stopped. On the main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def functions_up(config: Path, tell: Tell) -> None:
    """Deploy the three functions, and check that each answers.

    Raises:
        Misconfigured: one does not answer; the message says why.
        Temporary: the broker or the database cannot be reached.
    """
    options = await asyncio.to_thread(layout.load_settings_of, config)
    logs = config.parent / "logs"
    done = await deploy.deploy(options, logs=logs if logs.is_dir() else None, tell=tell)
    problems = [f"{one.function}: {one.problem}" for one in done if one.problem]
    if problems:
        raise errors.Misconfigured("; ".join(problems))
