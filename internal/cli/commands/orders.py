"""`souk orders`: what a merchant does with orders, through the gRPC API."""

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated

import typer

from internal.cli import order_drafts, order_receipt, server_calls, timestamps
from internal.cli.commands import open_orders, order_support
from internal.cli.options import Server
from internal.client import client, watching
from internal.console import exit_codes, lazy_groups, output, values
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import ids
from internal.kernel.states import OrderState, is_terminal
from internal.wire.souk.v1 import order_pb2, order_service_pb2

app = lazy_groups.new()

PAGE_ORDERS_DEFAULT = 50
PAGE_ORDERS_MAX = 500
ALL_ORDERS_MAX = 100_000
"""The most orders that --all holds in memory."""

STATE_WIDTH = 2 + max(map(len, OrderState))

_TOKEN = re.compile(r"([0-9]{0,18}):([0-9]{0,18}):(.+)")

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Your own id for the order.")]


@app.command()
@flattened
def submit(
    wanted: order_drafts.Wanted,
    placing: order_drafts.Placing,
    server: Server,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the order has ended and show it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Place an order; 0 means that it is durable.

    With --wait, 0 means FINALIZED, 1 another end, and 3 that it was not decided in time. An order
    that is open is 0, or 1 if a tender was declined.

    souk orders submit --store berlin --line COFFEE-250=2 --pay cash --wait
    """
    draft = order_drafts.order_of(wanted, placing)
    if not draft.order_id:
        draft.order_id = _new_order_id()
        output.remark(f"order id {draft.order_id}")
    wait_for = (
        order_service_pb2.WAIT_FOR_FINALIZED if wait else order_service_pb2.WAIT_FOR_UNSPECIFIED
    )
    request = order_service_pb2.SubmitOrderRequest(order=draft, wait_for=wait_for)
    body = request.SerializeToString()
    reply = server_calls.call(
        server,
        lambda orders: orders.submit_order(body, server.timeout_s),
        as_json=as_json,
        hint_when_away="Sending the same order again is harmless:"
        f" use --order-id {draft.order_id}.",
    )
    _show_submitted(reply, waited=wait, as_json=as_json)


def _new_order_id() -> str:
    return f"cli-{ids.random_token(6)}"


def _show_submitted(
    reply: order_service_pb2.SubmitOrderResponse, *, waited: bool, as_json: bool
) -> None:
    if as_json:
        output.as_json(order_receipt.to_json(reply))
    elif waited and reply.HasField("order"):
        output.terminal().print(order_receipt.order(reply.order))
    else:
        output.say(output.state(order_receipt.state_of(reply.state)), f"  {reply.order_id}")
    if reply.replayed:
        output.remark("this order had been placed before")
    left = reply.order.left_to_pay
    if waited and (left.units or left.nanos):
        _exit_open(reply.order)
    elif waited:
        _exit_by_end(order_receipt.state_of(reply.state), reply.order_id)


def _exit_open(order: order_pb2.Order) -> None:
    """Exit with the code of an order that waits for its customer: 1 if a tender was declined."""
    left = order_receipt.amount(order.left_to_pay)
    output.remark(f"{left} left to pay; `souk orders pay {order.order_id}` adds a tender")
    if any(tender.state == order_pb2.CHARGE_STATE_DECLINED for tender in order.tenders):
        raise typer.Exit(exit_codes.ExitCode.FAILED)


def _exit_by_end(state: str, order_id: str) -> None:
    """Exit with the code that tells a script how the order ended."""
    if state == OrderState.FINALIZED:
        return
    if state in OrderState.__members__ and is_terminal(OrderState(state)):
        raise typer.Exit(exit_codes.ExitCode.FAILED)
    output.remark(f"not decided in time; `souk orders watch {order_id}` goes on waiting")
    raise typer.Exit(exit_codes.ExitCode.AWAY)


@app.command()
@flattened
def quote(wanted: order_drafts.Wanted, server: Server, *, as_json: AsJson = False) -> None:
    """Show what an order would cost, and why. Stores nothing."""
    draft = order_drafts.quote_of(wanted)
    request = order_service_pb2.QuoteOrderRequest(
        store_id=draft.store_id,
        currency=draft.currency,
        lines=draft.lines,
        adjustments=draft.adjustments,
    )
    reply = server_calls.call(
        server, lambda orders: orders.quote(request, server.timeout_s), as_json=as_json
    )
    if as_json:
        output.as_json(order_receipt.to_json(reply))
    else:
        output.terminal().print(order_receipt.quote(reply))


@app.command()
@flattened
def get(order_id: OrderId, server: Server, *, as_json: AsJson = False) -> None:
    """Show an order as a receipt, with its timeline."""
    order = server_calls.call(
        server, lambda orders: orders.get(order_id, server.timeout_s), as_json=as_json
    )
    if as_json:
        output.as_json(order_receipt.to_json(order))
    else:
        output.terminal().print(order_receipt.order(order))


app.command("show")(order_support.show_order)
app.command("pay")(open_orders.pay)
app.command("update")(open_orders.update)


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which orders to list."""

    state: Annotated[
        list[OrderState],
        typer.Option(
            metavar="STATE",
            case_sensitive=False,
            show_default=False,
            help=f"Only in this state, {', '.join(OrderState).lower()}; once for each.",
        ),
    ] = dataclasses.field(default_factory=list)
    store: Annotated[str, typer.Option(metavar="ID", help="Only of this store.")] = ""
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="Placed then or later: 2026-03-01T09:30, or 15m, 2h, 7d ago."
        ),
    ] = ""
    until: Annotated[str, typer.Option(metavar="WHEN", help="Placed before.")] = ""
    limit: Annotated[
        int,
        typer.Option(
            parser=values.whole_number(1, PAGE_ORDERS_MAX), metavar="N", help="Orders per page."
        ),
    ] = PAGE_ORDERS_DEFAULT
    page_token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Continue where the page before ended.")
    ] = ""


