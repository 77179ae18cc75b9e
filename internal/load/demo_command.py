"""The command behind `scripts/start --demo`: reads options, runs the demo, shows its figures."""

import argparse
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
from rich import console as rich_console

from internal.infra import settings
from internal.load import arguments, books, client, demo, demo_view, progress

ORDERS_DEFAULT = 1_000


def main(arguments_given: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = _parse(arguments_given)
    return arguments.run("demo", lambda: _run(options, environment))


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = arguments.parser("demo", "Submits varied orders and shows what became of them.")
    arguments.add_server(parser)
    arguments.add_orders(parser)
    return parser.parse_args(given)


async def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> arguments.ExitCode:
    access = arguments.access_of(options, environment)
    beside = books.Books(settings.of_folder(options.data), access.api_key)
    reporter = progress.Reporter(rich_console.Console(stderr=True))
    async with contextlib.aclosing(client.Client(access)) as connection:
        await arguments.reach(connection, access.target)
        plan = demo.Plan(await beside.shop(), options.orders or ORDERS_DEFAULT, options.seed)
        figures = await demo.run(connection, plan, beside.check, reporter)
    demo_view.show(figures, rich_console.Console(highlight=False, soft_wrap=True))
    if options.json_file:
        arguments.write_json(options.json_file, msgspec.json.format(msgspec.json.encode(figures)))
    return arguments.ExitCode.OK if figures.is_ok else arguments.ExitCode.FAILED
