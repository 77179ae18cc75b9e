"""`souk payments`: lists payments of unknown outcome, and takes an operator's decision on them.

It only records a decision: the payment stage acts on it, within a second where an engine runs.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Annotated

import sqlalchemy as sa
import typer

from internal.cli import actor, database
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import installation, lazy_groups, output, values
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import ids, money
from internal.payments import manual_resolution
from internal.payments.messages import Attempt, AttemptState
from internal.stages import payment_review

app = lazy_groups.new()

OrderId = Annotated[
    str, typer.Argument(metavar="ORDER_ID", help="The merchant's id for the order.")
]


@app.command("unknown")
def list_unknown(
    *,
    merchant: Annotated[
        str, typer.Option("--merchant", metavar="ID", help="Only of this merchant.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List UNKNOWN payments, and voids that the gateway refused.

    A PENDING payment whose answer is overdue is one of them. Those that wait for an operator come
    first.
    """
    overdue_us = _overdue_us(data, clock.SystemClock().now_us())

    def find(connection: sa.Connection) -> list[payment_review.Undecided]:
        if merchant:
            merchants.require(connection, merchant)
        return payment_review.undecided(connection, merchant, overdue_us)

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
            output.amount(it.asked_minor, it.currency),
            f"{it.tries}x",
            what_of(it),
            output.moment(it.asked_at_us),
            "you decide" if it.next_check_us is None else output.moment(it.next_check_us),
        )
    output.terminal().print(table)


def what_of(it: payment_review.Undecided) -> str:
    """Say what was asked for, and how much the gateway took if it took something else."""
    what = f"{it.operation} {it.state}"
    if it.state is not AttemptState.DIFFERENT:
        return what
    if it.answered_currency in money.EXPONENTS:
        return f"{what}: it took {output.amount(it.answered_minor, it.answered_currency)}"
    return f"{what}: it took {it.answered_minor} of no currency"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt."""

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
            parser=values.whole_number(1),
            metavar="N",
            show_default="the only one that is undecided",
            help="The attempt of the order.",
        ),
    ] = None
    reference: Annotated[
        str, typer.Option(metavar="REF", help="The gateway's id for the payment, if known.")
    ] = ""


@app.command()
@flattened
def decide(
    order_id: OrderId,
    outcome: Outcome,
    *,
    reason: actor.Reason = "",
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Decide the outcome of an UNKNOWN payment, with a reason; look at the gateway first.

    The order goes on from there: to its end, or back with everything voided. A decision cannot be
    undone.
    """
    operator, why = actor.name_of(by), actor.reason_of(reason)

    resolution_of = _resolutions(order_id, operator, why, data)

    def write(connection: sa.Connection) -> Attempt:
        resolution = resolution_of(merchants.require(connection, merchant))
        return payment_review.decide(
            connection, resolution, outcome.attempt, outcome.verdict, outcome.reference
        )

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
    """Ask the gateway about an UNKNOWN payment now, and then again at growing intervals."""
    resolution_of = _resolutions(order_id, actor.name_of(by), reason, data)

    def write(connection: sa.Connection) -> list[Attempt]:
        return payment_review.ask(
            connection, resolution_of(merchants.require(connection, merchant))
        )

    asked = database.write(data, write)
    if as_json:
        output.as_json(_as_json(asked))
    else:
        numbers = ", ".join(str(attempt.attempt_no) for attempt in asked)
        output.say(f"the gateway will be asked about attempt {numbers} of {order_id}")


def _resolutions(
    order_id: str, operator: str, reason: str, data: Data
) -> Callable[[str], payment_review.Resolution]:
    """Return how to make the resolution once the merchant is known."""
    now_us = clock.SystemClock().now_us()
    overdue_us = _overdue_us(data, now_us)
    return lambda merchant_id: payment_review.Resolution(
        ids.OrderRef(merchant_id, order_id), operator, reason, now_us, overdue_us
    )


def _overdue_us(data: Data, now_us: int) -> int:
    timeout_s = installation.settings_of(data).gateway.timeout_s
    return payment_review.pending_before_us(now_us, timeout_s)


def _as_json(attempts: Sequence[Attempt]) -> dict[str, object]:
    """Return all but the card's token."""
    return {
        "attempts": [
            {
                "attempt_no": it.attempt_no,
                "operation": it.operation,
                "state": it.state,
                "amount": output.amount(it.asked_minor, it.currency),
                "attempt_key": it.key,
                "gateway_reference": it.gateway_reference,
            }
            for it in attempts
        ]
    }
