"""The command behind `scripts/bench`: JSON lines on stdout for machines, a table on stderr.

Exit codes: 0 measured; 1 an engine or its stack failed; 2 wrong usage, setting or machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

import msgspec
import typer
from rich import console as rich_console

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import flattened

if TYPE_CHECKING:
    import uvloop

    from internal.lab.bench import against, embedded, submission, tables
    from internal.lab.bench.full import site as full_site
    from internal.lab.bench.full import suite as full_suite
    from internal.lab.bench.full import throughput
    from internal.lab.workload import progress
else:
    uvloop = lazy_modules.lazy("uvloop")
    against = lazy_modules.lazy("internal.lab.bench.against")
    embedded = lazy_modules.lazy("internal.lab.bench.embedded")
    submission = lazy_modules.lazy("internal.lab.bench.submission")
    tables = lazy_modules.lazy("internal.lab.bench.tables")
    full_site = lazy_modules.lazy("internal.lab.bench.full.site")
    full_suite = lazy_modules.lazy("internal.lab.bench.full.suite")
    throughput = lazy_modules.lazy("internal.lab.bench.full.throughput")
    progress = lazy_modules.lazy("internal.lab.workload.progress")

ORDERS_MIN = 100

EmbeddedScenario = Literal[
    "embedded_unary",
    "embedded_batch",
    "embedded_latency",
    "embedded_rss",
    "embedded_shard_keys",
    "embedded_check",
]
FullScenario = Literal[
    "full_drain",
    "full_vs_plain_functions",
    "full_batch_sustained",
    "full_unary",
    "full_latency",
    "full_rss",
    "db_ceiling",
    "full_growth",
    "full_parallelism",
    "full_check",
]
SUITES = {"embedded": get_args(EmbeddedScenario), "full": get_args(FullScenario)}

Measure = Callable[[str], Awaitable[list["embedded.Figure"]]]
"""Takes a scenario's name."""
Preparation = contextlib.AbstractAsyncContextManager[Measure]


class Places(NamedTuple):
    """The scripts and folders of this checkout, from cmd/bench.py."""

    root: Path
    """This checkout."""
    folder: Path
    """Engines get their folders here: this disk is measured."""
    provisioning: full_site.Provisioning
    """Makes the stack and deploys the functions of a full engine."""


@dataclasses.dataclass(frozen=True)
class Length:
    """How long each scenario takes, by default its own length; and what to compare it with."""

    orders: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=values.whole_number(ORDERS_MIN),
            help=f"Orders in each scenario, at least {ORDERS_MIN}.",
        ),
    ] = None
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            parser=values.positive,
            help="Seconds of submitting in each scenario that is not a drain.",
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT",
            help="Measure this commit, too, by its own bench and in turns; tell the ratios.",
        ),
    ] = None


def main(arguments: Sequence[str], places: Callable[[], Places]) -> int:
    """Do what the command line says; returns the exit code."""
    # The engines are its own: a server that does not answer has failed.
    return console_run.run(
        application(places), "scripts/bench", arguments, when_away=ExitCode.FAILED
    )


def application(places: Callable[[], Places]) -> typer.Typer:
    """Return the commands, one per suite; they call `places` only when they measure."""
    app = lazy_groups.new("Measure Souk on this machine, client included.")

    @app.command("embedded")
    @flattened
    def embedded_suite(
        length: Length,
        *,
        only: Annotated[
            EmbeddedScenario | None,
            typer.Option(metavar="NAME", help=f"One scenario: {', '.join(SUITES['embedded'])}."),
        ] = None,
    ) -> ExitCode:
        """Measure the embedded engine."""
        size = _size_of(length)
        if length.against is not None:
            return _compare(places(), length.against, _again("embedded", length, only))
        return _measure(only, "embedded", places(), lambda it, c: _embedded(it, size, c))

    @app.command("full")
    @flattened
    def full(
        length: Length,
        *,
        only: Annotated[
            FullScenario | None,
            typer.Option(metavar="NAME", help=f"One scenario: {', '.join(SUITES['full'])}."),
        ] = None,
        folder: Annotated[
            Path | None,
            typer.Option(
                "--dir",
                metavar="DIR",
                show_default="a fresh one",
                help="A stack that is up, its functions deployed; its orders stay.",
            ),
        ] = None,
    ) -> ExitCode:
        """Measure the full engine, on a stack of its own or one that is up."""
        size = _size_of(length)
        if length.against is not None:
            if folder is not None:
                raise typer.BadParameter("not allowed with --dir", param_hint="'--against'")
            return _compare(places(), length.against, _again("full", length, only))
        return _measure(only, "full", places(), lambda it, c: _full(it, size, folder, c))

    return app


