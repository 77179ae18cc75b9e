"""The command behind `scripts/bench`: JSON lines on stdout for machines, a table on stderr."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.load import arguments, bench, progress

SUITES = ("embedded",)
TERMINATED = 128 + signal.SIGTERM


def main(given: Sequence[str], start_script: Path, folder: Path) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        given: the command line without the program.
        start_script: starts an engine.
        folder: where engines get their folders: the disk that is measured.
    """
    options = _parse(given)
    folder.mkdir(parents=True, exist_ok=True)
    console = rich_console.Console(stderr=True, highlight=False, soft_wrap=True)
    size = bench.Size(options.orders, options.seconds)
    tools = bench.Tools(start_script, folder, progress.Reporter(console), size)
    names = [options.only] if options.only else list(bench.SCENARIOS)
    try:
        code = arguments.run("bench", lambda: _run(names, tools, console))
    except asyncio.CancelledError:
        return TERMINATED
    # Its engines are its own: whatever did not answer here did not work.
    return arguments.ExitCode.FAILED if code is arguments.ExitCode.AWAY else code


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = arguments.parser("bench", "Measures Souk on this machine, client included.")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--only", choices=list(bench.SCENARIOS), help="one scenario")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--orders", type=arguments.number(100), metavar="N", help="orders in each scenario"
    )
    length.add_argument(
        "--seconds", type=arguments.positive, metavar="S", help="seconds of submitting in each"
    )
    return parser.parse_args(given)


async def _run(
    names: Sequence[str], tools: bench.Tools, console: rich_console.Console
) -> arguments.ExitCode:
    _end_on_terminate()
    table = rich_table.Table("scenario", "metric", box=box.SIMPLE)
    for column in ("value", "goal", ""):
        table.add_column(column, justify="right")
    for name in names:
        for figure in await bench.SCENARIOS[name](tools):
            print(line_of(figure), flush=True)
            table.add_row(*_row(figure))
    console.print(table)
    return arguments.ExitCode.OK


def _end_on_terminate() -> None:
    """Take SIGTERM as Ctrl-C: the engine is stopped, its folder removed."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def line_of(figure: bench.Figure) -> str:
    """Write a figure as one line of JSON."""
    line = {
        "scenario": figure.scenario,
        "metric": figure.metric,
        "value": round(figure.value, 3),
        "must": figure.must,
    }
    return msgspec.json.encode(line).decode()


def _row(figure: bench.Figure) -> tuple[str, ...]:
    goal = verdict = ""
    if figure.must is not None:
        goal = f"{'≥' if figure.more_is_better else '≤'} {figure.must:,.0f}"
        verdict = "[red]missed[/red]" if figure.is_missed else "[green]ok[/green]"
    value = f"{figure.value:,.0f}" if abs(figure.value) >= 1_000 else f"{figure.value:,.2f}"  # noqa: PLR2004
    return figure.scenario, figure.metric, value, goal, verdict
