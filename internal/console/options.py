"""Options that all command lines share, and groups of options as dataclasses.

`flattened` lets a command take such a group as one parameter. Must not act on an option.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from internal.console import values
from internal.console.exit_codes import ExitCode

TARGET_DEFAULT = "127.0.0.1:50051"
"""Where the API server listens unless told otherwise."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

PORT_OFFSET_MAX = 10_000
PortOffset = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=values.whole_number(0, PORT_OFFSET_MAX),
        show_default=False,
        help="Every port is N above its usual one: a second Souk on this machine.",
    ),
]

SERVER_PANEL = "Server"


def server_file(text: str, default: str = "") -> Any:  # noqa: ANN401 - Typer's own type
    """Return an option for a file that the way to the API server needs; the file must exist."""
    return typer.Option(
        metavar="FILE",
        dir_okay=False,
        exists=True,
        show_default=default or False,
        help=text,
        rich_help_panel=SERVER_PANEL,
    )


ApiKeyFile = Annotated[
    Path | None,
    server_file("File with the API key.", "SOUK_API_KEY, or else demo-api-key in the data folder"),
]
TlsCa = Annotated[
    Path | None, server_file("PEM of the authority behind the server's certificate: speak TLS.")
]

Command = Callable[..., ExitCode | None]


def flattened(command: Command) -> Command:
    """Return a command whose groups of options are spelled out, as Typer needs them.

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
    def run(**values: Any) -> ExitCode | None:  # noqa: ANN401 - as many kinds as options
        for name, kind in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
            values[name] = kind(**fields)
        return command(**values)

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


def _default_of(field: "dataclasses.Field[Any]") -> Any:  # noqa: ANN401 - any option's value
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty
