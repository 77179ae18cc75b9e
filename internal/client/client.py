"""A gRPC client of the order service: a call returns its reply, or a Failure, and never raises.

A refusal and a broken connection are both values, so that a run can count them. Must not retry;
see sender.py and watching.py.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio
import msgspec
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.client import access as client_access
from internal.client import channels
from internal.kernel.clock import US_PER_SECOND
from internal.wire.souk.v1 import order_pb2, order_service_pb2, payment_service_pb2

PAGE_ORDERS = 500
OK = "OK"

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Failure(msgspec.Struct, frozen=True):
    """Why a call did not get its reply."""

    code: str
    """The name of a gRPC status code."""
    reason: str = ""
    """UPPER_SNAKE, from the ErrorInfo."""
    text: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    """(field, what is wrong with it), from the BadRequest."""
    retry_after_s: float | None = None
    """The wait that the server asks for, from the RetryInfo."""
    has_status: bool = True
    """Whether the server sent a status; False when no server was reached, or a proxy answered."""


class Answer(msgspec.Struct, frozen=True):
    """The server's answer to one order."""

    order_id: str
    code: str = OK
    """OK, or the name of a gRPC status code."""
    reason: str = ""
    """UPPER_SNAKE, of the ErrorInfo."""
    text: str = ""
    replayed: bool = False
    state: int = order_pb2.ORDER_STATE_UNSPECIFIED
    retry_after_s: float | None = None
    """The wait that the server asks for, if it does."""

    @property
    def is_ok(self) -> bool:
        """Tell whether the server took the order, now or before."""
        return self.code == OK


SubmitReply: TypeAlias = order_service_pb2.SubmitOrderResponse | Failure
ListReply: TypeAlias = order_service_pb2.ListOrdersResponse | Failure
Method: TypeAlias = Callable[[channels.Channel], Any]


