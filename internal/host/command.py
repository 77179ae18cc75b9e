"""The command behind `scripts/start`: an engine with a demo shop, until Ctrl-C or a demo's end.

Exit codes: 0 stopped as it was told; 1 failed; 2 wrong usage or setting.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import PortOffset

if TYPE_CHECKING:
    from internal.host import start
else:
    start = lazy_modules.lazy("internal.host.start")

DEMO_ORDERS_MAX = 1_000_000
PORT_MAX = 65_535


def main(arguments: Sequence[str], demo_script: Path) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        arguments: the command line.
        demo_script: what --demo runs against the engine.
    """
    report = functools.partial(output.problem, title="souk cannot start")
    return console_run.run(
        application(demo_script), "scripts/start", arguments, report, when_away=ExitCode.FAILED
    )


def application(demo_script: Path) -> typer.Typer:
    """Return the command."""
    app = lazy_groups.single()

    @app.command()
    def start_souk(
        *,
        data: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                help="Folder for all that must survive; with --full the stack's.",
                show_default="./data, ./data/stack",
            ),
        ] = None,
        port: Annotated[
            int | None,
            typer.Option(
                metavar="N",
                parser=values.whole_number(0, PORT_MAX),
                help="gRPC port, 0 for a free one.",
                show_default="50051",
            ),
        ] = None,
        port_offset: PortOffset = 0,
        demo: Annotated[
            int | None,
            typer.Option(
                metavar="N",
                parser=values.whole_number(1, DEMO_ORDERS_MAX),
                help="Submit N orders and stop.",
            ),
        ] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Write the demo's figures.")
        ] = None,
        is_full: Annotated[
            bool,
            typer.Option("--full", help="On Pulsar and MySQL; with --demo it brings them up too."),
        ] = False,
    ) -> int:
        """Start Souk: API server, functions and broker in one process, on one folder.

        With --full only the API server, on the servers of `scripts/stack up`;
        `scripts/deploy_functions` puts the functions there.
        """
        if json_file and demo is None:
            raise typer.BadParameter("goes with --demo", param_hint="'--json'")
        command = None
        if demo is not None:
            extra = ["--json", str(json_file)] if json_file else []
            command = [str(demo_script), "--orders", str(demo), *extra]
        return start.start(start.Arguments(data, port, command, is_full, port_offset))

    return app
