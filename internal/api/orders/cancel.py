"""CancelOrder: sends a cancel request after the order and waits for the order stage's verdict.

The verdict is in the order's log under the request's id, so a repeated request finds it there. An
order that has ended is answered for at once: nothing about it can change any more.
"""

from functools import partial

from internal.api import calls, status
from internal.api.orders import from_wire, order_loader, ports, refusals, to_wire, watch
from internal.flow import topics
from internal.infra import bus
from internal.kernel import ids
from internal.views.order import TimelineEntry
from internal.wire.souk.v1 import order_service_pb2


class Canceller:
    """Cancels orders at their merchant's request."""

    def __init__(
        self,
        publisher: bus.Publisher,
        loader: order_loader.OrderLoader,
        follower: watch.Follower,
    ) -> None:
        self._publisher, self._loader, self._follower = publisher, loader, follower

    async def cancel(
        self, call: calls.Call, request: order_service_pb2.CancelOrderRequest
    ) -> calls.Answer:
        """Answer with the outcome: cancelled, or too late.

        Raises:
            DatabaseAway: the order cannot be looked up now.
            BusAway: the cancel request was not sent.
        """
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        order = await self._loader.current(ref)
        if order is None and not self._loader.is_recent(ref):
            return refusals.not_found(request.order_id)
        outcome = await self._loader.cancellation(ports.CancelRef(*ref, request.request_id))
        if outcome is None and order is not None and watch.is_ended(order):
            return refusals.not_cancellable(request.order_id, order.state)
        if outcome:
            fact, _ = from_wire.cancel_requested(request, call.origin)
            return self._answer(request, fact.body_hash, outcome)
        return await self._send_and_wait(call, request)

    async def _send_and_wait(
        self, call: calls.Call, request: order_service_pb2.CancelOrderRequest
    ) -> calls.Answer:
        fact, private = from_wire.cancel_requested(request, call.origin)
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        look = partial(self._loader.cancellation, ports.CancelRef(*ref, fact.request_id))
        with self._follower.listen(ref, (topics.REJECTED,)) as listener:
            if listener is None:
                return refusals.share_used(self._follower.retry_after_s)
            messages = topics.ENVELOPE.pack([fact], self._publisher.shard_keys, [private])
            await self._publisher.publish(messages)
            outcome = await listener.until_found(look, call.answer_by_s)
            return self._answer(request, fact.body_hash, outcome)

    def _answer(
        self,
        request: order_service_pb2.CancelOrderRequest,
        body_hash: str,
        outcome: TimelineEntry | None,
    ) -> calls.Answer:
        if outcome is None:
            return status.shutting_down() if self._follower.is_closing else status.pending()
        if getattr(outcome.fact, "body_hash", "") != body_hash:
            return refusals.request_id_reused(request.request_id)
        if outcome.reason:
            return refusals.not_cancellable(request.order_id, outcome.state)
        return order_service_pb2.CancelOrderResponse(
            order_id=request.order_id,
            state=to_wire.state_of(outcome.state),
            version=outcome.version,
        )
