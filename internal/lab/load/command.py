"""The command behind `scripts/load`: reads its options, runs, shows the figures."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec
import typer

from internal.console import lazy_groups, lazy_modules, output, values
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import flattened
from internal.lab.workload import command_line

if TYPE_CHECKING:
    import uvloop

    from internal.client import access, client
    from internal.console import installation
    from internal.lab.load import run as load_run
    from internal.lab.load import view
    from internal.lab.workload import progress, shop, verification
else:
    uvloop = lazy_modules.lazy("uvloop")
    client = lazy_modules.lazy("internal.client.client")
    installation = lazy_modules.lazy("internal.console.installation")
    load_run = lazy_modules.lazy("internal.lab.load.run")
    view = lazy_modules.lazy("internal.lab.load.view")
    progress = lazy_modules.lazy("internal.lab.workload.progress")
    shop = lazy_modules.lazy("internal.lab.workload.shop")
    verification = lazy_modules.lazy("internal.lab.workload.verification")

BATCH_MAX = 1_000
"""The limit of SubmitOrders."""

Profile = Literal["smoke", "load", "stress"]
PROFILES = get_args(Profile)

app = lazy_groups.single()


@dataclasses.dataclass(frozen=True)
class Pace:
    """Changes to the profile's own pace."""

    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            parser=values.positive,
            show_default="as the profile does",
            help="Orders a second by the clock.",
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="C", parser=values.whole_number(1), help="Calls open at once, at most."
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="B",
            parser=values.whole_number(1, BATCH_MAX),
            help=f"Orders a call, at most {BATCH_MAX}.",
        ),
    ] = None


@app.command()
@flattened
def load(
    profile: Annotated[
        Profile,
        typer.Argument(
            help="smoke: does everything work? a few orders of every kind; load: a busy day: orders"
            " by the clock; stress: more than the server can take: as fast as it answers, in"
            " batches."
        ),
    ],
    server: command_line.Server,
    orders: command_line.Orders,
    pace: Pace,
    *,
    shop_file: Annotated[
        Path | None,
        typer.Option(
            "--shop",
            metavar="FILE",
            show_default="the shop in the data folder",
            help="JSON of what can be ordered.",
        ),
    ] = None,
) -> ExitCode:
    """Put load on a running server and judge: every order answered OK must come to one end."""
    return uvloop.run(_run(profile, server, orders, pace, shop_file))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return console_run.run(app, "scripts/load", arguments)


async def _run(
    profile: Profile,
    server: command_line.Server,
    orders: command_line.Orders,
    pace: Pace,
    shop_file: Path | None,
) -> ExitCode:
    access_ = command_line.access_of(server)
    reporter = progress.Reporter(output.report(stderr=True))
    async with contextlib.aclosing(client.Client(access_)) as connection:
        await command_line.reach(connection, access_.target)
        sells = await _shop(shop_file, server.data, access_)
        outcome = await load_run.run(connection, _plan(profile, orders, pace, sells), reporter)
    view.show(outcome, output.report())
    if orders.json_file:
        figures = msgspec.json.format(msgspec.json.encode(outcome.figures))
        command_line.write_json(orders.json_file, figures)
    return ExitCode.OK if outcome.figures.verdict_ok else ExitCode.FAILED


async def _shop(shop_file: Path | None, data: Path | None, access_: access.Access) -> shop.Shop:
    if shop_file:
        return shop.read(shop_file)
    with installation.chosen(data) as found:
        return await verification.Records(found.settings, access_.api_key).shop()


def _plan(
    profile: Profile, orders: command_line.Orders, pace: Pace, sells: shop.Shop
) -> load_run.Plan:
    usual = load_run.PROFILES[profile]
    given = {
        "concurrency": pace.concurrency,
        "orders_per_s": pace.rate,
        "batch": pace.batch,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    changed = msgspec.structs.replace(usual.pace, **changes)
    return load_run.Plan(profile, sells, orders.orders or usual.orders, changed, orders.seed)
