"""The methods of souk.v1.OrderService, and the parts behind them.

Thin: a method of more than a few lines has its own module. A refusal is returned as a value; the
adapter that the call came through ends the call with it.
"""

import asyncio
from contextlib import aclosing

import msgspec

from internal.api import calls, options, status
from internal.api.limits import merchant_shares
from internal.api.orders import (
    commands,
    from_wire,
    notifier,
    order_loader,
    paging,
    ports,
    recent_orders,
    refusals,
    submission_batcher,
    submit,
    to_wire,
    watch,
)
from internal.kernel import ids
from internal.pricing.messages import Refusal
from internal.wire.souk.v1 import order_service_pb2 as wire

YIELD_EVERY_ORDERS = 50
"""Pages let other calls run each time this many orders are written (about 1 ms)."""
NAME = wire.DESCRIPTOR.services_by_name["OrderService"].full_name


class Dependencies(msgspec.Struct, frozen=True):
    """The rest of Souk, as the service sees it."""

    bus: ports.Messages
    recorded: ports.RecordedOrders
    views: ports.OrderViews
    quoter: ports.Quoter
    backlog: ports.Backlog


class Shared(msgspec.Struct, frozen=True):
    """The parts of the service that other services about orders work with, too."""

    commander: commands.Commander
    loader: order_loader.OrderLoader
    follower: watch.Follower


class OrderService:
    """One instance serves all calls, whichever adapter they come through."""

    def __init__(self, dependencies: Dependencies, limits: options.Limits) -> None:
        recent = recent_orders.RecentOrders(limits.backlog_orders_max, limits.recent_bytes_max)
        self._loader = order_loader.OrderLoader(dependencies.views, dependencies.recorded, recent)
        self._views, self._quoter = dependencies.views, dependencies.quoter
        self._notifier = notifier.OrderNotifier(dependencies.bus)
        self._follower = watch.Follower(self._loader, self._notifier, limits)
        self._batcher = submission_batcher.SubmissionBatcher(
            dependencies.bus, dependencies.recorded, recent, limits
        )
        self._submitter = submit.Submitter(
            self._batcher, self._follower, dependencies.backlog, recent, limits
        )
        self._commander = commands.Commander(
            dependencies.bus, dependencies.views, self._loader, self._follower
        )
        self._watches = merchant_shares.MerchantShares(limits.watches_max)
        self._retry_after_s = limits.retry_after_s
        self._page_turn = asyncio.Lock()

    @property
    def shared(self) -> Shared:
        """The parts that other services work with, too."""
        return Shared(self._commander, self._loader, self._follower)

    def methods(self) -> list[calls.Method]:
        """Return every method of the service."""
        submitter = self._submitter
        return [
            calls.Unary(
                "SubmitOrder",
                wire.SubmitOrderRequest,
                submitter.submit_order,
                too_large=submit.too_large,
            ),
            calls.Unary(
                "SubmitOrders",
                wire.SubmitOrdersRequest,
                submitter.submit_orders,
                reads_itself=True,
            ),
            calls.Unary("GetOrder", wire.GetOrderRequest, self.get_order),
            calls.Unary("ListOrders", wire.ListOrdersRequest, self.list_orders),
            calls.Stream("WatchOrder", wire.WatchOrderRequest, self.watch_order),
            *self._commander.methods(),
            calls.Unary("UpdateOrder", wire.UpdateOrderRequest, self.update_order),
            calls.Unary("QuoteOrder", wire.QuoteOrderRequest, self.quote_order),
        ]

    async def run(self) -> None:
        """Listen to the stages until cancelled; calls that wait for orders depend on it."""
        await self._notifier.run()

    def stop_waiting(self) -> None:
        """Make every waiting call answer with what is known, now and from now on."""
        self._notifier.close()

    async def drain(self) -> None:
        """Return when the broker has every order that was submitted."""
        await self._batcher.drain()

    @property
    def open_orders(self) -> int:
        """Count the orders on their way to the broker."""
        return self._batcher.open_orders

    @property
    def has_waiting_calls(self) -> bool:
        """Tell whether any call waits for an order."""
        return self._notifier.has_subscriptions

    async def get_order(self, call: calls.Call, request: wire.GetOrderRequest) -> calls.Answer:
        """Return everything about one order."""
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        known = await self._loader.get(ref)
        if known is None:
            return refusals.not_found(request.order_id)
        return wire.GetOrderResponse(order=to_wire.order_of(known))

    async def list_orders(self, call: calls.Call, request: wire.ListOrdersRequest) -> calls.Answer:
        """List orders, newest first."""
        wanted = paging.filter_of(request)
        page = paging.page_of(request.page_token, wanted) if request.page_token else None
        if request.page_token and page is None:
            what = "is not a token of this listing; send its filters as they were"
            return status.invalid("PAGE_TOKEN_INVALID", [("page_token", what)])
        size = request.page_size or paging.ORDERS_DEFAULT
        merchant_id = call.origin.merchant_id
        listing = await self._views.list_page(merchant_id, wanted, page, size)
        response = wire.ListOrdersResponse()
        for start in range(0, len(listing.orders), YIELD_EVERY_ORDERS):
            async with self._page_turn:  # however many pages are asked for, others wait for one
                some = listing.orders[start : start + YIELD_EVERY_ORDERS]
                response.orders.extend(map(to_wire.summary_of, some))
                await asyncio.sleep(0)
        if listing.next_page:
            response.next_page_token = paging.token_of(listing.next_page, wanted)
        return response

    async def watch_order(
        self, call: calls.Call, request: wire.WatchOrderRequest, send: calls.Send
    ) -> status.Refused | None:
        """Stream the steps of an order; the last one comes with the whole order."""
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        with self._watches.place(ref.merchant_id) as has_place:
            if not has_place:
                return refusals.share_used(self._retry_after_s)
            return await self._watch(ref, request, send)

    async def _watch(
        self, ref: ids.OrderRef, request: wire.WatchOrderRequest, send: calls.Send
    ) -> status.Refused | None:
        if not self._loader.is_recent(ref) and await self._loader.current(ref) is None:
            return refusals.not_found(request.order_id)
        async with aclosing(self._follower.follow(ref, request.from_version)) as steps:
            async for entry, ended in steps:
                response = wire.WatchOrderResponse(entry=to_wire.step_of(entry))
                if ended:
                    response.order.CopyFrom(to_wire.order_of(ended))
                await send(response)
                if ended:
                    return None
        return status.shutting_down() if self._follower.is_closing else None

    async def update_order(
        self, call: calls.Call, request: wire.UpdateOrderRequest
    ) -> calls.Answer:
        """Replace the lines of an open order; answer with the order as it is then."""
        answer = await self._commander.run(commands.UPDATE_ORDER, call, request)
        if isinstance(answer, wire.UpdateOrderResponse):
            known = await self._loader.get(ids.OrderRef(call.origin.merchant_id, request.order_id))
            if known:
                answer.order.CopyFrom(to_wire.order_of(known))
        return answer

    async def quote_order(self, call: calls.Call, request: wire.QuoteOrderRequest) -> calls.Answer:
        """Return what an order would cost."""
        wanted = from_wire.price_request(request, call.origin)
        priced = await self._quoter.quote(wanted)
        if isinstance(priced, Refusal):
            return refusals.not_priced(priced)
        return to_wire.quote_of(priced)
