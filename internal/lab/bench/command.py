"""The command behind `scripts/bench`: JSON lines on stdout for machines, a table on stderr."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.lab.bench import embedded, submission
from internal.lab.bench.full import site as full_site
from internal.lab.bench.full import suite as full_suite
from internal.lab.bench.full import throughput
from internal.lab.workload import command_line, progress

SUITES = {"embedded": tuple(embedded.SCENARIOS), "full": tuple(full_suite.SCENARIOS)}
TERMINATED = 128 + signal.SIGTERM

Measure = Callable[[str], Awaitable[list[embedded.Figure]]]
"""Takes a scenario's name."""


class Places(NamedTuple):
    """Where things are, as cmd/bench.py says."""

    folder: Path
    """Where engines get their folders: the disk that is measured."""
    provisioning: full_site.Provisioning
    """For the full engine."""


def main(given: Sequence[str], places: Places) -> int:
    """Do what the command line says; returns the exit code."""
    options = _parse(given)
    places.folder.mkdir(parents=True, exist_ok=True)
    console = rich_console.Console(stderr=True, highlight=False, soft_wrap=True)
    names = [options.only] if options.only else SUITES[options.suite]
    try:
        code = command_line.run(
            "bench", lambda: _run(names, _suite(options, places, console), console)
        )
    except asyncio.CancelledError:
        return TERMINATED
    # Its engines are its own: whatever did not answer here did not work.
    return command_line.ExitCode.FAILED if code is command_line.ExitCode.AWAY else code


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = command_line.parser("bench", "Measures Souk on this machine, client included.")
    suites = parser.add_subparsers(dest="suite", required=True, metavar="{embedded,full}")
    for suite, names in SUITES.items():
        of_suite = suites.add_parser(suite, allow_abbrev=False)
        of_suite.add_argument("--only", choices=names, help="one scenario")
        length = of_suite.add_mutually_exclusive_group()
        length.add_argument(
            "--orders", type=command_line.number(100), metavar="N", help="orders in each scenario"
        )
        length.add_argument(
            "--seconds",
            type=command_line.positive,
            metavar="S",
            help="seconds of submitting in each that is not a drain",
        )
    of_suite.add_argument(
        "--dir",
        type=Path,
        metavar="DIR",
        help="a stack that is up, its functions deployed; its orders stay (default: a fresh one)",
    )
    return parser.parse_args(given)


@contextlib.asynccontextmanager
async def _suite(
    options: argparse.Namespace, places: Places, console: rich_console.Console
) -> AsyncIterator[Measure]:
    """Prepare what all scenarios of a suite share; yield what measures one."""
    size = submission.Size(options.orders, options.seconds)
    reporter = progress.Reporter(console)
    if options.suite == "embedded":
        tools = embedded.Tools(places.folder, reporter, size)
        yield lambda name: embedded.SCENARIOS[name](tools)
        return
    async with full_site.opened(places.provisioning, places.folder, options.dir) as site:
        full = throughput.Tools(site, reporter, size)
        yield lambda name: full_suite.SCENARIOS[name](full)


async def _run(
    names: Sequence[str],
    suite: contextlib.AbstractAsyncContextManager[Measure],
    console: rich_console.Console,
) -> command_line.ExitCode:
    _end_on_terminate()
    table = rich_table.Table(box=box.SIMPLE)
    for column in ("scenario", "metric"):
        table.add_column(column, overflow="fold")
    for column in ("value", "goal", ""):
        table.add_column(column, justify="right")
    try:
        async with suite as measure:
            for name in names:
                for figure in await measure(name):
                    print(line_of(figure), flush=True)
                    table.add_row(*_row(figure))
    finally:
        if table.row_count:
            console.print(table)
    return command_line.ExitCode.OK


def _end_on_terminate() -> None:
    """Take SIGTERM as Ctrl-C: the engine is stopped, its folder removed."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def line_of(figure: embedded.Figure) -> str:
    """Write a figure as one line of JSON."""
    line = {
        "scenario": figure.scenario,
        "metric": figure.metric,
        "value": round(figure.value, 3),
        "must": figure.must,
    }
    return msgspec.json.encode(line).decode()


def _row(figure: embedded.Figure) -> tuple[str, ...]:
    goal = verdict = ""
    if figure.must is not None:
        goal = f"{'≥' if figure.more_is_better else '≤'} {figure.must:,.0f}"
        verdict = "[red]missed[/red]" if figure.is_missed else "[green]ok[/green]"
    value = f"{figure.value:,.0f}" if abs(figure.value) >= 1_000 else f"{figure.value:,.2f}"  # noqa: PLR2004
    return figure.scenario, figure.metric, value, goal, verdict
