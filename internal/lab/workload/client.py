"""A small gRPC client: calls become answers, whatever happens. It never retries; see sender.py.

A refusal and a broken connection are both an Answer with a code, so that a run counts them instead
of stopping at the first.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
import msgspec
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.kernel.clock import US_PER_SECOND
from internal.wire.souk.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc

REPLY_BYTES_MAX = 32 * 1024 * 1024
"""A page of 500 orders takes about 100 KiB, the verdicts on 1,000 orders about as much."""
PAGE_ORDERS = 500
OK = "OK"

_PREFIX = "/souk.v1.OrderService/"
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Access(msgspec.Struct, frozen=True):
    """Where the server is and what opens it."""

    target: str
    """HOST:PORT."""
    api_key: str
    ca_file: Path | None = None
    """PEM; speaks TLS and trusts this authority. None speaks in the clear."""


class Answer(msgspec.Struct, frozen=True):
    """What the door said to one order."""

    order_id: str
    code: str = OK
    """OK, or the name of a gRPC status code."""
    reason: str = ""
    """UPPER_SNAKE, of the ErrorInfo."""
    text: str = ""
    replayed: bool = False
    state: int = order_pb2.ORDER_STATE_UNSPECIFIED
    retry_after_s: float | None = None
    """What the server asks to wait, if it does."""

    @property
    def is_ok(self) -> bool:
        """Tell whether the server took the order, now or before."""
        return self.code == OK


class Client:
    """One connection to the door of orders."""

    def __init__(self, access: Access) -> None:
        options = [
            ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
            ("grpc.max_send_message_length", REPLY_BYTES_MAX),
            # Runs in one process must not share a connection behind each other's back.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if access.ca_file:
            credentials = grpc.ssl_channel_credentials(access.ca_file.read_bytes())
            channel = grpc.aio.secure_channel(access.target, credentials, options)
        else:
            channel = grpc.aio.insecure_channel(access.target, options)
        self._channel = channel
        self._metadata = (("x-api-key", access.api_key),)
        self._stub = order_service_pb2_grpc.OrderServiceStub(channel)  # type: ignore[no-untyped-call]
        # Takes bytes: whoever wants to spend no time on serializing has done it before.
        self._submit = channel.unary_unary(
            f"{_PREFIX}SubmitOrder",
            response_deserializer=order_service_pb2.SubmitOrderResponse.FromString,
        )
        self._submit_many = channel.unary_unary(
            f"{_PREFIX}SubmitOrders",
            response_deserializer=order_service_pb2.SubmitOrdersResponse.FromString,
        )

    async def aclose(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def greet(self, timeout_s: float) -> Answer:
        """Connect, and see that the key opens the door."""
        request = order_service_pb2.ListOrdersRequest(page_size=1)
        try:
            await self._stub.ListOrders(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return answer_of(error, "")
        return Answer("")

    async def submit(self, order_id: str, request: bytes, timeout_s: float) -> Answer:
        """Place one order: a serialized SubmitOrderRequest."""
        try:
            reply = await self._submit(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return answer_of(error, order_id)
        return Answer(order_id, replayed=reply.replayed, state=reply.state)

    async def submit_many(
        self, order_ids: Sequence[str], request: bytes, timeout_s: float
    ) -> list[Answer]:
        """Place some orders: a serialized SubmitOrdersRequest. Answers in their order."""
        try:
            reply = await self._submit_many(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return [answer_of(error, order_id) for order_id in order_ids]
        return [
            _answer_in_batch(order_id, verdict)
            for order_id, verdict in zip(order_ids, reply.verdicts, strict=True)
        ]

    async def get(self, order_id: str, timeout_s: float) -> order_pb2.Order | None:
        """Return an order; None if the server knows none of this name, or cannot tell now."""
        request = order_service_pb2.GetOrderRequest(order_id=order_id)
        try:
            reply = await self._stub.GetOrder(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return None
        order: order_pb2.Order = reply.order
        return order

    async def ended(self, order_id: str, timeout_s: float) -> bool:
        """Wait until an order is at its end; False if that did not come within `timeout_s`."""
        request = order_service_pb2.WatchOrderRequest(order_id=order_id)
        watch = self._stub.WatchOrder(request, metadata=self._metadata, timeout=timeout_s)
        try:
            async for reply in watch:
                if reply.HasField("order"):
                    return True
        except grpc.aio.AioRpcError:
            return False
        return False

    async def pages(
        self, placed_after_us: int, timeout_s: float
    ) -> AsyncIterator[Sequence[order_pb2.OrderSummary]]:
        """Yield the merchant's orders since then, newest first, page by page.

        A page that does not come ends the listing: whoever needs all of it asks again.
        """
        request = order_service_pb2.ListOrdersRequest(page_size=PAGE_ORDERS)
        request.placed_after.FromMicroseconds(placed_after_us)
        while True:
            try:
                page = await self._stub.ListOrders(
                    request, metadata=self._metadata, timeout=timeout_s
                )
            except grpc.aio.AioRpcError:
                return
            yield page.orders
            request.page_token = page.next_page_token
            if not request.page_token:
                return


def answer_of(error: grpc.aio.AioRpcError, order_id: str) -> Answer:
    """Say a failed call as an answer."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # the details contradict the code: a proxy's work
        status = None
    if status is None:
        return Answer(order_id, error.code().name, text=error.details() or "")
    return _refused(order_id, status)


def _answer_in_batch(order_id: str, verdict: order_service_pb2.OrderVerdict) -> Answer:
    if verdict.HasField("refused"):
        return _refused(order_id, verdict.refused)
    return Answer(order_id, replayed=verdict.accepted.replayed, state=verdict.accepted.state)


def _refused(order_id: str, status: status_pb2.Status) -> Answer:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    wait_s: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(retry):
            wait_s = retry.retry_delay.ToMicroseconds() / US_PER_SECOND
    return Answer(
        order_id,
        _CODES.get(status.code, str(status.code)),
        info.reason,
        status.message,
        retry_after_s=wait_s,
    )