@app.command("list")
@flattened
def list_orders(
    filters: Filters,
    server: Server,
    *,
    all_pages: Annotated[
        bool, typer.Option("--all", help=f"All pages, up to {ALL_ORDERS_MAX} orders.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    request = _listing(filters, clock.SystemClock().now_us())
    orders_max = ALL_ORDERS_MAX if all_pages else filters.limit
    found = server_calls.call(
        server,
        lambda orders: _collect(orders, request, orders_max, server.timeout_s),
        as_json=as_json,
    )
    token = _token_of(request)
    if as_json:
        rows = [order_receipt.to_json(order) for order in found]
        output.as_json({"orders": rows, "next_page_token": token})
        return
    output.terminal().print(order_receipt.summaries(found))
    if token:
        output.remark(f"more: the same with --page-token {token}, or --all")


async def _collect(
    orders: client.Client,
    request: order_service_pb2.ListOrdersRequest,
    orders_max: int,
    timeout_s: float,
) -> list[order_pb2.OrderSummary] | client.Failure:
    """Return up to `orders_max` orders; the request then asks for those that follow.

    A page of the server may be short or empty although others follow.
    """
    found: list[order_pb2.OrderSummary] = []
    page_orders_max = request.page_size
    while True:
        request.page_size = min(page_orders_max, orders_max - len(found))
        page = await orders.list_page(request, timeout_s)
        if isinstance(page, client.Failure):
            return page
        found.extend(page.orders)
        request.page_token = page.next_page_token
        if not page.next_page_token or len(found) >= orders_max:
            return found


def _listing(filters: Filters, now_us: int) -> order_service_pb2.ListOrdersRequest:
    request = order_service_pb2.ListOrdersRequest(
        states=[f"ORDER_STATE_{name}" for name in dict.fromkeys(filters.state)],
        store_id=filters.store,
        page_size=filters.limit,
    )
    since_us = timestamps.parse(filters.since, now_us, "--since") if filters.since else None
    until_us = timestamps.parse(filters.until, now_us, "--until") if filters.until else None
    if filters.page_token:
        since_us, until_us, request.page_token = _open_token(filters.page_token)
    if since_us is not None:
        request.placed_after.FromMicroseconds(since_us)
    if until_us is not None:
        request.placed_before.FromMicroseconds(until_us)
    return request


def _token_of(request: order_service_pb2.ListOrdersRequest) -> str:
    """Return what continues this listing. It holds the instants, because "2h" moves meanwhile."""
    if not request.page_token:
        return ""
    since_us = request.placed_after.ToMicroseconds() if request.HasField("placed_after") else ""
    until_us = request.placed_before.ToMicroseconds() if request.HasField("placed_before") else ""
    return f"{since_us}:{until_us}:{request.page_token}"


def _open_token(token: str) -> tuple[int | None, int | None, str]:
    match = _TOKEN.fullmatch(token)
    if not match:
        what = "it is not a token from `souk orders list`"
        raise typer.BadParameter(what, param_hint="--page-token")
    since_us, until_us, page_token = match.groups()
    return int(since_us) if since_us else None, int(until_us) if until_us else None, page_token


@app.command()
@flattened
def watch(
    order_id: OrderId,
    server: Server,
    *,
    from_version: Annotated[
        int,
        typer.Option(parser=values.whole_number(0), metavar="N", help="The last version you saw."),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Follow an order to its end; 0 means FINALIZED, 1 another end.

    --json prints one line per step, and the whole order last.
    """
    tell = _tell_json if as_json else _teller()
    watched = (order_id, from_version)
    order = server_calls.call(
        server,
        lambda orders: watching.follow(orders, watched, tell, _tell_of_a_break),
        as_json=as_json,
    )
    if as_json:
        output.as_json_line({"order": order_receipt.to_json(order)})
    _exit_by_end(order_receipt.state_of(order.state), order_id)


def _tell_json(entry: order_pb2.LogEntry) -> None:
    output.as_json_line({"entry": order_receipt.to_json(entry)})


def _tell_of_a_break() -> None:
    output.remark("the stream broke off; taking it up again …")


def _teller() -> Callable[[order_pb2.LogEntry], None]:
    before_us: int | None = None

    def tell(entry: order_pb2.LogEntry) -> None:
        nonlocal before_us
        when, took, stage, state, why = order_receipt.step(entry, before_us)
        before_us = entry.at.ToMicroseconds()
        gap = " " * (STATE_WIDTH - len(state)) if why else ""
        output.say(f"{when}  {took:>10}  {stage:<20}", state, gap, why)

    return tell


@app.command()
@flattened
def cancel(
    order_id: OrderId,
    server: Server,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for people.")] = "",
    request_id: Annotated[
        str,
        typer.Option(
            metavar="ID",
            show_default="a new one",
            help="Your own id for this request. Sent again, it gets the same answer.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Cancel an order, as long as no payment was requested; 1 means that it was too late.

    An order that has not come yet is cancelled when it comes.
    """
    request = order_service_pb2.CancelOrderRequest(
        order_id=order_id, request_id=request_id or f"cli-{ids.random_token()}", reason=reason
    )
    reply = server_calls.call(
        server,
        lambda orders: orders.cancel(request, server.timeout_s),
        as_json=as_json,
        hint_when_away=f"The same request again: --request-id {request.request_id}.",
    )
    if as_json:
        output.as_json(order_receipt.to_json(reply))
    elif reply.outcome == order_service_pb2.COMMAND_OUTCOME_WAITING:
        output.say(f"WAITING  {reply.order_id}")
        output.remark("no such order is recorded; if it comes within 30 days, it is cancelled")
    else:
        output.say(output.state(order_receipt.state_of(reply.state)), f"  {reply.order_id}")
