"""The command behind `scripts/start --demo`: reads options, runs the demo, shows its figures."""

import argparse
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
from rich import console as rich_console

from internal.infra import settings
from internal.lab.demo import run as demo_run
from internal.lab.demo import view
from internal.lab.workload import client, command_line, progress, verification

ORDERS_DEFAULT = 1_000


def main(arguments_given: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = _parse(arguments_given)
    return command_line.run("demo", lambda: _run(options, environment))


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = command_line.parser("demo", "Submits varied orders and shows what became of them.")
    command_line.add_server(parser)
    command_line.add_orders(parser)
    return parser.parse_args(given)


async def _run(
    options: argparse.Namespace, environment: Mapping[str, str]
) -> command_line.ExitCode:
    access = command_line.access_of(options, environment)
    records = verification.Records(settings.of_folder(options.data), access.api_key)
    reporter = progress.Reporter(rich_console.Console(stderr=True))
    async with contextlib.aclosing(client.Client(access)) as connection:
        await command_line.reach(connection, access.target)
        plan = demo_run.Plan(await records.shop(), options.orders or ORDERS_DEFAULT, options.seed)
        figures = await demo_run.run(connection, plan, records.check, reporter)
    view.show(figures, rich_console.Console(highlight=False, soft_wrap=True))
    if options.json_file:
        command_line.write_json(
            options.json_file, msgspec.json.format(msgspec.json.encode(figures))
        )
    return command_line.ExitCode.OK if figures.is_ok else command_line.ExitCode.FAILED