class Client:
    """Calls the services as one merchant, over as many connections as its calls need."""

    def __init__(self, access: client_access.Access) -> None:
        """Make the first channel; nothing is sent before the first call.

        Raises:
            Misconfigured: half of a certificate was named, or a PEM file cannot be read.
        """
        self._channels = channels.Channels(access)
        self._metadata = (("x-api-key", access.api_key),)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._channels.aclose()

    async def greet(self, timeout_s: float) -> Failure | None:
        """Connect and see that the server takes the key; None when it does."""
        reply = await self.list_page(order_service_pb2.ListOrdersRequest(page_size=1), timeout_s)
        return reply if isinstance(reply, Failure) else None

    async def submit(self, order_id: str, request: bytes, timeout_s: float) -> Answer:
        """Place one order: a serialized SubmitOrderRequest."""
        try:  # not through _call: load runs measure this method
            with self._channels.one() as channel:
                reply = await channel.submit(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return _answer_of(order_id, failure_of(error))
        return Answer(order_id, replayed=reply.replayed, state=reply.state)

    async def submit_order(self, request: bytes, timeout_s: float) -> SubmitReply:
        """Place one order, a serialized SubmitOrderRequest; return all of the server's reply."""
        reply: SubmitReply = await self._call(lambda on: on.submit, request, timeout_s)
        return reply

    async def submit_many(
        self, order_ids: Sequence[str], request: bytes, timeout_s: float
    ) -> list[Answer]:
        """Place some orders: a serialized SubmitOrdersRequest. Answers in their order."""
        reply = await self._call(lambda on: on.submit_many, request, timeout_s)
        if isinstance(reply, Failure):
            return [_answer_of(order_id, reply) for order_id in order_ids]
        return [
            _answer_in_batch(order_id, verdict)
            for order_id, verdict in zip(order_ids, reply.verdicts, strict=True)
        ]

    async def get(self, order_id: str, timeout_s: float) -> order_pb2.Order | Failure:
        """Return all about an order."""
        request = order_service_pb2.GetOrderRequest(order_id=order_id)
        reply = await self._call(lambda on: on.stub.GetOrder, request, timeout_s)
        if isinstance(reply, Failure):
            return reply
        order: order_pb2.Order = reply.order
        return order

    async def quote(
        self, request: order_service_pb2.QuoteOrderRequest, timeout_s: float
    ) -> order_service_pb2.QuoteOrderResponse | Failure:
        """Return what an order would cost."""
        reply: order_service_pb2.QuoteOrderResponse | Failure
        reply = await self._call(lambda on: on.stub.QuoteOrder, request, timeout_s)
        return reply

    async def cancel(
        self, request: order_service_pb2.CancelOrderRequest, timeout_s: float
    ) -> order_service_pb2.CancelOrderResponse | Failure:
        """Cancel an order."""
        reply: order_service_pb2.CancelOrderResponse | Failure
        reply = await self._call(lambda on: on.stub.CancelOrder, request, timeout_s)
        return reply

    async def update(
        self, request: order_service_pb2.UpdateOrderRequest, timeout_s: float
    ) -> order_service_pb2.UpdateOrderResponse | Failure:
        """Replace the lines of an open order."""
        reply: order_service_pb2.UpdateOrderResponse | Failure
        reply = await self._call(lambda on: on.stub.UpdateOrder, request, timeout_s)
        return reply

    async def add_tender(
        self, request: payment_service_pb2.AddTenderRequest, timeout_s: float
    ) -> payment_service_pb2.AddTenderResponse | Failure:
        """Add a tender to an open order."""
        reply: payment_service_pb2.AddTenderResponse | Failure
        reply = await self._call(lambda on: on.payments.AddTender, request, timeout_s)
        return reply

    async def list_page(
        self, request: order_service_pb2.ListOrdersRequest, timeout_s: float
    ) -> ListReply:
        """Return a page of the merchant's orders, newest first.

        One with a `next_page_token` is not the last, even if it is short or empty.
        """
        reply: ListReply = await self._call(lambda on: on.stub.ListOrders, request, timeout_s)
        return reply

    async def pages(
        self, placed_after_us: int, timeout_s: float
    ) -> AsyncIterator[Sequence[order_pb2.OrderSummary]]:
        """Yield the merchant's orders since then, newest first, page by page.

        A page that fails ends the listing; a caller that needs all orders asks again.
        """
        request = order_service_pb2.ListOrdersRequest(page_size=PAGE_ORDERS)
        request.placed_after.FromMicroseconds(placed_after_us)
        while True:
            page = await self.list_page(request, timeout_s)
            if isinstance(page, Failure):
                return
            yield page.orders
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def watch(
        self, order_id: str, from_version: int = 0, timeout_s: float | None = None
    ) -> AsyncGenerator[order_service_pb2.WatchOrderResponse | Failure, None]:
        """Yield the steps of an order after a version; a stream that breaks ends in a Failure."""
        request = order_service_pb2.WatchOrderRequest(order_id=order_id, from_version=from_version)
        with self._channels.one() as channel:
            stream = channel.stub.WatchOrder(request, metadata=self._metadata, timeout=timeout_s)
            try:
                async for reply in stream:
                    yield reply
            except grpc.aio.AioRpcError as error:
                yield failure_of(error)
            finally:
                stream.cancel()

    async def ended(self, order_id: str, timeout_s: float) -> bool:
        """Wait until an order is at its end; False if it is not there within `timeout_s`."""
        async with contextlib.aclosing(self.watch(order_id, timeout_s=timeout_s)) as replies:
            async for reply in replies:
                if not isinstance(reply, Failure) and reply.HasField("order"):
                    return True
        return False

    async def _call(self, method: Method, request: Any, timeout_s: float) -> Any:  # noqa: ANN401 - gRPC ships no types
        try:
            with self._channels.one() as channel:
                return await method(channel)(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return failure_of(error)


def code_of(number: int) -> str:
    """Return the name of a gRPC status code."""
    name: str = _CODES.get(number, str(number))
    return name


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """Return an error of gRPC as a value."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # the details contradict the code: a proxy wrote them
        status = None
    if status is None:
        return Failure(error.code().name, text=error.details() or "", has_status=False)
    return _failure_in(status)


def _failure_in(status: status_pb2.Status) -> Failure:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    wrong = error_details_pb2.BadRequest()
    wait_s: float | None = None
    for detail in status.details:
        if detail.Unpack(info) or detail.Unpack(wrong):
            continue
        if detail.Unpack(retry):
            wait_s = retry.retry_delay.ToMicroseconds() / US_PER_SECOND
    return Failure(
        code_of(status.code),
        info.reason,
        status.message,
        tuple((it.field, it.description) for it in wrong.field_violations),
        wait_s,
    )


def _answer_of(order_id: str, failure: Failure) -> Answer:
    return Answer(
        order_id,
        failure.code,
        failure.reason,
        failure.text,
        retry_after_s=failure.retry_after_s,
    )


def _answer_in_batch(order_id: str, verdict: order_service_pb2.OrderVerdict) -> Answer:
    if verdict.HasField("refused"):
        return _answer_of(order_id, _failure_in(verdict.refused))
    return Answer(order_id, replayed=verdict.accepted.replayed, state=verdict.accepted.state)
