"""The command behind `scripts/start --demo`: reads options, runs the demo, shows its figures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from internal.console import lazy_groups, lazy_modules, output
from internal.console import run as console_run
from internal.console.exit_codes import ExitCode
from internal.console.options import flattened
from internal.lab.workload import command_line

if TYPE_CHECKING:
    import uvloop

    from internal.client import client
    from internal.console import installation
    from internal.lab.demo import run as demo_run
    from internal.lab.demo import view
    from internal.lab.workload import progress, verification
else:
    uvloop = lazy_modules.lazy("uvloop")
    client = lazy_modules.lazy("internal.client.client")
    installation = lazy_modules.lazy("internal.console.installation")
    demo_run = lazy_modules.lazy("internal.lab.demo.run")
    view = lazy_modules.lazy("internal.lab.demo.view")
    progress = lazy_modules.lazy("internal.lab.workload.progress")
    verification = lazy_modules.lazy("internal.lab.workload.verification")

ORDERS_DEFAULT = 1_000

app = lazy_groups.single()


@app.command()
@flattened
def demo(server: command_line.Server, orders: command_line.Orders) -> ExitCode:
    """Submit varied orders and show how they ended."""
    return uvloop.run(_run(server, orders))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return console_run.run(app, "demo", arguments)


async def _run(server: command_line.Server, orders: command_line.Orders) -> ExitCode:
    access = command_line.access_of(server)
    records = verification.Records(installation.settings_of(server.data), access.api_key)
    reporter = progress.Reporter(output.report(stderr=True))
    async with contextlib.aclosing(client.Client(access)) as connection:
        await command_line.reach(connection, access.target)
        plan = demo_run.Plan(await records.shop(), orders.orders or ORDERS_DEFAULT, orders.seed)
        figures = await demo_run.run(connection, plan, records.check, reporter)
    view.show(figures, output.report())
    if orders.json_file:
        command_line.write_json(orders.json_file, msgspec.json.format(msgspec.json.encode(figures)))
    return ExitCode.OK if figures.is_ok else ExitCode.FAILED
