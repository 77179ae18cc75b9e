"""`souk orders pay` and `update`: tenders and lines of open orders, through the gRPC API."""

from typing import Annotated

import typer

from internal.cli import order_drafts, order_receipt, server_calls
from internal.cli.options import Server
from internal.console import exit_codes, output, values
from internal.console.options import AsJson, flattened
from internal.kernel import ids
from internal.wire.souk.v1 import order_pb2, order_service_pb2, payment_service_pb2

PAID = (order_pb2.CHARGE_STATE_FULL, order_pb2.CHARGE_STATE_NONE)
UNDECIDED = (order_pb2.CHARGE_STATE_PENDING, order_pb2.CHARGE_STATE_UNKNOWN)


OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Your own id for the order.")]
Currency = Annotated[str, typer.Option(metavar="CODE", help="The order's currency, ISO 4217.")]
RequestId = Annotated[
    str,
    typer.Option(
        metavar="ID",
        show_default="a new one",
        help="Your own id for this request. Sent again, it changes nothing.",
    ),
]


@flattened
def pay(
    order_id: OrderId,
    tender: Annotated[
        str,
        typer.Argument(
            metavar=f"{'|'.join(order_drafts.TENDER_FORMS)}[=AMOUNT][+TIP]",
            help="The tender; without an amount it takes what is left.",
        ),
    ],
    server: Server,
    *,
    currency: Currency = order_drafts.CURRENCY_DEFAULT,
    request_id: RequestId = "",
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


@flattened
def update(
    order_id: OrderId,
    lines: order_drafts.Lines,
    server: Server,
    *,
    expected_version: Annotated[
        int,
        typer.Option(
            parser=values.whole_number(0),
            metavar="N",
            help="The version that you saw; an order with another one is left alone. 0 takes any.",
        ),
    ] = 0,
    request_id: RequestId = "",
    as_json: AsJson = False,
) -> None:
    """Replace all lines of an open order that holds no money; 1 means that it was refused.

    souk orders update table-7 --line COFFEE-250=3 --line MUG-BLUE
    """
    draft = order_drafts.lines_of(lines)
    request = order_service_pb2.UpdateOrderRequest(
        order_id=order_id,
        request_id=request_id or f"cli-{ids.random_token()}",
        currency=draft.currency,
        lines=draft.lines,
        adjustments=draft.adjustments,
        expected_version=expected_version,
    )
    reply = server_calls.call(
        server,
        lambda orders: orders.update(request, server.timeout_s),
        as_json=as_json,
        hint_when_away=f"The same request again: --request-id {request.request_id}.",
    )
    if as_json:
        output.as_json(order_receipt.to_json(reply))
    else:
        output.terminal().print(order_receipt.order(reply.order))
