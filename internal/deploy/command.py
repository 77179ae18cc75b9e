"""The command behind `scripts/deploy_functions`: a line per step, a table, an exit code.

Exit codes: 0 every instance answered; 1 one did not, or a server is away; 2 wrong usage or setting.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import box
from rich import table as rich_table

from internal.deploy import deploy, function_configs, wheel
from internal.flow import topics
from internal.infra import settings
from internal.kernel import errors
from internal.stack import command, layout

EXIT_FAILED, EXIT_USAGE = 1, 2
PARALLELISM_MAX = 16
"""More instances than keys (kernel.ids.SHARDS) would have nothing to do."""

console = command.console


def run() -> None:
    """Read the command line and do what it says."""
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(main)
    application(prog_name="scripts/deploy_functions")


def main(
    *,
    parallelism: Annotated[
        int | None,
        typer.Option(min=1, max=PARALLELISM_MAX, help="Instances of each; as deployed, or 1."),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="NAME", help="One function.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file.", show_default="SOUK_CONFIG, or data/stack/souk.toml"),
    ] = None,
    wheel_file: Annotated[
        Path | None, typer.Option("--wheel", help="Deploy this one; build none.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done.")] = False,
    write_configs: Annotated[
        bool, typer.Option(help="Only write configs/functions/*.yaml.")
    ] = False,
) -> None:
    """Deploy the three functions, and wait until every instance of them has answered a probe."""

    def work() -> int:
        if write_configs:
            return _write_configs()
        file = settings_file(config)
        options = layout.load_settings_of(file)
        deploy.require_full(options)
        _check(only)
        package = wheel.read(wheel_file) if wheel_file else wheel.build()
        logs = file.parent / "logs"
        request = deploy.Request(
            package=package,
            parallelism=parallelism,
            only=only,
            logs=logs if logs.is_dir() else None,
        )
        return _deploy(options, request, is_dry=dry_run)

    _end(work)


def settings_file(named: Path | None) -> Path:
    """Return the settings file to go by: the one that is named, SOUK_CONFIG's, the stack's.

    Raises:
        Misconfigured: it is not there.
    """
    usual = os.environ.get("SOUK_CONFIG") or command.DEFAULT_FOLDER / "souk.toml"
    file = (named or Path(usual)).absolute()
    if not file.is_file():
        raise errors.Misconfigured(
            f"there is no {file}: scripts/stack up writes one, --config names another"
        )
    return file


def _check(only: str | None) -> None:
    try:
        if only is not None:
            topics.stage_named(only)
    except errors.InvalidInput as error:
        raise errors.Misconfigured(f"--only: {error}") from error


def _deploy(options: settings.Settings, request: deploy.Request, *, is_dry: bool) -> int:
    console.print(f"wheel {request.package.name} {request.package.label}", markup=False)
    if is_dry:
        done = asyncio.run(deploy.preview(options, request))
        console.print("dry run: nothing is changed")
    else:
        done = asyncio.run(deploy.carry_out(options, request, _tell))
    _print(done, request.package)
    for one in done:
        if one.problem:
            console.print(f"{one.function}: {one.problem}", style="red", markup=False)
    return EXIT_FAILED if any(one.problem for one in done) else 0


def _print(done: list[deploy.Deployed], package: wheel.Wheel) -> None:
    table = rich_table.Table(
        "function", "action", "instances", "version", "took", "answers", box=box.SIMPLE
    )
    for one in done:
        took = f"{one.took_s:.1f} s" if one.took_s else ""
        answers = "[red]no[/red]" if one.problem else "yes" if one.took_s else ""
        table.add_row(
            one.function,
            one.plan.action,
            str(one.instances),
            package.label,
            took,
            answers,
        )
    console.print(table)


def _write_configs() -> int:
    changed = function_configs.write_files(wheel.ROOT / function_configs.FOLDER)
    console.print(f"written: {', '.join(map(str, changed))}" if changed else "nothing has changed")
    return 0


def _tell(what: str) -> None:
    console.print(f"{what} …", markup=False)


def _end(work: Callable[[], int]) -> NoReturn:
    try:
        code = work()
    except errors.Misconfigured as error:
        console.print(f"deploy_functions: {error}", style="red", markup=False)
        code = EXIT_USAGE
    except errors.Temporary as error:
        console.print(f"deploy_functions: {error}", style="red", markup=False)
        code = EXIT_FAILED
    raise typer.Exit(code)
