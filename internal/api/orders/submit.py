"""SubmitOrder and SubmitOrders: from drafts to verdicts, one or many at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from google.protobuf import message

from internal.api import calls, options, request_sizes, status, validation, wire_fields
from internal.api import metrics as api_metrics
from internal.api.limits import call_limits
from internal.api.orders import (
    from_wire,
    metrics,
    ports,
    recent_orders,
    refusals,
    submission_batcher,
    to_wire,
    watch,
)
from internal.flow import topics
from internal.kernel import errors, ids
from internal.orders.messages import OrderPlaced, Submission
from internal.views.order import OrderView
from internal.wire.souk.v1 import order_pb2, order_service_pb2

ORDER_BYTES_MAX = 64 * 1024
"""An order of 200 lines takes about 20 KiB. Not a setting: the readers of the topics rely on it."""
YIELD_EVERY_ORDERS = 50
YIELD_EVERY_BYTES = 16 * 1024
"""A big batch lets other calls run each time it has read this much (about 2 ms of good orders)."""
REFUSED_ORDER_WEIGHT = 10
"""To find what is wrong with an order takes as long as to read this many good ones."""
VIOLATIONS_PER_ORDER_MAX = 3
"""Of an order in a batch; more would make a small batch's answer a hundred times as large."""

_ORDERS = order_service_pb2.SubmitOrdersRequest.DESCRIPTOR.fields_by_name["orders"]
_ORDER_ID = order_pb2.OrderDraft.DESCRIPTOR.fields_by_name["order_id"]

_WAITS = {
    order_service_pb2.WAIT_FOR_ACCEPTED: (topics.DECIDED, watch.is_decided),
    order_service_pb2.WAIT_FOR_FINALIZED: (topics.AT_REST, watch.is_at_rest),
}


class PreparedOrder(NamedTuple):
    """An order of a batch, or why it is refused."""

    order_id: str
    outcome: Submission | status.Refused


def too_large(size_bytes: int) -> status.Refused:
    """Return the refusal of a SubmitOrder that cannot hold an order of the right size."""
    return refusals.too_large(size_bytes, ORDER_BYTES_MAX, "order")


class Submitter:
    """Accepts orders."""

    def __init__(
        self,
        batcher: submission_batcher.SubmissionBatcher,
        follower: watch.Follower,
        backlog: ports.Backlog,
        recent: recent_orders.RecentOrders,
        limits: options.Limits,
    ) -> None:
        self._batcher, self._follower = batcher, follower
        self._backlog, self._recent, self._limits = backlog, recent, limits
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
        submission = from_wire.placed(request.order, call.origin, "order.")
        if request.wait_for:
            return await self._place_and_wait(submission, request.wait_for, call.answer_by_s)
        [verdict] = await self._batcher.submit([submission])
        known = None
        if isinstance(verdict, submission_batcher.Placed) and verdict.replayed:
            known = await self._follower.try_get(_ref(submission.placed))
        return _answer(submission.placed, verdict, known)

    async def submit_orders(self, call: calls.Call, encoded: bytes) -> calls.Answer:
        """Place the valid orders of a batch; return a verdict per order.

        Args:
            call: the call.
            encoded: a SubmitOrdersRequest. Its orders are decoded one at a time, so that neither
                memory nor other calls have to bear all of them at once.
        """
        orders = _split(encoded)
        if isinstance(orders, status.Refused):
            return orders
        self._check_backlog()
        async with self._turns.turn_of(call.origin.merchant_id):
            prepared = [order async for order in _prepare(orders, call.origin)]
        submissions = [order.outcome for order in prepared if isinstance(order.outcome, Submission)]
        verdicts = iter(await self._batcher.submit(submissions) if submissions else ())
        response = order_service_pb2.SubmitOrdersResponse()
        for index, (order_id, outcome) in enumerate(prepared, start=1):
            verdict = outcome if isinstance(outcome, status.Refused) else next(verdicts)
            response.verdicts.append(_verdict(order_id, verdict))
            if index % YIELD_EVERY_ORDERS == 0:
                await asyncio.sleep(0)
        return response

    def _check_backlog(self) -> None:
        on_their_way = self._batcher.open_orders
        waiting = self._backlog.orders() + on_their_way
        has_room = self._recent.has_room(self._backlog.unrecorded() + on_their_way)
        if waiting >= self._limits.backlog_orders_max or not has_room:
            what = f"{waiting} orders wait to be processed"
            raise errors.Overloaded(what, self._limits.retry_after_s)

    async def _place_and_wait(
        self, submission: Submission, wait_for: order_service_pb2.WaitFor, answer_by_s: float
    ) -> calls.Answer:
        """Listen before placing, so that no message is missed and a new order needs no look."""
        topics, is_there = _WAITS[wait_for]
        ref = _ref(submission.placed)
        with self._follower.listen(ref, topics) as listener:
            if listener is None:
                return refusals.share_used(self._limits.retry_after_s)
            [verdict] = await self._batcher.submit([submission])
            known = None
            if isinstance(verdict, submission_batcher.Placed):
                known = await listener.until(is_there, answer_by_s, look_at_once=verdict.replayed)
        return _answer(submission.placed, verdict, known)


