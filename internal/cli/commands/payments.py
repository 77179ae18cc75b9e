"""`souk payments`: what became of money that nobody knows the end of.

Lists what waits for the gateway's word or an operator's, and takes that word. It only writes it
down: the payment stage acts on it, within a second where an engine runs.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
import typer

from internal.cli import actor, database
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import ids
from internal.payments import manual_resolution
from internal.payments.messages import Attempt
from internal.stages import payment_review

app = lazy_groups.new("See and decide payments that nobody knows the end of.")

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The merchant's name for it.")]


@app.command("unknown")
def list_unknown(
    *,
    merchant: Annotated[
        str, typer.Option("--merchant", metavar="ID", help="Only of this merchant.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List UNKNOWN payments, and voids that the gateway refused; those that wait for you first."""

    def find(connection: sa.Connection) -> list[payment_review.Undecided]:
        if merchant:
            merchants.require(connection, merchant)
        return payment_review.undecided(connection, merchant)

    found = database.read(data, find)
    if as_json:
        output.as_json({"payments": found})
    elif found:
        _show_table(found)
    else:
        output.say("no payment is UNKNOWN", style="green")


def _show_table(found: Sequence[payment_review.Undecided]) -> None:
    numbers = ["Attempt", "Amount", "Asked"]
    table = output.table("Order", *numbers, "What", "When", "Next check", right=numbers)
    for it in found:
        table.add_row(
            f"{it.merchant_id}/{it.order_id}",
            str(it.attempt_no),
            output.amount(it.amount_minor, it.currency),
            f"{it.checks}x",
            f"{it.kind} {it.state}",
            output.moment(it.asked_at_us),
            "you decide" if it.next_check_us is None else output.moment(it.next_check_us),
        )
    output.terminal().print(table)


@dataclasses.dataclass(frozen=True)
class Said:
    """What became of which attempt."""

    verdict: Annotated[
        manual_resolution.Verdict,
        typer.Option(
            "--as",
            show_default=False,
            help="succeeded: the money moved. declined: the gateway refused it for certain."
            " failed: give up; a charge is voided by its key, a void is sent again.",
        ),
    ]
    attempt: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="the only one that is undecided",
            help="Which attempt of the order.",
        ),
    ] = None
    reference: Annotated[
        str, typer.Option(metavar="REF", help="The gateway's name for it, if you have it.")
    ] = ""


@app.command()
@flattened
def decide(
    order_id: OrderId,
    said: Said,
    *,
    reason: actor.Reason = "",
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of an UNKNOWN payment, with a reason; look at the gateway's own books first.

    The order goes on from there: to its end, or back with everything voided. It cannot be taken
    back.
    """
    who, why = actor.named(by), actor.required(reason)

    def write(connection: sa.Connection) -> Attempt:
        word = _word(merchants.require(connection, merchant), order_id, who, why)
        return payment_review.decide(connection, word, said.attempt, said.verdict, said.reference)

    decided = database.write(data, write)
    if as_json:
        output.as_json(_as_json([decided]))
    else:
        output.say(f"attempt {decided.attempt_no} of {order_id} is {decided.state}")


@app.command()
def ask(
    order_id: OrderId,
    *,
    reason: actor.Reason = "",
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Have the gateway asked now about an UNKNOWN payment, and then again, ever less often."""
    who = actor.named(by)

    def write(connection: sa.Connection) -> list[Attempt]:
        word = _word(merchants.require(connection, merchant), order_id, who, reason)
        return payment_review.ask(connection, word)

    asked = database.write(data, write)
    if as_json:
        output.as_json(_as_json(asked))
    else:
        numbers = ", ".join(str(attempt.attempt_no) for attempt in asked)
        output.say(f"the gateway will be asked about attempt {numbers} of {order_id}")


def _word(merchant_id: str, order_id: str, actor: str, reason: str) -> payment_review.Resolution:
    return payment_review.Resolution(
        ids.OrderRef(merchant_id, order_id), actor, reason, clock.SystemClock().now_us()
    )


def _as_json(attempts: Sequence[Attempt]) -> dict[str, object]:
    """Tell all but the card's token."""
    return {
        "attempts": [
            {
                "attempt_no": it.attempt_no,
                "kind": it.kind,
                "state": it.state,
                "amount": output.amount(it.amount_minor, it.currency),
                "attempt_key": it.key,
                "gateway_reference": it.gateway_reference,
            }
            for it in attempts
        ]
    }
