"""The operator behind a command: the audit log keeps a name with every action."""

import getpass
from typing import Annotated

import typer

from internal.kernel import texts

By = Annotated[
    str,
    typer.Option(
        "--by", metavar="NAME", show_default="your user name", help="Your name, for the record."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


def name_of(by: str) -> str:
    """Return the name that was given, or else that of the user who is logged in.

    Raises:
        typer.BadParameter: there is neither, or it is not a line of text.
    """
    if fault := texts.fault_of_line(by):
        raise typer.BadParameter(fault, param_hint="--by")
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        what = "no user is logged in here: give your name"
        raise typer.BadParameter(what, param_hint="--by") from None


def reason_of(reason: str) -> str:
    """Return the reason.

    Raises:
        typer.BadParameter: it is blank, or it is not text.
    """
    if fault := texts.fault_of_note(reason):
        raise typer.BadParameter(fault, param_hint="--reason")
    if not reason.strip():
        raise typer.BadParameter("give a reason", param_hint="--reason")
    return reason.strip()
