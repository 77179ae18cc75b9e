"""The command behind `scripts/deploy_functions`: prints a line per step and a table.

Exit codes: 0 every instance answered; 1 one did not, or a server is away; 2 wrong usage or setting.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich import table as rich_table

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.kernel import errors
from internal.stack.command import DEFAULT_FOLDER

if TYPE_CHECKING:
    from internal.deploy import deploy, function_configs, wheel
    from internal.flow import topics
    from internal.infra import settings
    from internal.stack import layout
else:
    deploy = lazy_modules.lazy("internal.deploy.deploy")
    function_configs = lazy_modules.lazy("internal.deploy.function_configs")
    wheel = lazy_modules.lazy("internal.deploy.wheel")
    topics = lazy_modules.lazy("internal.flow.topics")
    layout = lazy_modules.lazy("internal.stack.layout")

app = lazy_groups.single()


@app.command()
def deploy_functions(
    *,
    parallelism: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=values.whole_number(1),
            show_default="as deployed, or 1",
            help="Instances of each function, at most SOUK_TOPICS__SHARD_KEYS.",
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="NAME", help="One function.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings file.",
            show_default="SOUK_CONFIG, or data/stack/souk.toml",
        ),
    ] = None,
    wheel_file: Annotated[
        Path | None,
        typer.Option("--wheel", metavar="FILE", help="Deploy this wheel; build none."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only show what would be done.")] = False,
    write_configs: Annotated[
        bool, typer.Option(help="Only write configs/functions/*.yaml.")
    ] = False,
) -> ExitCode:
    """Deploy the three functions, and wait until every instance of them has answered a probe."""
    if write_configs:
        return _write_configs()
    file = settings_file(config)
    options = layout.load_settings_of(file)
    deploy.require_full(options)
    _check(only)
    _require_keys(options.topics, parallelism or 1)
    package = wheel.read(wheel_file) if wheel_file else wheel.build()
    logs = file.parent / "logs"
    request = deploy.Request(
        package=package,
        parallelism=parallelism,
        only=only,
        logs=logs if logs.is_dir() else None,
    )
    return _deploy(options, request, is_dry=dry_run)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    # A server that is away is a failed deployment, as a function that does not answer is.
    return console_run.run(app, "scripts/deploy_functions", arguments, when_away=ExitCode.FAILED)


def settings_file(named: Path | None) -> Path:
    """Return the settings file that applies: the named one, else SOUK_CONFIG's, else the stack's.

    Raises:
        Misconfigured: it is not there.
    """
    usual = os.environ.get("SOUK_CONFIG") or DEFAULT_FOLDER / "souk.toml"
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


def _require_keys(chosen: settings.TopicSettings, parallelism: int) -> None:
    if parallelism > chosen.shard_keys:
        raise errors.Misconfigured(
            f"--parallelism {parallelism}: SOUK_TOPICS__SHARD_KEYS is {chosen.shard_keys}, and more"
            " instances than keys would have nothing to do"
        )


def _deploy(options: settings.Settings, request: deploy.Request, *, is_dry: bool) -> ExitCode:
    _say(f"wheel {request.package.name} {request.package.label}")
    if is_dry:
        done = asyncio.run(deploy.preview(options, request))
        _say("dry run: nothing is changed")
    else:
        done = asyncio.run(deploy.carry_out(options, request, output.progress))
    _print(done, request.package)
    for one in done:
        if one.problem:
            output.warn(f"{one.function}: {one.problem}")
    return ExitCode.FAILED if any(one.problem for one in done) else ExitCode.OK


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
    output.report(stderr=True).print(table)


def _write_configs() -> ExitCode:
    changed = function_configs.write_files(wheel.ROOT / function_configs.FOLDER)
    _say(f"written: {', '.join(map(str, changed))}" if changed else "nothing has changed")
    return ExitCode.OK


def _say(text: str) -> None:
    output.remark(text, style="")
