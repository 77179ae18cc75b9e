"""The command behind `scripts/stack`: up, status, down, reset, for people; --json for scripts.

Exit codes: 0 done; 1 failed; 2 wrong usage, setting or machine; 3 (status) not all is well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich import table as rich_table

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import AsJson, PortOffset, Yes, flattened

if TYPE_CHECKING:
    from internal.console import own_ports
    from internal.stack import layout, ports, stack, status
else:
    own_ports = lazy_modules.lazy("internal.console.own_ports")
    layout = lazy_modules.lazy("internal.stack.layout")
    ports = lazy_modules.lazy("internal.stack.ports")
    stack = lazy_modules.lazy("internal.stack.stack")
    status = lazy_modules.lazy("internal.stack.status")

DEFAULT_FOLDER = Path("data", "stack")
MIB = 2**20
PORT_MAX = 65_535

app = lazy_groups.new(
    "A real Pulsar and a real MariaDB for Souk on this machine, on loopback, in one folder."
)

Folder = Annotated[
    Path,
    typer.Option(
        "--dir", metavar="DIR", help="The stack's folder: data, logs, settings, process ids."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=values.whole_number(0, PORT_MAX), help="0 takes any free port."
    ),
]


class Choice(StrEnum):
    """The ports of a stack, unless they are named one by one."""

    USUAL = "usual"
    FREE = "free"


@dataclasses.dataclass(frozen=True)
class PortOptions:
    """The ports that the command line names."""

    which: Annotated[
        Choice | None, typer.Option("--ports", help="The ports that are not named one by one.")
    ] = None
    pulsar_port: Port = None
    admin_port: Port = None
    bookie_port: Port = None
    mysql_port: Port = None
    port_offset: PortOffset = 0

    def wanted(self) -> ports.Ports | None:
        """Return the stack's ports; None when none is named."""
        options = dataclasses.asdict(self)
        named = {name: options[f"{name}_port"] for name in ports.FREE.named()}
        chosen = {name: port for name, port in named.items() if port is not None}
        if self.which is None and not chosen and not self.port_offset:
            return None
        base = ports.FREE if self.which is Choice.FREE else ports.moved(self.port_offset)
        return msgspec.structs.replace(base, **chosen)


@app.command()
@flattened
def up(
    *,
    folder: Folder = DEFAULT_FOLDER,
    chosen: PortOptions,
    install: Annotated[
        bool, typer.Option(help="Install missing packages (as root, by apt-get).")
    ] = True,
) -> ExitCode:
    """Start what does not run yet, and wait until everything answers."""
    one = stack.Stack(folder, chosen.wanted(), tell=output.progress)
    started = one.up(may_install=install)
    if chosen.port_offset:
        layout.add_settings(one.folder, own_ports.moved(chosen.port_offset))
    _say("up" if started else "already up: nothing to do")
    found = status.look(one)
    _print(found)
    if not all(function.is_well for function in found.functions):
        _say("the functions are still starting: scripts/stack status tells when they run")
    _say(f"settings: SOUK_CONFIG={one.folder.settings_file}")
    return ExitCode.OK


@app.command("status")
def show_status(
    *,
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the parts and the functions.

    0 means that all parts answer, all instances run and no message waits for long; else 3.
    """
    found = status.look(stack.Stack(folder))
    if as_json:
        output.as_json(found)
    else:
        _print(found)
    return ExitCode.OK if found.is_well else ExitCode.AWAY


@app.command()
def down(folder: Folder = DEFAULT_FOLDER) -> ExitCode:
    """End every process of the stack; its data stay."""
    ended = stack.Stack(folder, tell=output.progress).down()
    _say(f"down: {', '.join(ended)}" if ended else "already down: nothing to do")
    return ExitCode.OK


@app.command()
def reset(*, folder: Folder = DEFAULT_FOLDER, yes: Yes = False) -> ExitCode:
    """End every process of the stack and delete its folder, with all orders in it."""
    one = stack.Stack(folder, tell=output.progress)
    if not one.is_there:
        _say(f"there is no stack in {one.folder.root}: nothing to do")
        return ExitCode.OK
    if not yes and not typer.confirm(f"Delete all data in {one.folder.root}?", err=True):
        return ExitCode.FAILED
    one.reset()
    _say(f"deleted {one.folder.root}")
    return ExitCode.OK


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return console_run.run(app, "scripts/stack", arguments, when_away=ExitCode.FAILED)


def _say(text: str) -> None:
    output.remark(text, style="")


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
    output.report(stderr=True).print(parts)
    if found.functions:
        _print_functions(found)
    if found.strays:
        _say(f"{len(found.strays)} function instances without a broker: scripts/stack down")
    for one in found.strangers:
        _say(f"not Souk's own: subscription {one.name} of {one.topic} keeps {one.waiting} messages")
    for part in found.parts:
        _say(f"{part.name} logs to {part.log}")


def _print_functions(found: status.Status) -> None:
    functions = rich_table.Table(
        *("function", "running", "restarts", "received", "waiting", "oldest", "newest exception"),
        box=box.SIMPLE,
    )
    for function in found.functions:
        functions.add_row(
            function.name,
            f"{function.running} of {function.instances}",
            str(function.restarts),
            str(function.received),
            str(function.waiting),
            _age(function),
            function.exceptions[0].splitlines()[-1] if function.exceptions else "",
        )
    output.report(stderr=True).print(functions)


def _age(function: status.FunctionStatus) -> str:
    text = f"{function.oldest_s:.0f} s" if function.waiting else ""
    return f"[red]{text}[/red]" if function.oldest_s > status.STANDSTILL_S else text


def _state(part: status.PartStatus) -> str:
    if part.pid is None:
        return "[red]down[/red]"
    return "[green]up[/green]" if part.answers else "[yellow]does not answer[/yellow]"
