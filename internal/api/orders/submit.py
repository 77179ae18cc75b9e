"""SubmitOrder and SubmitOrders: from drafts to verdicts, one or many at a time."""

import asyncio
from collections.abc import Sequence

from internal.api import call_limits, calls, options, status, validation
from internal.api import metrics as api_metrics
from internal.api.orders import (
    from_wire,
    metrics,
    ports,
    refusals,
    submission_batcher,
    to_wire,
    watch,
)
from internal.kernel import errors, ids
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView
from internal.wire.souk.v1 import order_pb2, order_service_pb2

ORDER_BYTES_MAX = 64 * 1024
"""An order of 200 lines takes about 20 KiB. Not a setting: the readers of the topics rely on it."""
YIELD_EVERY_ORDERS = 50
"""A big batch lets other calls run each time it has read this many orders (about 2 ms)."""

_WAITS = {
    order_service_pb2.WAIT_FOR_ACCEPTED: (watch.DECIDED, watch.is_decided),
    order_service_pb2.WAIT_FOR_FINALIZED: (watch.ENDED, watch.is_ended),
}


class Submitter:
    """Accepts orders."""

    def __init__(
        self,
        batcher: submission_batcher.SubmissionBatcher,
        follower: watch.Follower,
        backlog: ports.Backlog,
        limits: options.Limits,
    ) -> None:
        self._batcher, self._follower = batcher, follower
        self._backlog, self._limits = backlog, limits
        self._turns = call_limits.Turns()

    async def submit_order(
        self, call: calls.Call, request: order_service_pb2.SubmitOrderRequest
    ) -> calls.Answer:
        """Place one order; wait for it, if asked to."""
        body = from_wire.body_of(request.order)
        fault = _size_fault(body, "order")
        if fault:
            return fault
        self._check_backlog()
        fact = from_wire.placed(request.order, body, call.origin, "order.")
        if request.wait_for:
            return await self._place_and_wait(fact, request.wait_for, call.answer_by_s)
        [verdict] = await self._batcher.submit([fact])
        known = None
        if isinstance(verdict, submission_batcher.Placed) and verdict.replayed:
            known = await self._follower.try_get(ids.OrderRef(fact.merchant_id, fact.order_id))
        return _answer(fact.order_id, verdict, known)

    async def submit_orders(
        self, call: calls.Call, request: order_service_pb2.SubmitOrdersRequest
    ) -> calls.Answer:
        """Place the valid orders of a batch; return a verdict per order."""
        fault = validation.rules_fault_of(request)
        if fault:
            return fault
        self._check_backlog()
        async with self._turns.turn_of(call.origin.merchant_id):
            prepared = await _prepare(request.orders, call.origin)
        facts = [fact for fact in prepared if isinstance(fact, OrderPlaced)]
        verdicts = iter(await self._batcher.submit(facts) if facts else ())
        response = order_service_pb2.SubmitOrdersResponse()
        for draft, fact in zip(request.orders, prepared, strict=True):
            verdict = fact if isinstance(fact, status.Refused) else next(verdicts)
            response.verdicts.append(_verdict(draft.order_id, verdict))
        return response

    def _check_backlog(self) -> None:
        waiting = self._backlog.orders() + self._batcher.open_orders
        if waiting >= self._limits.backlog_orders_max:
            what = f"{waiting} orders wait to be processed"
            raise errors.Overloaded(what, self._limits.retry_after_s)

    async def _place_and_wait(
        self, fact: OrderPlaced, wait_for: order_service_pb2.WaitFor, answer_by_s: float
    ) -> calls.Answer:
        """Listen before placing, so that no message is missed and a new order needs no look."""
        topics, is_there = _WAITS[wait_for]
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        with self._follower.listen(ref, topics) as listener:
            [verdict] = await self._batcher.submit([fact])
            known = None
            if isinstance(verdict, submission_batcher.Placed):
                known = await listener.until(is_there, answer_by_s, look_at_once=verdict.replayed)
        return _answer(fact.order_id, verdict, known)


def _answer(order_id: str, verdict: submission_batcher.Verdict, known: watch.Known) -> calls.Answer:
    """Return the verdict, and what else is known of the order."""
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
    orders: Sequence[order_pb2.OrderDraft], origin: calls.Origin
) -> list[OrderPlaced | status.Refused]:
    prepared = []
    for index, draft in enumerate(orders):
        prepared.append(_fact_or_fault(draft, origin, f"orders[{index}]"))
        if index % YIELD_EVERY_ORDERS == YIELD_EVERY_ORDERS - 1:
            await asyncio.sleep(0)
    return prepared


def _fact_or_fault(
    draft: order_pb2.OrderDraft, origin: calls.Origin, path: str
) -> OrderPlaced | status.Refused:
    body = from_wire.body_of(draft)
    fault = _size_fault(body, path) or validation.fault_of(draft, body, f"{path}.")
    if fault:
        return fault
    try:
        return from_wire.placed(draft, body, origin, f"{path}.")
    except errors.InvalidInput as error:
        return status.of_error(error)


def _size_fault(body: bytes, path: str) -> status.Refused | None:
    if len(body) <= ORDER_BYTES_MAX:
        return None
    return refusals.too_large(len(body), ORDER_BYTES_MAX, path)


def _verdict(
    order_id: str, verdict: submission_batcher.Verdict | status.Refused
) -> order_service_pb2.OrderVerdict:
    if isinstance(verdict, status.Refused):
        return _refused(order_id, verdict)
    _count(verdict)
    if not isinstance(verdict, submission_batcher.Placed):
        return _refused(order_id, _refusal(order_id, verdict))
    accepted = order_service_pb2.PlacedOrder(
        state=to_wire.state_of(verdict.state), version=verdict.version, replayed=verdict.replayed
    )
    return order_service_pb2.OrderVerdict(order_id=order_id, accepted=accepted)


def _refused(order_id: str, refused: status.Refused) -> order_service_pb2.OrderVerdict:
    api_metrics.REFUSED.labels(refused.reason).inc()
    return order_service_pb2.OrderVerdict(order_id=order_id, refused=status.to_proto(refused))


def _refusal(
    order_id: str, verdict: submission_batcher.Conflicting | submission_batcher.Unplaced
) -> status.Refused:
    if isinstance(verdict, submission_batcher.Unplaced):
        return status.away(verdict.error)
    return refusals.order_id_reused(order_id)


def _count(verdict: submission_batcher.Verdict) -> None:
    if isinstance(verdict, submission_batcher.Placed):
        (metrics.REPLAYED if verdict.replayed else metrics.ACCEPTED).inc()
