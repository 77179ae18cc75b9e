"""CancelOrder: sends a cancel request after the order and waits for the order stage's verdict.

The verdict is in the order's log under the request's id, so a repeated request finds it there.
"""

from internal.api import calls, status
from internal.api.orders import from_wire, refusals, to_wire, watch
from internal.flow import topics
from internal.infra import bus
from internal.kernel import ids
from internal.orders.messages import LogStage
from internal.views.order import OrderView, TimelineEntry
from internal.wire.souk.v1 import order_service_pb2


class Canceller:
    """Cancels orders at their merchant's request."""

    def __init__(self, publisher: bus.Publisher, follower: watch.Follower) -> None:
        self._publisher, self._follower = publisher, follower

    async def cancel(
        self, call: calls.Call, request: order_service_pb2.CancelOrderRequest
    ) -> calls.Answer:
        """Answer with the outcome: cancelled, or too late.

        Raises:
            DatabaseAway: the order cannot be looked up now.
            BusAway: the cancel request was not sent.
        """
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        known = await self._follower.get(ref)
        if known is None:
            return refusals.not_found(request.order_id)
        if not _outcome_in(known, request.request_id):
            known = await self._send_and_wait(call, request)
        return self._answer(request, _outcome_in(known, request.request_id))

    async def _send_and_wait(
        self, call: calls.Call, request: order_service_pb2.CancelOrderRequest
    ) -> watch.Known:
        fact = from_wire.cancel_requested(request, call.origin)
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        with self._follower.listen(ref, (topics.REJECTED,)) as listener:
            await self._publisher.publish(topics.ENVELOPE.pack([fact]))
            return await listener.until_logged(
                lambda view: _outcome_in(view, fact.request_id) is not None, call.answer_by_s
            )

    def _answer(
        self, request: order_service_pb2.CancelOrderRequest, outcome: TimelineEntry | None
    ) -> calls.Answer:
        if outcome is None:
            return status.shutting_down() if self._follower.is_closing else status.pending()
        if getattr(outcome.fact, "reason", "") != request.reason:
            return refusals.request_id_reused(request.request_id)
        if outcome.reason:
            return refusals.not_cancellable(request.order_id, outcome.state)
        return order_service_pb2.CancelOrderResponse(
            order_id=request.order_id,
            state=to_wire.state_of(outcome.state),
            version=outcome.version,
        )


def _outcome_in(known: watch.Known, request_id: str) -> TimelineEntry | None:
    """Return the log's entry for a cancel request."""
    if not isinstance(known, OrderView):
        return None
    for entry in known.timeline:
        if entry.stage == LogStage.CANCEL and entry.event_id == request_id:
            return entry
    return None
