"""`souk privacy`: erases what is private of an order, at its customer's wish."""

from typing import Annotated

import sqlalchemy as sa
import typer

from internal.cli import actor, database
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output
from internal.console.options import AsJson, Yes
from internal.infra import clock
from internal.kernel import ids
from internal.stages import erasure

app = lazy_groups.new()


@app.callback()
def privacy() -> None:
    """Erase what is private of orders."""


@app.command()
def erase(
    order_id: Annotated[
        str, typer.Argument(metavar="ORDER_ID", help="The merchant's id for the order.")
    ],
    *,
    reason: actor.Reason = "",
    merchant: MerchantId = "",
    by: actor.By = "",
    yes: Yes = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Erase an order's note, tokens and reasons of cancellation, with a reason. It has ended.

    Amounts, lines and receipts stay. Erasing cannot be undone. Topics and backups hold a copy until
    their retention ends: see docs/security.md.
    """
    operator, why = actor.name_of(by), actor.reason_of(reason)
    if not yes:
        typer.confirm(f"erase what is private of {order_id}?", abort=True, err=True)

    def write(connection: sa.Connection) -> erasure.Erased:
        ref = ids.OrderRef(merchants.require(connection, merchant), order_id)
        now_us = clock.SystemClock().now_us()
        return erasure.erase(connection, erasure.Wish(ref, operator, why, now_us))

    erased = database.write(data, write)
    if as_json:
        output.as_json(erased)
        return
    output.say(f"{erased.values} values of {order_id} are erased")
    for key in erased.letters:
        output.say(f"dead letter {key} cannot be replayed any more: drop it")
