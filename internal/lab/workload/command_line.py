"""The options that load and demo share, and their way to the API server."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internal.console import lazy_modules, values
from internal.console.options import SERVER_PANEL, TARGET_DEFAULT, ApiKeyFile, TlsCa
from internal.kernel import errors

if TYPE_CHECKING:
    from internal.client import access, client
    from internal.console import installation
else:
    installation = lazy_modules.lazy("internal.console.installation")
    access = lazy_modules.lazy("internal.client.access")

GREETING_S = 5.0

_TARGET = re.compile(r"[^\s:/]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")


def target(text: str) -> str:
    """Check HOST:PORT.

    Raises:
        typer.BadParameter: it has another form.
    """
    if not _TARGET.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not HOST:PORT")
    return text


@dataclasses.dataclass(frozen=True)
class Server:
    """The address of the API server and the credentials for it."""

    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            parser=target,
            show_default=TARGET_DEFAULT,
            help="Where the server listens.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="data/stack while it is up, else data",
            help="Data folder of the server, if it is on this machine.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    api_key_file: ApiKeyFile = None
    tls_ca: TlsCa = None


@dataclasses.dataclass(frozen=True)
class Orders:
    """The orders that are sent, and the file for the figures."""

    orders: Annotated[
        int | None,
        typer.Option(metavar="N", parser=values.whole_number(1), help="How many orders to submit."),
    ] = None
    seed: Annotated[
        int, typer.Option(metavar="N", parser=values.whole_number(0), help="Makes the orders.")
    ] = 1
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
    ] = None


def access_of(server: Server) -> access.Access:
    """Return the address and the credentials that the options name.

    Raises:
        Misconfigured: no key is found, or a file cannot be read.
    """
    with installation.chosen(server.data) as found:
        key = access.find_api_key(server.api_key_file, os.environ, found.demo_key_file)
    return access.Access(server.target or found.target, key, server.tls_ca)


async def reach(connection: client.Client, where: str) -> None:
    """See that the server answers and takes the key.

    Raises:
        Misconfigured: it does not take the key.
        Temporary: it does not answer, or not now.
    """
    failure = await connection.greet(GREETING_S)
    if failure is None:
        return
    if failure.code == "UNAUTHENTICATED":
        raise errors.Misconfigured(f"{where} does not take the API key: {failure.text}")
    if failure.reason:
        raise errors.Temporary(f"{where} is not ready: {failure.reason} {failure.text}")
    what = f"no server answers at {where} ({failure.code}); `scripts/start` starts one"
    raise errors.Temporary(f"{what} at {TARGET_DEFAULT}")


def write_json(path: Path, content: bytes) -> None:
    """Write the figures.

    Raises:
        Misconfigured: the file cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise errors.Misconfigured(f"--json {path}: {error.strerror}") from error
