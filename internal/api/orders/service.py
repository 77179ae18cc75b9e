"""The methods of souk.v1.OrderService. Thin: what takes more than a few lines has its own module.

A refusal is returned as a google.rpc.Status; the guard around each method ends the call with it.
"""

from contextlib import aclosing

import msgspec

from internal.api import middleware, status
from internal.api.orders import cancel, from_wire, paging, ports, submit, to_wire, watch
from internal.kernel import ids
from internal.pricing.messages import Refusal
from internal.wire.souk.v1 import order_service_pb2 as wire

NAME = wire.DESCRIPTOR.services_by_name["OrderService"].full_name


class Rooms(msgspec.Struct, frozen=True):
    """What the methods work with."""

    submitter: submit.Submitter
    canceller: cancel.Canceller
    follower: watch.Follower
    views: ports.OrderViews
    quoter: ports.Quoter


class OrderService:
    """One instance serves all calls."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def methods(self) -> list[middleware.Method]:
        """Return every method of the service."""
        submitter, canceller = self._rooms.submitter, self._rooms.canceller
        return [
            middleware.Unary("SubmitOrder", wire.SubmitOrderRequest, submitter.one),
            middleware.Unary(
                "SubmitOrders", wire.SubmitOrdersRequest, submitter.many, checks_itself=True
            ),
            middleware.Unary("GetOrder", wire.GetOrderRequest, self.get_order),
            middleware.Unary("ListOrders", wire.ListOrdersRequest, self.list_orders),
            middleware.Stream("WatchOrder", wire.WatchOrderRequest, self.watch_order),
            middleware.Unary("CancelOrder", wire.CancelOrderRequest, canceller.cancel),
            middleware.Unary("QuoteOrder", wire.QuoteOrderRequest, self.quote_order),
        ]

    async def get_order(
        self, call: middleware.Call, request: wire.GetOrderRequest
    ) -> middleware.Answer:
        """Tell all about one order."""
        name = ids.OrderRef(call.origin.merchant_id, request.order_id)
        known = await self._rooms.follower.known(name)
        if known is None:
            return status.not_found(request.order_id)
        return wire.GetOrderResponse(order=to_wire.order_of(known))

    async def list_orders(
        self, call: middleware.Call, request: wire.ListOrdersRequest
    ) -> middleware.Answer:
        """List orders, newest first. One more than fits tells whether there is another page."""
        wanted = paging.filter_of(request)
        page = paging.page_of(request.page_token, wanted) if request.page_token else None
        if request.page_token and page is None:
            what = "is not a token of this listing; send its filters as they were"
            return status.invalid("PAGE_TOKEN_INVALID", [("page_token", what)])
        size = request.page_size or paging.ORDERS_DEFAULT
        merchant_id = call.origin.merchant_id
        views = await self._rooms.views.list_page(merchant_id, wanted, page, size + 1)
        token = paging.token_after(views[size - 1], wanted) if len(views) > size else ""
        orders = [to_wire.summary_of(view) for view in views[:size]]
        return wire.ListOrdersResponse(orders=orders, next_page_token=token)

    async def watch_order(
        self, call: middleware.Call, request: wire.WatchOrderRequest, send: middleware.Send
    ) -> status.Refused | None:
        """Stream what happens to an order; all about it comes with the last step."""
        name = ids.OrderRef(call.origin.merchant_id, request.order_id)
        if await self._rooms.follower.known(name) is None:
            return status.not_found(request.order_id)
        async with aclosing(self._rooms.follower.story(name, request.from_version)) as story:
            async for entry, view in story:
                response = wire.WatchOrderResponse(entry=to_wire.step_of(entry))
                is_last = watch.is_ended(view) and entry.version == view.version
                if is_last:
                    response.order.CopyFrom(to_wire.order_of(view))
                await send(response)
                if is_last:
                    return None
        return status.shutting_down() if self._rooms.follower.is_closing else None

    async def quote_order(
        self, call: middleware.Call, request: wire.QuoteOrderRequest
    ) -> middleware.Answer:
        """Tell what an order would cost."""
        wanted = from_wire.price_request(request, call.origin.merchant_id)
        priced = await self._rooms.quoter.quote(wanted)
        if isinstance(priced, Refusal):
            return status.of_refusal(priced)
        return to_wire.quote_of(priced)
