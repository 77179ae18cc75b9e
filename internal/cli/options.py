"""The options that the commands of `souk` share, each written once."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from internal.console.options import (
    SERVER_PANEL,
    TARGET_DEFAULT,
    ApiKeyFile,
    TlsCa,
    server_file,
)

TIMEOUT_DEFAULT_S = 30.0
"""Long enough for a payment that the gateway first loses and then looks up."""
TIMEOUT_MAX_S = 3_600.0


def data_of(context: typer.Context, value: Path | None) -> Path | None:
    """Return the folder named after the command, or else the one named before it."""
    return value or context.find_root().params.get("data")


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        callback=data_of,
        show_default="./data, or SOUK_STORAGE__DATA_DIR",
        help="Data folder of the engine.",
    ),
]
MerchantId = Annotated[
    str,
    typer.Option(
        "--merchant",
        metavar="ID",
        show_default="the only one there is",
        help="The merchant; needed when there are several.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Server:
    """The address of the API server and the credentials for it."""

    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="SOUK_TARGET",
            show_default=TARGET_DEFAULT,
            help="Where the server listens.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    api_key_file: ApiKeyFile = None
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            max=TIMEOUT_MAX_S,
            help="How long a reply may take.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = TIMEOUT_DEFAULT_S
    tls_ca: TlsCa = None
    tls_cert: Annotated[
        Path | None, server_file("PEM of this client's certificate, for mTLS; with --tls-key.")
    ] = None
    tls_key: Annotated[Path | None, server_file("PEM of this client's private key.")] = None
    data: Data = None
