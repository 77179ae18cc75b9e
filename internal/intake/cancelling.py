"""CancelOrder: sends the wish after the order and waits for the order stage's word on it.

The word stands in the order's log under the request's id, so a repeated request reads it there.
"""

from internal.infra import bus
from internal.intake import answers, drafts, following, guard, status
from internal.orders.messages import LogStage
from internal.pipeline import envelope, flow
from internal.reports.order_view import OrderView, TimelineEntry
from internal.wire.souk.v1 import order_service_pb2


class Canceller:
    """Undoes orders on their merchant's wish."""

    def __init__(self, publisher: bus.Publisher, follower: following.Follower) -> None:
        self._publisher, self._follower = publisher, follower

    async def cancel(
        self, call: guard.Call, request: order_service_pb2.CancelOrderRequest
    ) -> guard.Answer:
        """Answer with the outcome: cancelled, or too late.

        Raises:
            DatabaseAway: it cannot be told whether there is such an order.
            BusAway: the wish was not sent.
        """
        name = (call.origin.merchant_id, request.order_id)
        known = await self._follower.known(name)
        if known is None:
            return status.not_found(request.order_id)
        if not _outcome_in(known, request.request_id):
            known = await self._send_and_wait(call, request)
        return self._answer(request, _outcome_in(known, request.request_id))

    async def _send_and_wait(
        self, call: guard.Call, request: order_service_pb2.CancelOrderRequest
    ) -> following.Known:
        wish = drafts.cancel_requested(request, call.origin)
        name = (wish.merchant_id, wish.order_id)
        with self._follower.listening(name, (flow.REJECTED,)) as listener:
            await self._publisher.publish(envelope.pack([wish]))
            return await listener.until_logged(
                lambda view: _outcome_in(view, wish.request_id) is not None, call.answer_by_s
            )

    def _answer(
        self, request: order_service_pb2.CancelOrderRequest, outcome: TimelineEntry | None
    ) -> guard.Answer:
        if outcome is None:
            return status.shutting_down() if self._follower.is_closing else status.pending()
        if getattr(outcome.fact, "reason", "") != request.reason:
            return status.request_id_reused(request.request_id)
        if outcome.reason:
            return status.not_cancellable(request.order_id, outcome.state)
        return order_service_pb2.CancelOrderResponse(
            order_id=request.order_id,
            state=answers.state_of(outcome.state),
            version=outcome.version,
        )


def _outcome_in(known: following.Known, request_id: str) -> TimelineEntry | None:
    """Return the log's entry for a request to cancel."""
    if not isinstance(known, OrderView):
        return None
    for entry in known.timeline:
        if entry.stage == LogStage.CANCEL and entry.event_id == request_id:
            return entry
    return None
