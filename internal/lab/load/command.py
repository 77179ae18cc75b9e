"""The command behind `scripts/load`: reads its options, does the run, shows what came of it."""

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich import console as rich_console

from internal.infra import settings
from internal.lab.load import run as load_run
from internal.lab.load import view
from internal.lab.workload import client, command_line, progress, shop, verification

BATCH_MAX = 1_000
"""As many as SubmitOrders takes."""


def main(given: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = _parse(given)
    return command_line.run("load", lambda: _run(options, environment))


def _parse(given: Sequence[str]) -> argparse.Namespace:
    purposes = "; ".join(f"{name}: {it.purpose}" for name, it in load_run.PROFILES.items())
    parser = command_line.parser(
        "load", f"Scripted load runs against a running server. {purposes}."
    )
    parser.add_argument("profile", choices=list(load_run.PROFILES))
    command_line.add_server(parser)
    command_line.add_orders(parser)
    parser.add_argument(
        "--rate",
        type=command_line.positive,
        metavar="R",
        help="orders a second by the clock; without it, as the profile does",
    )
    parser.add_argument(
        "--concurrency",
        type=command_line.number(1),
        metavar="C",
        help="calls open at once, at most",
    )
    parser.add_argument(
        "--batch",
        type=command_line.number(1, BATCH_MAX),
        metavar="B",
        help=f"orders a call, at most {BATCH_MAX}",
    )
    parser.add_argument(
        "--shop",
        type=Path,
        metavar="FILE",
        help="JSON of what can be ordered (default: the shop in the data folder)",
    )
    return parser.parse_args(given)


async def _run(
    options: argparse.Namespace, environment: Mapping[str, str]
) -> command_line.ExitCode:
    access = command_line.access_of(options, environment)
    reporter = progress.Reporter(rich_console.Console(stderr=True))
    async with contextlib.aclosing(client.Client(access)) as connection:
        await command_line.reach(connection, access.target)
        plan = _plan(options, await _shop(options, access))
        outcome = await load_run.run(connection, plan, reporter)
    view.show(outcome, rich_console.Console(highlight=False, soft_wrap=True))
    if options.json_file:
        figures = msgspec.json.format(msgspec.json.encode(outcome.figures))
        command_line.write_json(options.json_file, figures)
    return command_line.ExitCode.OK if outcome.figures.verdict_ok else command_line.ExitCode.FAILED


async def _shop(options: argparse.Namespace, access: client.Access) -> shop.Shop:
    if options.shop:
        return shop.read(options.shop)
    return await verification.Records(settings.of_folder(options.data), access.api_key).shop()


def _plan(options: argparse.Namespace, sells: shop.Shop) -> load_run.Plan:
    profile = load_run.PROFILES[options.profile]
    given = {
        "concurrency": options.concurrency,
        "orders_per_s": options.rate,
        "batch": options.batch,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    pace = msgspec.structs.replace(profile.pace, **changes)
    orders = options.orders or profile.orders
    return load_run.Plan(options.profile, sells, orders, pace, options.seed)
