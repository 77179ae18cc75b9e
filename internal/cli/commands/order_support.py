"""`souk orders show`: an order's whole timeline on a terminal, for support staff. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from internal.cli import database
from internal.cli.options import Data, MerchantId
from internal.console import lazy_modules, output
from internal.console.options import AsJson
from internal.kernel import errors

if TYPE_CHECKING:
    import sqlalchemy as sa

    from internal.cli.commands import merchants
    from internal.views import order_timeline
else:
    merchants = lazy_modules.lazy("internal.cli.commands.merchants")
    order_timeline = lazy_modules.lazy("internal.views.order_timeline")


def show_order(
    order_id: Annotated[
        str, typer.Argument(metavar="ORDER_ID", help="The merchant's id for the order.")
    ],
    *,
    merchant: MerchantId = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show an order's timeline from the database: every step, payments, what it waits for.

    For support staff: without an API key, and with facts that merchants do not see.
    """

    def find(connection: sa.Connection) -> order_timeline.OrderTimeline:
        merchant_id = merchants.require(connection, merchant)
        found = order_timeline.get(connection, merchant_id, order_id)
        if found is None:
            what = f"no order {order_id!r} of {merchant_id} is known"
            raise errors.InvalidInput([("", f"{what}; it may not be recorded yet")])
        return found

    found = database.read(data, find)
    if as_json:
        output.as_json(found)
    else:
        _show(found)


def _show(it: order_timeline.OrderTimeline) -> None:
    output.say("Order ", it.order_id, "  ", output.state(it.state), style="bold")
    total = f", {output.amount(it.total_minor, it.currency)}" if it.currency else ""
    output.say(f"of {it.merchant_id}, store {it.store_id or '?'}{total}")
    axes = f"money {it.charge_state}, stock {it.stock_state}, version {it.version}"
    output.say(f"{axes}, trace {it.trace_id or '-'}", style="dim")
    table = output.table("When", "Took", "Who", "What", "Why", right=["Took"])
    before_us = it.steps[0].at_us if it.steps else 0
    for step in it.steps:
        took = output.duration(step.at_us - before_us) if step.at_us > before_us else ""
        table.add_row(
            output.moment(step.at_us),
            took,
            step.who,
            step.what,
            step.why,
        )
        before_us = step.at_us
    output.terminal().print(table)
    for stage, crashes in it.crashes.items():
        output.say(f"{crashes} processes of {stage} crashed with this order", style="red")
    if it.waits_for:
        when = f"; looked at again {output.instant(it.next_look_us)}" if it.next_look_us else ""
        output.say(f"It waits for {it.waits_for}{when}", style="yellow")
