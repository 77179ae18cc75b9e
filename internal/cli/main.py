"""The `souk` command: its groups of commands, each loaded when it is used."""

import importlib.metadata
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from internal.cli.options import Data
from internal.console import lazy_groups, output
from internal.console import run as console_run


class Souk(lazy_groups.LazyGroup):
    """All commands. Loading every one of them takes a second or two."""

    modules: ClassVar[Mapping[str, str]] = {
        "orders": "internal.cli.commands.orders",
        "stores": "internal.cli.commands.stores",
        "taxes": "internal.cli.commands.taxes",
        "products": "internal.cli.commands.products",
        "stock": "internal.cli.commands.stock",
        "ledger": "internal.cli.commands.ledger",
        "reports": "internal.cli.commands.reports",
        "check": "internal.cli.commands.check",
        "dlq": "internal.cli.commands.dead_letters",
        "payments": "internal.cli.commands.payments",
        "privacy": "internal.cli.commands.privacy",
        "merchants": "internal.cli.commands.merchants",
        "migrate": "internal.cli.commands.migrate",
        "backup": "internal.cli.commands.backup",
        "restore": "internal.cli.commands.restore",
    }
    summaries: ClassVar[Mapping[str, str]] = {
        "orders": "Place, read, follow and cancel orders, as the API key's merchant.",
        "stores": "Make stores, and change the rules by which they sell.",
        "taxes": "List and set the tax rates that products name.",
        "products": "List and import a merchant's products.",
        "stock": "See, receive, count and write off stock.",
        "ledger": "Read the double-entry ledger.",
        "reports": "Sum up orders for people and spreadsheets: sales by day, and more.",
        "check": "Check every invariant of orders, money, stock, ledger and receipts.",
        "dlq": "See, replay and drop dead letters: messages that no retry could cure.",
        "payments": "See and decide payments of unknown outcome.",
        "privacy": "Erase what is private of an order: its note, its tokens.",
        "merchants": "Make merchants and their API keys.",
        "migrate": "Make the database, or bring its tables up to date; existing rows are kept.",
        "backup": "Copy the embedded engine's databases while it runs, and check the copy.",
        "restore": "Make a new data folder of a backup, for the embedded engine.",
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
    """Operate Souk: orders through its gRPC API, everything else on its database."""


def main() -> None:
    """Run the process's own command line and exit; see exit_codes.ExitCode."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    report = output.problem_json if "--json" in arguments else output.problem
    return console_run.run(app, "souk", arguments, report)