def _size_of(length: Length) -> submission.Size:
    if length.orders is not None and length.seconds is not None:
        raise typer.BadParameter("not allowed with --orders", param_hint="'--seconds'")
    return submission.Size(length.orders, length.seconds)


def _again(suite: str, length: Length, only: str | None) -> list[str]:
    """Return the command line of one measurement, for the bench of each side."""
    given = {"--only": only, "--orders": length.orders, "--seconds": length.seconds}
    options = [(name, str(value)) for name, value in given.items() if value is not None]
    return [suite, *(word for option in options for word in option)]


def _compare(places: Places, commit: str, arguments: list[str]) -> ExitCode:
    places.folder.mkdir(parents=True, exist_ok=True)
    request = against.Request(places.root, places.folder, commit, arguments)
    try:
        found = uvloop.run(_compared(request))
    except asyncio.CancelledError:
        return ExitCode.TERMINATED
    for one in found:
        print(against.line_of(one))
    against.show(found, commit, output.report(stderr=True))
    return ExitCode.OK


async def _compared(request: against.Request) -> list[against.Compared]:
    _end_on_terminate()
    return await against.compare(request, output.progress)


def _measure(
    only: str | None,
    suite: str,
    places: Places,
    prepare: Callable[[Places, rich_console.Console], Preparation],
) -> ExitCode:
    """Measure one scenario, or all of a suite."""
    places.folder.mkdir(parents=True, exist_ok=True)
    console = output.report(stderr=True)
    names = [only] if only else SUITES[suite]
    try:
        return uvloop.run(_run(names, prepare(places, console), console))
    except asyncio.CancelledError:
        return ExitCode.TERMINATED


@contextlib.asynccontextmanager
async def _embedded(
    places: Places, size: submission.Size, console: rich_console.Console
) -> AsyncIterator[Measure]:
    """Prepare what the embedded scenarios share; yield the function that measures one."""
    reporter = progress.Reporter(console)
    tools = embedded.Tools(places.folder, reporter, size)
    yield lambda name: embedded.SCENARIOS[name](tools)


@contextlib.asynccontextmanager
async def _full(
    places: Places, size: submission.Size, folder: Path | None, console: rich_console.Console
) -> AsyncIterator[Measure]:
    """Prepare what the full scenarios share; yield the function that measures one."""
    reporter = progress.Reporter(console)
    async with full_site.opened(places.provisioning, places.folder, folder) as site:
        tools = throughput.Tools(site, reporter, size)
        yield lambda name: full_suite.SCENARIOS[name](tools)


async def _run(
    names: Sequence[str],
    suite: Preparation,
    console: rich_console.Console,
) -> ExitCode:
    _end_on_terminate()
    figures: list[embedded.Figure] = []
    try:
        async with suite as measure:
            for name in names:
                for figure in await measure(name):
                    print(line_of(figure), flush=True)
                    figures.append(figure)
    finally:
        tables.show(figures, console)
    return ExitCode.OK


def _end_on_terminate() -> None:
    """Treat SIGTERM as Ctrl-C: the engine is stopped, its folder removed."""
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
