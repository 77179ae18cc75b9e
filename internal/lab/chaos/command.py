"""The command behind `scripts/chaos`: a line per fault as it goes, a table, JSON for machines.

Exit codes: 0 every fault struck and none did harm; 1 otherwise; 2 wrong usage or setting.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import flattened
from internal.kernel import errors

if TYPE_CHECKING:
    import uvloop

    from internal.checks import findings
    from internal.deploy import wheel
    from internal.lab.chaos import campaign, faults, negative_controls, target, trial
    from internal.lab.chaos.hostile import controls as hostile_controls
    from internal.lab.chaos.hostile import trial as hostile_trial
    from internal.stack import ports, stack
else:
    uvloop = lazy_modules.lazy("uvloop")
    wheel = lazy_modules.lazy("internal.deploy.wheel")
    campaign = lazy_modules.lazy("internal.lab.chaos.campaign")
    negative_controls = lazy_modules.lazy("internal.lab.chaos.negative_controls")
    target = lazy_modules.lazy("internal.lab.chaos.target")
    trial = lazy_modules.lazy("internal.lab.chaos.trial")
    hostile_controls = lazy_modules.lazy("internal.lab.chaos.hostile.controls")
    hostile_trial = lazy_modules.lazy("internal.lab.chaos.hostile.trial")
    ports = lazy_modules.lazy("internal.stack.ports")
    stack = lazy_modules.lazy("internal.stack.stack")

SEED_MAX = 1_000_000
INSTANCES_DEFAULT = 3
STACK = "stack"


@dataclasses.dataclass(frozen=True)
class Options:
    """The faults, how often each is tried, and where."""

    campaign: Annotated[
        bool,
        typer.Option(
            "--campaign", help="50 kills at each place instead of 3; takes an hour or less."
        ),
    ] = False
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=values.whole_number(0),
            show_default="drawn",
            help="Repeats a run.",
        ),
    ] = None
    only: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Only faults whose names hold this; once for each.",
        ),
    ] = dataclasses.field(default_factory=list)
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            show_default="a fresh one",
            help="Folder of the stack; it stays.",
        ),
    ] = None
    instances: Annotated[
        int,
        typer.Option(
            metavar="N", parser=values.whole_number(1), help="Instances of each function."
        ),
    ] = INSTANCES_DEFAULT
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per fault on stdout.")
    ] = False
    is_list: Annotated[bool, typer.Option("--list", help="Only name the faults.")] = False


def main(arguments: Sequence[str], near: Path, broken: Path) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        arguments: the command line.
        near: the folder in which a stack of our own is made.
        broken: holds the functions that are broken on purpose.
    """
    app = lazy_groups.single()

    @app.command()
    @flattened
    def chaos(options: Options) -> ExitCode:
        """Break a full engine in every way, and count its orders."""
        near.mkdir(parents=True, exist_ok=True)
        try:
            return uvloop.run(_run(options, near, broken, output.report(stderr=True)))
        except asyncio.CancelledError:
            return ExitCode.INTERRUPTED

    # The stack is its own: a server that does not answer has failed.
    return console_run.run(app, "scripts/chaos", arguments, when_away=ExitCode.FAILED)


async def _run(
    options: Options, near: Path, broken: Path, console: rich_console.Console
) -> ExitCode:
    seed = random.randrange(SEED_MAX) if options.seed is None else options.seed  # noqa: S311
    size = campaign.CAMPAIGN if options.campaign else campaign.QUICK
    wanted = list(campaign.chosen(size, seed, options.only))
    wrong = negative_controls.chosen(seed, options.only)
    attacks = hostile_trial.chosen(options.only)
    open_doors = hostile_controls.chosen(options.only)
    if options.is_list:
        names = [one.name for one in attacks] + [one.name for one in open_doors]
        names += [fault.name for fault in wanted] + [control.name for control in wrong]
        print("\n".join(names))
        return ExitCode.OK
    if not (wanted or wrong or attacks or open_doors):
        raise errors.Misconfigured("--only names no fault; --list tells them all")
    _end_on_terminate()
    report = Report(console, is_json=options.as_json)
    console.print(f"seed {seed}, commit {trial.commit()}")
    for scenario in attacks:
        report.add(await hostile_trial.run(scenario, seed))
    for door in open_doors:
        result = await hostile_controls.run(door, broken, seed)
        report.add(result, is_good=door.is_found(result))
    if wanted or wrong:
        await _break_a_stack(options, near, broken, report, (seed, wanted, wrong))
    report.show()
    return ExitCode.OK if report.is_good else ExitCode.FAILED


