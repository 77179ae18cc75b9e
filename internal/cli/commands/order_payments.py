"""`souk orders pay`: adds a tender to an open order, through the gRPC API."""

from typing import Annotated

import typer

from internal.cli import order_drafts, order_receipt, server_calls
from internal.cli.options import Server
from internal.console import exit_codes, output
from internal.console.options import AsJson, flattened
from internal.kernel import ids
from internal.wire.souk.v1 import order_pb2, payment_service_pb2

PAID = (order_pb2.CHARGE_STATE_FULL, order_pb2.CHARGE_STATE_NONE)
UNDECIDED = (order_pb2.CHARGE_STATE_PENDING, order_pb2.CHARGE_STATE_UNKNOWN)


@flattened
def pay(
    order_id: Annotated[str, typer.Argument(metavar="ORDER_ID", help="Your own id for the order.")],
    tender: Annotated[
        str,
        typer.Argument(
            metavar=f"{'|'.join(order_drafts.TENDER_FORMS)}[=AMOUNT][+TIP]",
            help="The tender; without an amount it takes what is left.",
        ),
    ],
    server: Server,
    *,
    currency: Annotated[
        str, typer.Option(metavar="CODE", help="The order's currency, ISO 4217.")
    ] = order_drafts.CURRENCY_DEFAULT,
    request_id: Annotated[
        str,
        typer.Option(
            metavar="ID",
            show_default="a new one",
            help="Your own id for this request. Sent again, it adds nothing.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Add a tender to an open order; 1 means declined, and 3 not decided in time.

    souk orders pay table-7 cash=10
    """
    request = payment_service_pb2.AddTenderRequest(
        order_id=order_id,
        request_id=request_id or f"cli-{ids.random_token()}",
        currency=currency,
        tender=order_drafts.tender_of(tender, currency),
    )
    reply = server_calls.call(
        server,
        lambda orders: orders.add_tender(request, server.timeout_s),
        as_json=as_json,
        hint_when_away=f"The same request again: --request-id {request.request_id}.",
    )
    payment = reply.payment
    if as_json:
        output.as_json(order_receipt.to_json(reply))
    else:
        state = order_pb2.ChargeState.Name(payment.tender.state).removeprefix("CHARGE_STATE_")
        order_state = order_receipt.state_of(payment.order_state)
        output.say(f"{payment.tender.tender_ref} {state}  ", output.state(order_state))
    if payment.tender.state in UNDECIDED:
        raise typer.Exit(exit_codes.ExitCode.AWAY)
    if payment.tender.state not in PAID:
        raise typer.Exit(exit_codes.ExitCode.FAILED)
