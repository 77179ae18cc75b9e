"""Stands around every method: who calls, how many at once, how long, and what becomes of errors.

The one place of this door that may catch anything: whatever escapes a method becomes a typed answer
here. Requests arrive as bytes, so that unreadable ones get one too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
import msgspec
from google.protobuf import message
from grpc_status import rpc_status
from loguru import logger

from internal.api import authentication, metrics, options, status, trace_context, validation
from internal.api.orders import from_wire, ports
from internal.infra import traces
from internal.kernel.clock import Clock

Context = Any
"""grpc.aio.ServicerContext; grpc ships no types."""
Answer = message.Message | status.Refused
Send = Callable[[message.Message], Awaitable[None]]


class Call(msgspec.Struct, frozen=True):
    """A call that was let in."""

    origin: from_wire.Origin
    answer_by_s: float
    """The loop's time at which a waiting method should answer with what it knows."""


class Unary(msgspec.Struct, frozen=True):
    """A method with one answer."""

    name: str
    request: type[message.Message]
    work: Callable[[Call, Any], Awaitable[Answer]]
    checks_itself: bool = False
    """Whether the method looks for card numbers and broken field rules by itself."""


class Stream(msgspec.Struct, frozen=True):
    """A method that sends any number of messages; it ends with None when all is well."""

    name: str
    request: type[message.Message]
    work: Callable[[Call, Any, Send], Awaitable[status.Refused | None]]
    checks_itself: bool = False


Method = Unary | Stream


class ConcurrencyLimit:
    """Lets so many in at once, for so long."""

    def __init__(self, calls_max: int, default_s: float, max_s: float) -> None:
        self.calls_max, self.default_s, self.max_s = calls_max, default_s, max_s
        self.open_calls = 0


class Guard:
    """Makes gRPC handlers of methods."""

    def __init__(
        self, authenticator: ports.Authenticator, clock: Clock, limits: options.Limits
    ) -> None:
        self._authenticator, self._clock, self._limits = authenticator, clock, limits
        longest_s, stream_s = limits.deadline_max_s, limits.watch_deadline_max_s
        self._calls = ConcurrencyLimit(limits.calls_max, limits.deadline_default_s, longest_s)
        self._streams = ConcurrencyLimit(limits.watches_max, stream_s, stream_s)

    def unary(self, method: Unary) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
        """Return the handler of a method with one answer."""

        async def handle(raw: bytes, context: Context) -> bytes:
            return await _end(context, await self._answer(method, self._calls, raw, context))

        return grpc.unary_unary_rpc_method_handler(handle)

    def stream(self, method: Stream) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
        """Return the handler of a method that streams."""

        async def handle(raw: bytes, context: Context) -> None:
            await _end(context, await self._answer(method, self._streams, raw, context))

        return grpc.unary_stream_rpc_method_handler(handle)

    async def _answer(
        self, method: Method, gate: ConcurrencyLimit, raw: bytes, context: Context
    ) -> Answer | None:
        """Measure a call, whatever becomes of it."""
        started_s = time.perf_counter()
        code = "CANCELLED"
        metrics.RPCS_IN_FLIGHT.inc()
        gate.open_calls += 1
        try:
            outcome = await self._let_in(method, gate, raw, context)
            code = "OK"
            if isinstance(outcome, status.Refused):
                code = outcome.code.name
                metrics.REFUSED.labels(outcome.reason).inc()
            return outcome
        finally:
            gate.open_calls -= 1
            metrics.RPCS_IN_FLIGHT.dec()
            metrics.RPC_SECONDS.labels(method.name, code).observe(time.perf_counter() - started_s)

    async def _let_in(
        self, method: Method, gate: ConcurrencyLimit, raw: bytes, context: Context
    ) -> Answer | None:
        if gate.open_calls > gate.calls_max:
            what = f"{gate.calls_max} calls are open already"
            return status.overloaded("TOO_MANY_CALLS", what, self._limits.retry_after_s)
        left_s = context.time_remaining()
        left_s = gate.default_s if left_s is None else min(left_s, gate.max_s)
        try:
            async with asyncio.timeout(left_s):
                return await self._work(method, raw, context, left_s)
        except Exception as error:  # noqa: BLE001 - the door's one place: any error, a typed answer
            return status.of_error(error)

    async def _work(
        self, method: Method, raw: bytes, context: Context, left_s: float
    ) -> Answer | None:
        key, traceparent = _read_metadata(context.invocation_metadata())
        if key is None:
            text = "send your API key as `authorization: Bearer <key>` or `x-api-key: <key>`"
            return status.unauthenticated("API_KEY_MISSING", text)
        merchant_id = await self._authenticator.merchant_of(key)
        if merchant_id is None:
            return status.unauthenticated("API_KEY_INVALID", "this API key is not known")
        request = validation.read(method.request, raw, look_inside=not method.checks_itself)
        if isinstance(request, status.Refused):
            return request
        caller = trace_context.caller_of(traceparent)
        origin = from_wire.Origin(merchant_id, caller.trace_id, self._clock.now_us())
        margin_s = min(self._limits.answer_margin_s, left_s / 2)
        call = Call(origin, asyncio.get_running_loop().time() + left_s - margin_s)
        with (
            logger.contextualize(trace_id=origin.trace_id, merchant_id=merchant_id),
            traces.server_span(method.name, *caller, {"souk.merchant_id": merchant_id}),
        ):
            if isinstance(method, Stream):
                return await method.work(call, request, _sender(context))
            return await method.work(call, request)


def _read_metadata(
    metadata: Iterable[tuple[str, str | bytes]],
) -> tuple[str | None, str | bytes | None]:
    """Return the API key and the trace parent."""
    found: dict[str, str | bytes] = dict(metadata)
    return authentication.key_in(found), found.get(trace_context.TRACEPARENT)


async def _end(context: Context, outcome: Answer | None) -> bytes:
    """End a call with its error, or return the bytes of its answer; a stream has none."""
    if isinstance(outcome, status.Refused):
        await context.abort_with_status(rpc_status.to_status(outcome.proto))
    return outcome.SerializeToString() if isinstance(outcome, message.Message) else b""


def _sender(context: Context) -> Send:
    async def send(answer: message.Message) -> None:
        await context.write(answer.SerializeToString())

    return send
