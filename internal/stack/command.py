"""The command behind `scripts/stack`: up, status, down, reset, for people; --json for scripts.

Exit codes: 0 done; 1 failed; 2 wrong usage, setting or machine; 3 (status) not everything runs.
"""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.kernel import errors
from internal.stack import ports, stack, status

EXIT_FAILED, EXIT_USAGE, EXIT_DOWN = 1, 2, 3
DEFAULT_FOLDER = Path("data", "stack")
MIB = 2**20

FILE_COLUMNS = 120
"""The width of tables that go into a file."""

console = rich_console.Console(
    stderr=True,
    highlight=False,
    soft_wrap=True,
    width=None if sys.stderr.isatty() else FILE_COLUMNS,
)
commands = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A real Pulsar and a real MariaDB for Souk on this machine, on loopback, in one folder.",
)

Folder = Annotated[
    Path, typer.Option("--dir", help="The stack's folder: data, logs, settings, process ids.")
]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="0 takes any free one.")]


class Choice(StrEnum):
    """Which ports a stack gets that are not named one by one."""

    USUAL = "usual"
    FREE = "free"


@commands.command()
def up(
    *,
    folder: Folder = DEFAULT_FOLDER,
    which: Annotated[
        Choice | None, typer.Option("--ports", help="Unless they are named one by one.")
    ] = None,
    pulsar_port: Port = None,
    admin_port: Port = None,
    bookie_port: Port = None,
    mysql_port: Port = None,
    install: Annotated[
        bool, typer.Option(help="May missing packages be installed (as root, by apt-get)?")
    ] = True,
) -> None:
    """Start what does not run yet, and wait until everything answers."""
    named = {"pulsar": pulsar_port, "admin": admin_port, "bookie": bookie_port, "mysql": mysql_port}
    one = stack.Stack(folder, wanted_ports(which, named), tell=_tell)

    def work() -> int:
        started = one.up(may_install=install)
        console.print("[bold]up[/bold]" if started else "[bold]already up[/bold]: nothing to do")
        _print(status.look(one))
        console.print(f"settings: SOUK_CONFIG={one.folder.settings_file}", markup=False)
        return 0

    _end(work)


@commands.command("status")
def show_status(
    *,
    folder: Folder = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts, on stdout.")] = False,
) -> None:
    """Show the parts and the functions; exits with 0 when all parts answer, else with 3."""

    def work() -> int:
        found = status.look(stack.Stack(folder))
        if as_json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
        else:
            _print(found)
        return 0 if found.is_up else EXIT_DOWN

    _end(work)


@commands.command()
def down(folder: Folder = DEFAULT_FOLDER) -> None:
    """End every process of the stack; its data stay."""

    def work() -> int:
        ended = stack.Stack(folder, tell=_tell).down()
        console.print(f"down: {', '.join(ended)}" if ended else "already down: nothing to do")
        return 0

    _end(work)


@commands.command()
def reset(
    *,
    folder: Folder = DEFAULT_FOLDER,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """End every process of the stack and delete its folder, with all orders in it."""

    def work() -> int:
        one = stack.Stack(folder, tell=_tell)
        if not one.is_there:
            console.print(f"there is no stack in {one.folder.root}: nothing to do", markup=False)
            return 0
        if not yes and not typer.confirm(f"Delete all data in {one.folder.root}?", err=True):
            return EXIT_FAILED
        one.reset()
        console.print(f"deleted {one.folder.root}", markup=False)
        return 0

    _end(work)


def wanted_ports(which: Choice | None, named: dict[str, int | None]) -> ports.Ports | None:
    """Return the ports that the command line asks for; None when it does not say."""
    chosen = {name: port for name, port in named.items() if port is not None}
    if which is None and not chosen:
        return None
    base = ports.FREE if which is Choice.FREE else ports.Ports()
    return msgspec.structs.replace(base, **chosen)


def _tell(what: str) -> None:
    console.print(f"{what} …", markup=False)


def _end(work: Callable[[], int]) -> NoReturn:
    try:
        code = work()
    except errors.Misconfigured as error:
        console.print(f"stack: {error}", style="red", markup=False)
        code = EXIT_USAGE
    except errors.Temporary as error:
        console.print(f"stack: {error}", style="red", markup=False)
        code = EXIT_FAILED
    raise typer.Exit(code)


def _print(found: status.Status) -> None:
    parts = rich_table.Table("part", "state", "pid", "ports", "memory", "version", box=box.SIMPLE)
    for part in found.parts:
        parts.add_row(
            part.name,
            _state(part),
            str(part.pid or ""),
            ", ".join(f"{port} {name}" for name, port in part.ports.items()),
            f"{part.memory_bytes // MIB} MiB" if part.pid else "",
            part.version,
        )
    console.print(parts)
    if found.functions:
        _print_functions(found)
    if found.strays:
        console.print(
            f"{len(found.strays)} function instances without a broker: scripts/stack down"
        )
    for part in found.parts:
        console.print(f"{part.name} logs to {part.log}", markup=False)


def _print_functions(found: status.Status) -> None:
    functions = rich_table.Table(
        "function", "running", "restarts", "received", "newest exception", box=box.SIMPLE
    )
    for function in found.functions:
        functions.add_row(
            function.name,
            f"{function.running} of {function.instances}",
            str(function.restarts),
            str(function.received),
            function.exceptions[0].splitlines()[-1] if function.exceptions else "",
        )
    console.print(functions)


def _state(part: status.PartStatus) -> str:
    if part.pid is None:
        return "[red]down[/red]"
    return "[green]up[/green]" if part.answers else "[yellow]does not answer[/yellow]"
