"""Who gives a command: what an operator did is kept with a name."""

import getpass
from typing import Annotated

import typer

By = Annotated[
    str,
    typer.Option(
        "--by", metavar="NAME", show_default="your user name", help="Who you are, for the record."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


def named(by: str) -> str:
    """Return the name that was given, or the system's for whoever is logged in.

    Raises:
        typer.BadParameter: there is neither.
    """
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        what = "nobody is logged in here: say who you are"
        raise typer.BadParameter(what, param_hint="--by") from None


def required(reason: str) -> str:
    """Return the reason.

    Raises:
        typer.BadParameter: it is blank.
    """
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    return reason.strip()
