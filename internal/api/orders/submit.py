"""SubmitOrder and SubmitOrders: from drafts to verdicts, one or many at a time."""

import asyncio
from collections.abc import Sequence

from internal.api import metrics, middleware, options, status, validation
from internal.api.orders import from_wire, ports, submission_batcher, to_wire, watch
from internal.kernel import errors, ids
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView
from internal.wire.souk.v1 import order_pb2, order_service_pb2

BREATH_ORDERS = 50
"""A big batch lets other calls have their turn after so many orders (about 2 ms)."""

_WAITS = {
    order_service_pb2.WAIT_FOR_ACCEPTED: (watch.DECIDED, watch.is_decided),
    order_service_pb2.WAIT_FOR_FINALIZED: (watch.ENDED, watch.is_ended),
}


class Submitter:
    """Takes orders in."""

    def __init__(
        self,
        counter: submission_batcher.SubmissionBatcher,
        follower: watch.Follower,
        backlog: ports.Backlog,
        limits: options.Limits,
    ) -> None:
        self._desk, self._follower = counter, follower
        self._backlog, self._limits = backlog, limits

    async def one(
        self, call: middleware.Call, request: order_service_pb2.SubmitOrderRequest
    ) -> middleware.Answer:
        """Place one order; wait for it, if asked to."""
        fault = validation.size_fault_of(request.order, "order")
        if fault:
            return fault
        self._refuse_when_deep()
        fact = from_wire.placed(request.order, call.origin, "order.")
        if request.wait_for:
            return await self._place_and_wait(fact, request.wait_for, call.answer_by_s)
        [verdict] = await self._desk.submit([fact])
        known = None
        if isinstance(verdict, submission_batcher.Placed) and verdict.replayed:
            known = await self._follower.look(ids.OrderRef(fact.merchant_id, fact.order_id))
        return _answer(fact.order_id, verdict, known)

    async def many(
        self, call: middleware.Call, request: order_service_pb2.SubmitOrdersRequest
    ) -> middleware.Answer:
        """Place what can be placed of a batch; a verdict per order."""
        fault = validation.rules_fault_of(request)
        if fault:
            return fault
        self._refuse_when_deep()
        prepared = await _prepare(request.orders, call.origin)
        facts = [fact for fact in prepared if isinstance(fact, OrderPlaced)]
        verdicts = iter(await self._desk.submit(facts) if facts else ())
        response = order_service_pb2.SubmitOrdersResponse()
        for draft, fact in zip(request.orders, prepared, strict=True):
            verdict = fact if isinstance(fact, status.Refused) else next(verdicts)
            response.verdicts.append(_verdict(draft.order_id, verdict))
        return response

    def _refuse_when_deep(self) -> None:
        waiting = self._backlog.orders() + self._desk.open_orders
        if waiting >= self._limits.backlog_orders_max:
            what = f"{waiting} orders wait to be processed"
            raise errors.Overloaded(what, self._limits.retry_after_s)

    async def _place_and_wait(
        self, fact: OrderPlaced, wait_for: order_service_pb2.WaitFor, answer_by_s: float
    ) -> middleware.Answer:
        """Listen before placing, so that nothing is missed and a new order needs no look."""
        topics, is_there = _WAITS[wait_for]
        with self._follower.listening(
            ids.OrderRef(fact.merchant_id, fact.order_id), topics
        ) as listener:
            [verdict] = await self._desk.submit([fact])
            known = None
            if isinstance(verdict, submission_batcher.Placed):
                known = await listener.until(is_there, answer_by_s, look_at_once=verdict.replayed)
        return _answer(fact.order_id, verdict, known)


def _answer(
    order_id: str, verdict: submission_batcher.Verdict, known: watch.Known
) -> middleware.Answer:
    """Say the desk's verdict, and what is known of the order beyond it."""
    _count(verdict)
    if not isinstance(verdict, submission_batcher.Placed):
        return _refusal(order_id, verdict)
    response = order_service_pb2.SubmitOrderResponse(
        order_id=order_id,
        state=to_wire.state_of(verdict.state),
        version=verdict.version,
        replayed=verdict.replayed,
    )
    if known:
        response.order.CopyFrom(to_wire.order_of(known))
    if isinstance(known, OrderView):
        response.state, response.version = response.order.state, response.order.version
    return response


async def _prepare(
    orders: Sequence[order_pb2.OrderDraft], origin: from_wire.Origin
) -> list[OrderPlaced | status.Refused]:
    prepared = []
    for place, draft in enumerate(orders):
        prepared.append(_fact_or_fault(draft, origin, f"orders[{place}]"))
        if place % BREATH_ORDERS == BREATH_ORDERS - 1:
            await asyncio.sleep(0)
    return prepared


def _fact_or_fault(
    draft: order_pb2.OrderDraft, origin: from_wire.Origin, path: str
) -> OrderPlaced | status.Refused:
    fault = validation.size_fault_of(draft, path)
    fault = fault or validation.fault_of(draft, draft.SerializeToString(), f"{path}.")
    if fault:
        return fault
    try:
        return from_wire.placed(draft, origin, f"{path}.")
    except errors.InvalidInput as error:
        return status.of_error(error)


def _verdict(
    order_id: str, verdict: submission_batcher.Verdict | status.Refused
) -> order_service_pb2.OrderVerdict:
    if isinstance(verdict, status.Refused):
        metrics.REFUSED.labels(verdict.reason).inc()
        return order_service_pb2.OrderVerdict(order_id=order_id, refused=verdict.proto)
    _count(verdict)
    if not isinstance(verdict, submission_batcher.Placed):
        refused = _refusal(order_id, verdict)
        metrics.REFUSED.labels(refused.reason).inc()
        return order_service_pb2.OrderVerdict(order_id=order_id, refused=refused.proto)
    accepted = order_service_pb2.PlacedOrder(
        state=to_wire.state_of(verdict.state), version=verdict.version, replayed=verdict.replayed
    )
    return order_service_pb2.OrderVerdict(order_id=order_id, accepted=accepted)


def _refusal(
    order_id: str, verdict: submission_batcher.Conflicting | submission_batcher.Unplaced
) -> status.Refused:
    if isinstance(verdict, submission_batcher.Unplaced):
        return status.away(verdict.error)
    return status.order_id_reused(order_id)


def _count(verdict: submission_batcher.Verdict) -> None:
    if isinstance(verdict, submission_batcher.Placed):
        (metrics.REPLAYED if verdict.replayed else metrics.ACCEPTED).inc()
