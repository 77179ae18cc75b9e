"""An API server over orders in memory with scripted answers: real gRPC, no engine behind it."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.client import client
from internal.client.access import Access
from internal.wire.souk.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc

KEY = "the key"
PLACED_AT_US = 1_700_000_000_000_000
Verdict: TypeAlias = Any
"""A google.rpc.Status, or None: accepted."""


def refusal(code: grpc.StatusCode, reason: str, retry_after_ms: int | None = None) -> Verdict:
    """Return a refusal in the form of the true server."""
    status = status_pb2.Status(code=code.value[0], message="no")
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=reason, domain="souk.v1")]
    if retry_after_ms is not None:
        delay = duration_pb2.Duration(nanos=retry_after_ms * 1_000_000)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


class Server(order_service_pb2_grpc.OrderServiceServicer):
    """Accepts orders and lets each end as `end_of` says."""

    def __init__(self) -> None:
        self.verdicts: Iterator[Verdict] = iter(())
        """The next verdicts, order by order; afterwards every order is accepted."""
        self.end_of: Callable[[order_pb2.OrderDraft], list[order_pb2.OrderState]] = lambda _: [
            order_pb2.ORDER_STATE_FINALIZED
        ]
        self.orders: dict[str, tuple[order_pb2.OrderDraft, list[order_pb2.OrderState]]] = {}
        self.scanned_max = 1_000
        """How many orders a page looks at: it may end before it is full."""
        self.calls: list[int] = []
        """The number of orders in each call."""

    async def SubmitOrder(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        self.calls.append(1)
        accepted, refused = self._take(request.order)
        if refused is not None:
            await context.abort_with_status(rpc_status.to_status(refused))
        return order_service_pb2.SubmitOrderResponse(
            order_id=request.order.order_id, state=accepted.state, replayed=accepted.replayed
        )

    async def SubmitOrders(self, request: Any, _: Any) -> Any:  # noqa: ANN401, N802
        self.calls.append(len(request.orders))
        response = order_service_pb2.SubmitOrdersResponse()
        for draft in request.orders:
            accepted, refused = self._take(draft)
            response.verdicts.add(order_id=draft.order_id, accepted=accepted, refused=refused)
        return response

    async def GetOrder(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        if request.order_id not in self.orders:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        return order_service_pb2.GetOrderResponse(order=self._look(request.order_id))

    async def ListOrders(self, request: Any, _: Any) -> Any:  # noqa: ANN401, N802
        names = list(reversed(self.orders))
        start = int(request.page_token or 0)
        after = start + min(request.page_size, self.scanned_max)
        response = order_service_pb2.ListOrdersResponse(
            next_page_token=str(after) if after < len(names) else ""
        )
        for name in names[start:after]:
            order = self._look(name)
            if request.states and order.state not in request.states:
                continue
            response.orders.add(
                order_id=name,
                state=order.state,
                refusal_reason=order.refusal.reason,
                placed_at=order.placed_at,
                updated_at=order.updated_at,
            )
        return response

    async def WatchOrder(self, request: Any, _: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        yield order_service_pb2.WatchOrderResponse(order=self._look(request.order_id))

    def _take(self, draft: order_pb2.OrderDraft) -> tuple[Any, Verdict]:
        verdict = next(self.verdicts, None)
        known = draft.order_id in self.orders
        if verdict is None and not known:
            kept = order_pb2.OrderDraft()
            kept.CopyFrom(draft)
            self.orders[draft.order_id] = (kept, self.end_of(kept))
        placed = order_service_pb2.PlacedOrder(
            state=order_pb2.ORDER_STATE_PLACED, replayed=verdict is None and known
        )
        return (None, verdict) if verdict else (placed, None)

    def _look(self, name: str) -> order_pb2.Order:
        """Show an order; each look takes it one state further."""
        _, states = self.orders[name]
        state = states.pop(0) if len(states) > 1 else states[0]
        order = order_pb2.Order(order_id=name, state=state)
        order.timeline.add(version=1, state=state)
        order.placed_at.FromMicroseconds(PLACED_AT_US)
        order.updated_at.FromMicroseconds(PLACED_AT_US + 20_000)
        return order


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[Server, client.Client]]:
    """Start a server and connect a client to it."""
    service, server = Server(), grpc.aio.server()
    add = order_service_pb2_grpc.add_OrderServiceServicer_to_server
    add(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        access = Access(f"127.0.0.1:{port}", KEY)
        async with contextlib.aclosing(client.Client(access)) as connection:
            yield service, connection
    finally:
        await server.stop(None)
