"""The command behind `scripts/start --demo`: reads options, runs the demo, shows its figures."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from internal.console import lazy_groups, lazy_modules, output
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import flattened
from internal.kernel import ids
from internal.lab.workload import command_line

if TYPE_CHECKING:
    import uvloop

    from internal.client import client
    from internal.console import installation
    from internal.lab.demo import run as demo_run
    from internal.lab.demo import scene_run, scene_view, view
    from internal.lab.workload import progress, verification
else:
    uvloop = lazy_modules.lazy("uvloop")
    client = lazy_modules.lazy("internal.client.client")
    installation = lazy_modules.lazy("internal.console.installation")
    demo_run = lazy_modules.lazy("internal.lab.demo.run")
    scene_run = lazy_modules.lazy("internal.lab.demo.scene_run")
    scene_view = lazy_modules.lazy("internal.lab.demo.scene_view")
    view = lazy_modules.lazy("internal.lab.demo.view")
    progress = lazy_modules.lazy("internal.lab.workload.progress")
    verification = lazy_modules.lazy("internal.lab.workload.verification")

ORDERS_DEFAULT = 1_000

app = lazy_groups.single()


@app.command()
@flattened
def demo(server: command_line.Server, orders: command_line.Orders) -> ExitCode:
    """Show a few orders in detail, then submit many varied ones and show how they ended."""
    return uvloop.run(_run(server, orders))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return console_run.run(app, "demo", arguments)


async def _run(server: command_line.Server, orders: command_line.Orders) -> ExitCode:
    access = command_line.access_of(server)
    records = verification.Records(installation.settings_of(server.data), access.api_key)
    report, reporter = output.report(), progress.Reporter(output.report(stderr=True))
    async with contextlib.aclosing(client.Client(access)) as connection:
        await command_line.reach(connection, access.target)
        sells, name = await records.shop(), f"demo-{ids.random_token(4)}"
        report.print(scene_view.INTRODUCTION)
        show = functools.partial(scene_view.show, report)
        played = await scene_run.play_all(connection, name, show)
        count = orders.orders or ORDERS_DEFAULT
        plan = demo_run.Plan(sells, count, orders.seed, name=name, scenes=played)
        figures = await demo_run.run(connection, plan, records.check, reporter)
    view.show(figures, report)
    if orders.json_file:
        command_line.write_json(orders.json_file, msgspec.json.format(msgspec.json.encode(figures)))
    return ExitCode.OK if figures.is_ok else ExitCode.FAILED
