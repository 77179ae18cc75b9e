"""The `souk` command: its groups of commands, each loaded when it is used.

The one place where an error becomes words and an exit code.
"""

import importlib.metadata
import io
import sys
import traceback
from collections.abc import Mapping
from typing import Annotated, ClassVar

import grpc
import typer

from internal.cli import exit_codes, lazy_groups, output
from internal.cli.options import Data
from internal.kernel import errors


class Souk(lazy_groups.LazyGroup):
    """All commands. Loading every one of them takes most of a second."""

    modules: ClassVar[Mapping[str, str]] = {
        "orders": "internal.cli.commands.orders",
        "products": "internal.cli.commands.products",
        "stock": "internal.cli.commands.stock",
        "ledger": "internal.cli.commands.ledger",
        "reports": "internal.cli.commands.reports",
        "check": "internal.cli.commands.check",
        "dlq": "internal.cli.commands.dead_letters",
        "payments": "internal.cli.commands.payments",
        "merchants": "internal.cli.commands.merchants",
        "migrate": "internal.cli.commands.migrate",
    }


app = typer.Typer(
    name="souk",
    cls=Souk,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done; 1 refused or not found; 2 wrong usage or setting;"
    " 3 server or database away; 4 a check failed. More in docs/cli.md.",
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - Typer's form of a callback
    if value:
        print(f"souk {importlib.metadata.version('souk')}")
        raise typer.Exit


@app.callback()
def souk(
    *,
    data: Data = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Operate Souk: orders through its gRPC door, everything else on its database."""


def main() -> None:
    """Run the command line and exit; see exits.ExitCode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        _require_text(arguments)
        app(arguments, prog_name="souk")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else exit_codes.ExitCode.BUG
    except (errors.SoukError, grpc.RpcError, OSError) as error:
        it = exit_codes.of_error(error)
        output.problem(it, as_json="--json" in arguments)
        return it.exit_code
    except Exception:  # noqa: BLE001 - a bug must not look like a refusal
        traceback.print_exc()
        return exit_codes.ExitCode.BUG
    return exit_codes.ExitCode.OK


def _require_text(arguments: list[str]) -> None:
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise errors.Misconfigured("an argument is no text in UTF-8") from None