async def _break_a_stack(
    options: Options,
    near: Path,
    broken: Path,
    report: Report,
    what: tuple[int, Sequence[faults.Fault], Sequence[negative_controls.Control]],
) -> None:
    """Try the faults and the controls of a seed on a stack that is started for it."""
    seed, wanted, wrong = what
    async with _stack(options.folder, near, report.console) as of:
        package = await asyncio.to_thread(wheel.build)
        trials = campaign.Campaign(of, package, seed, options.instances)
        async with trials:
            for fault in wanted:
                report.add(await trials.tried(fault))
        report.leaks = trials.leaks
        for control in wrong:
            result = await negative_controls.run(of, control, package, broken, seed)
            report.add(result, is_good=control.is_found(result))
        if not report.is_good and options.folder is None:
            report.console.print(f"the logs of the stack are kept in {of.keep_logs(near)}")


class Report:
    """Prints the results: one by one, and as a table."""

    def __init__(self, console: rich_console.Console, *, is_json: bool) -> None:
        self.leaks: list[findings.Finding] = []
        self.console, self._is_json = console, is_json
        self._is_good = True
        self._table = rich_table.Table("fault", box=box.SIMPLE)
        for column in ("fired", "OK'd", "lost", "doubled", "healed → backlog 0", ""):
            self._table.add_column(column, justify="right")

    @property
    def is_good(self) -> bool:
        """Tell whether every result was good and no secret leaked."""
        return self._is_good and not self.leaks

    def add(self, result: trial.Result, *, is_good: bool | None = None) -> None:
        """Print one result, in full if it is bad.

        `is_good` overrides the result's own verdict.
        """
        is_good = result.is_good if is_good is None else is_good
        self._is_good = self._is_good and is_good
        verdict = "[green]ok[/green]" if is_good else "[red]failed[/red]"
        self._table.add_row(
            result.fault,
            str(sum(result.fired.values())),
            str(result.ok),
            str(result.lost),
            str(result.doubled),
            f"{result.quiet_after_s:.1f} s" if result.is_quiet else "never",
            verdict,
        )
        if self._is_json:
            output.as_json_line(result)
        text = result.told()
        line = text.partition("\n")[0] if is_good else text
        self.console.print(line, style=None if is_good else "red", markup=False)

    def show(self) -> None:
        """Print the table."""
        self.console.print(self._table)
        for leak in self.leaks:
            self.console.print(f"{leak.sentence}: {leak.examples}", style="red", markup=False)


@contextlib.asynccontextmanager
async def _stack(
    folder: Path | None, near: Path, console: rich_console.Console
) -> AsyncIterator[stack.Stack]:
    """Bring up a stack whose functions can be armed; end it afterwards in any case.

    Raises:
        Misconfigured: it runs already, or something is missing on this machine.
        Temporary: a part does not start.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=near) as name:
        root = (folder or Path(name) / STACK).absolute()
        environment = target.armable(root)
        of = stack.Stack(
            root, ports.FREE, environment=environment, tell=lambda what: console.print(f"{what} …")
        )
        if any(of.pid_of(part) for part in of.names):
            raise errors.Misconfigured(f"a stack runs in {root}: scripts/stack down first")
        starting = asyncio.create_task(asyncio.to_thread(of.up))
        try:
            with contextlib.nullcontext() if folder else of.logs_kept(near):
                await asyncio.shield(starting)
                yield of
        finally:
            await asyncio.wait([starting])
            await asyncio.to_thread(of.down if folder else of.reset)


def _end_on_terminate() -> None:
    """Treat SIGTERM as Ctrl-C: everything is stopped."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
