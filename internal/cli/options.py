"""The options that commands share, each written once, and groups of them as dataclasses.

`flattened` lets a command take such a group as one parameter. Says what may be asked for; must not
act on it.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

SERVER_PANEL = "Server"
TARGET_DEFAULT = "127.0.0.1:50051"
TIMEOUT_DEFAULT_S = 30.0
"""Long enough for a payment that the gateway first loses and then looks up."""
TIMEOUT_MAX_S = 3_600.0


def data_of(context: typer.Context, value: Path | None) -> Path | None:
    """Return the folder named at the command, or else the one named before it."""
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
MerchantId = Annotated[
    str,
    typer.Option(
        "--merchant",
        metavar="ID",
        show_default="the only one there is",
        help="Whose. Needed when there are several merchants.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Server:
    """Where the gRPC door is and what opens it."""

    target: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            envvar="SOUK_TARGET",
            show_default=True,
            help="Where the server listens.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = TARGET_DEFAULT
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            show_default="SOUK_API_KEY, or else demo-api-key in the data folder",
            help="Holds the API key.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            max=TIMEOUT_MAX_S,
            help="How long an answer may take.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = TIMEOUT_DEFAULT_S
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            show_default=False,
            help="PEM of the authority behind the server's certificate: speak TLS.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            show_default=False,
            help="PEM of this client's certificate, for mTLS; with --tls-key.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            show_default=False,
            help="PEM of this client's private key.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None
    data: Data = None


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command whose groups of options are spelled out, as Typer wants them.

    A parameter whose type is a dataclass becomes an option per field; the command gets it whole.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    groups = {
        name: kind
        for name, kind in hints.items()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters.extend(_spelled_out(groups[parameter.name]))
        else:
            parameters.append(
                parameter.replace(
                    kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name]
                )
            )

    @functools.wraps(command)
    def run(**values: Any) -> None:  # noqa: ANN401 - as many kinds as there are options
        for name, kind in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
            values[name] = kind(**fields)
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _spelled_out(group: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - a dataclass
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default_of(field),
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _default_of(field: "dataclasses.Field[Any]") -> Any:  # noqa: ANN401 - whatever the option holds
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty
