"""The command behind `scripts/chaos`: a line per fault as it goes, a table, JSON for machines.

Exit codes: 0 every fault struck and nothing came of any; 1 otherwise; 2 wrong usage or setting.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.checks import findings
from internal.deploy import wheel
from internal.kernel import errors
from internal.lab.chaos import campaign, negative_controls, target, trial
from internal.lab.workload import command_line
from internal.stack import ports, stack

SEED_MAX = 1_000_000
STACK = "stack"


def main(given: Sequence[str], near: Path, broken: Path) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        given: the command line.
        near: where a stack of our own gets its folder.
        broken: holds the functions that are broken on purpose.
    """
    options = _parse(given)
    near.mkdir(parents=True, exist_ok=True)
    console = rich_console.Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = command_line.run("chaos", lambda: _run(options, near, broken, console))
    except asyncio.CancelledError:
        return command_line.ExitCode.INTERRUPTED
    # The stack is its own: whatever did not answer did not work.
    return command_line.ExitCode.FAILED if code is command_line.ExitCode.AWAY else code


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = command_line.parser(
        "chaos", "Breaks a full engine in every way, and counts its orders."
    )
    parser.add_argument(
        "--campaign",
        action="store_true",
        help="50 kills at each place instead of 3; takes an hour or less",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="repeats a run (default: drawn)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="faults whose names hold this"
    )
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="folder of the stack; stays (default: a fresh one)"
    )
    parser.add_argument(
        "--instances",
        type=command_line.number(1),
        default=campaign.INSTANCES_EACH,
        metavar="N",
        help="of each function (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON per fault on stdout")
    parser.add_argument("--list", action="store_true", help="only name the faults")
    return parser.parse_args(given)


async def _run(
    options: argparse.Namespace, near: Path, broken: Path, console: rich_console.Console
) -> command_line.ExitCode:
    seed = random.randrange(SEED_MAX) if options.seed is None else options.seed  # noqa: S311
    size = campaign.CAMPAIGN if options.campaign else campaign.QUICK
    wanted = list(campaign.chosen(size, seed, options.only))
    wrong = negative_controls.chosen(seed, options.only)
    if options.list:
        print("\n".join([fault.name for fault in wanted] + [control.name for control in wrong]))
        return command_line.ExitCode.OK
    if not wanted and not wrong:
        raise errors.Misconfigured("--only names no fault; --list tells them all")
    _end_on_terminate()
    report = Report(console, is_json=options.json)
    console.print(f"seed {seed}, commit {trial.commit()}")
    async with _stack(options.dir, near, console) as of:
        package = await asyncio.to_thread(wheel.build)
        plan = campaign.Plan(wanted, seed, options.instances)
        report.leaks = await campaign.run(of, package, plan, report.add)
        for control in wrong:
            result = await negative_controls.run(of, control, package, broken, seed)
            report.add(result, is_good=control.is_found(result))
    report.show()
    return command_line.ExitCode.OK if report.is_good else command_line.ExitCode.FAILED


class Report:
    """What is told of the results."""

    def __init__(self, console: rich_console.Console, *, is_json: bool) -> None:
        self.leaks: list[findings.Finding] = []
        self._console, self._is_json = console, is_json
        self._is_good = True
        self._table = rich_table.Table("fault", box=box.SIMPLE)
        for column in ("fired", "OK'd", "lost", "doubled", "healed → backlog 0", ""):
            self._table.add_column(column, justify="right")

    @property
    def is_good(self) -> bool:
        """Tell whether everything was as it must be."""
        return self._is_good and not self.leaks

    def add(self, result: trial.Result, *, is_good: bool | None = None) -> None:
        """Tell one result at once, all of it if it is bad; it may be good in a way of its own."""
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
            print(msgspec.json.encode(result).decode(), flush=True)
        told = result.told()
        line = told.partition("\n")[0] if is_good else told
        self._console.print(line, style=None if is_good else "red", markup=False)

    def show(self) -> None:
        """Print the table."""
        self._console.print(self._table)
        for leak in self.leaks:
            self._console.print(f"{leak.sentence}: {leak.examples}", style="red", markup=False)


@contextlib.asynccontextmanager
async def _stack(
    folder: Path | None, near: Path, console: rich_console.Console
) -> AsyncIterator[stack.Stack]:
    """Bring up a stack whose functions can be armed; end it in any case.

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
            await asyncio.shield(starting)
            yield of
        finally:
            await asyncio.wait([starting])
            await asyncio.to_thread(of.down if folder else of.reset)


def _end_on_terminate() -> None:
    """Take SIGTERM as Ctrl-C: everything is stopped."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