def _ref(fact: OrderPlaced) -> ids.OrderRef:
    return ids.OrderRef(fact.merchant_id, fact.order_id)


def _answer(
    fact: OrderPlaced, verdict: submission_batcher.Verdict, known: watch.Known
) -> calls.Answer:
    """Return the verdict, and what else is known of the order.

    Two servers may take different orders under one id at the same time. The order stage records one
    of them, and the caller with the other one must not get its contents.
    """
    if known and known.body_hash != fact.body_hash:
        verdict = submission_batcher.Conflicting()
    _count(verdict)
    if not isinstance(verdict, submission_batcher.Placed):
        return _refusal(fact.order_id, verdict)
    response = order_service_pb2.SubmitOrderResponse(
        order_id=fact.order_id,
        state=to_wire.state_of(verdict.state),
        version=verdict.version,
        replayed=verdict.replayed,
    )
    if known:
        response.order.CopyFrom(to_wire.order_of(known))
    if isinstance(known, OrderView):
        response.state, response.version = response.order.state, response.order.version
    return response


def _split(encoded: bytes) -> list[bytes] | status.Refused:
    """Return the orders of a batch as bytes."""
    most = request_sizes.items_max(_ORDERS)
    try:
        orders = wire_fields.values_of(encoded, _ORDERS.number, most)
    except message.DecodeError:
        return validation.unreadable(order_service_pb2.SubmitOrdersRequest)
    if 1 <= len(orders) <= most:
        return orders
    return status.invalid("INVALID_ARGUMENT", [("orders", f"must be 1 to {most} orders")])


async def _prepare(orders: Sequence[bytes], origin: calls.Origin) -> AsyncIterator[PreparedOrder]:
    """Decode and check the orders, with pauses in which other calls run."""
    read_orders = read_bytes = 0
    for index, encoded in enumerate(orders):
        prepared = _prepared(encoded, origin, f"orders[{index}]")
        yield prepared
        is_good = isinstance(prepared.outcome, Submission)
        read_orders += 1 if is_good else REFUSED_ORDER_WEIGHT
        read_bytes += len(encoded)
        if read_orders >= YIELD_EVERY_ORDERS or read_bytes >= YIELD_EVERY_BYTES:
            await asyncio.sleep(0)
            read_orders = read_bytes = 0


def _prepared(encoded: bytes, origin: calls.Origin, path: str) -> PreparedOrder:
    fault = _size_fault(encoded, path)
    if fault:
        return PreparedOrder(_order_id_in(encoded), fault)
    try:
        draft = order_pb2.OrderDraft.FromString(encoded)
    except message.DecodeError:
        fault = validation.unreadable(order_pb2.OrderDraft, path)
        return PreparedOrder(_order_id_in(encoded), fault)
    return PreparedOrder(draft.order_id, _order_or_fault(draft, origin, path))


def _order_id_in(encoded: bytes) -> str:
    chars_max = request_sizes.chars_max(_ORDER_ID)
    return wire_fields.first_text(encoded, _ORDER_ID.number, chars_max)


def _order_or_fault(
    draft: order_pb2.OrderDraft, origin: calls.Origin, path: str
) -> Submission | status.Refused:
    body = from_wire.body_of(draft)
    fault = validation.fault_of(draft, body, f"{path}.", VIOLATIONS_PER_ORDER_MAX)
    if fault:
        return fault
    try:
        return from_wire.placed(draft, origin, f"{path}.")
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
