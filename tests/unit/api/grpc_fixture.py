"""A gRPC server over dependencies in memory, and clients for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import msgspec
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.api import grpc_server, options
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from internal.wire.souk.v1 import order_service_pb2_grpc
from tests.unit.api import memory

Answer = Any
"""An answer of the generated stub, which has no types."""


class Server(memory.Backend):
    """The server, with all it stands on."""

    def __init__(self, chosen: options.Options) -> None:
        super().__init__(chosen.limits)
        self.options = chosen
        self.port = 0
        self.grpc = grpc_server.GrpcServer(self.service, self.middleware, chosen)

    @property
    def address(self) -> str:
        return f"{self.options.host}:{self.port}"


class Client:
    """A merchant's client: sends its key with every call."""

    def __init__(self, channel: grpc.aio.Channel, key: memory.Metadata) -> None:
        self._stub = order_service_pb2_grpc.OrderServiceStub(channel)  # type: ignore[no-untyped-call]
        self._key = key

    def __getattr__(self, method: str) -> Callable[..., Answer]:
        call = getattr(self._stub, method)
        return lambda request, **others: call(request, **({"metadata": self._key} | others))

    async def submit(self, order: o.OrderDraft | None = None, **others: object) -> Answer:
        """Submit one order."""
        request = s.SubmitOrderRequest(order=order or memory.draft(), **others)  # type: ignore[arg-type]
        return await self.SubmitOrder(request, timeout=10)


@asynccontextmanager
async def client_of(server: Server, key: memory.Metadata | None = None) -> AsyncIterator[Client]:
    """Connect to a server as merchant m1, or with another key."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield Client(channel, memory.AUTH if key is None else key)


@asynccontextmanager
async def running_server(
    limits: options.Limits | None = None, *, stages: bool = False, **others: object
) -> AsyncIterator[Server]:
    """Serve on a free port; with `stages`, orders are taken to their end."""
    chosen = options.Options(port=0, drain_s=2.0, limits=limits or options.Limits(), **others)  # type: ignore[arg-type]
    server = Server(chosen)
    server.port = await server.grpc.open()
    worker = asyncio.create_task(server.orders.stages()) if stages else None
    await asyncio.sleep(0)
    try:
        yield server
    finally:
        if worker:
            worker.cancel()
            await asyncio.wait([worker])
        await server.grpc.close()


class Failure(msgspec.Struct, frozen=True):
    """An error as a client sees it."""

    code: str
    reason: str
    text: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    retry_after_s: float | None


async def failure_of(call: Awaitable[object]) -> Failure:
    """Await a call that must fail, and return how it did."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    assert status is not None, f"no details: {caught.value!r}"
    return failure_in(status)


def failure_in(status: status_pb2.Status) -> Failure:
    """Read a google.rpc.Status."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    found = {packed.TypeName(): packed for packed in status.details}
    for detail in (info, bad, retry):
        if detail.DESCRIPTOR.full_name in found:
            found[detail.DESCRIPTOR.full_name].Unpack(detail)
    assert info.domain == "souk.v1"
    return Failure(
        code=next(code.name for code in grpc.StatusCode if code.value[0] == status.code),
        reason=info.reason,
        text=status.message,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad.field_violations),
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds()
        if "google.rpc.RetryInfo" in found
        else None,
    )
