"""Turns gRPC calls into calls for the middleware, and its outcomes into gRPC's answers.

Requests arrive as bytes, so that an unreadable one gets a typed answer, too. A handler begins with
the headers of its call, which gRPC only does for methods that take a stream; on the wire both kinds
are the same. So a call is counted, and its key checked, before its request has come.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import message
from grpc_status import rpc_status
from loguru import logger

from internal.api import calls, middleware, status

Context = Any
"""grpc.aio.ServicerContext; grpc ships no types."""


def handler_of(method: calls.Method, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    """Return the handler that runs a method's calls through the middleware."""
    if isinstance(method, calls.Stream):
        return _stream_handler(method, through)
    return _unary_handler(method, through)


def _unary_handler(method: calls.Unary, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    async def handle(_: object, context: Context) -> bytes:
        answer = await through.unary(method, _incoming(context))
        if isinstance(answer, status.Refused):
            return await _abort(context, answer)
        return answer.SerializeToString()

    return grpc.stream_unary_rpc_method_handler(handle)


def _stream_handler(method: calls.Stream, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    async def handle(_: object, context: Context) -> None:
        async def send(answer: message.Message) -> None:
            with ended_if_gone():
                await context.write(answer.SerializeToString())

        refused = await through.stream(method, _incoming(context), send)
        if refused:
            await _abort(context, refused)

    return grpc.stream_stream_rpc_method_handler(handle)


class _Request:
    """The one message of a call."""

    def __init__(self, context: Context) -> None:
        self._context, self._raw = context, b""

    async def arrived(self) -> bool:
        """See calls.Arrived."""
        raw = await self._context.read()
        if raw is grpc.aio.EOF:
            return False
        self._raw = raw
        return True

    def read(self, kind: type[message.Message]) -> bytes:
        """See calls.Read."""
        del kind
        return self._raw


def _incoming(context: Context) -> calls.IncomingCall:
    request = _Request(context)
    return calls.IncomingCall(
        _metadata(context.invocation_metadata()),
        request.read,
        context.time_remaining(),
        context.peer(),
        request.arrived,
        _when_done(asyncio.current_task()),
    )


def _when_done(task: asyncio.Task[Any] | None) -> calls.WhenSent:
    """Return the WhenSent of a call that runs in this task, which ends once the answer is sent.

    The context's own callbacks would keep each call in memory until the next garbage collection.
    """

    def when_sent(then: Callable[[], None]) -> None:
        if task:
            task.add_done_callback(lambda _: then())

    return when_sent


def _metadata(pairs: Iterable[tuple[str, str | bytes]]) -> dict[str, str | bytes]:
    """Return the headers by name; different values under one name are joined by commas."""
    found: dict[str, str | bytes] = {}
    for name, value in pairs:
        before = found.get(name, value)
        if isinstance(before, str) and isinstance(value, str) and before != value:
            found[name] = f"{before},{value}"
        else:
            found[name] = value
    return found


async def _abort(context: Context, refused: status.Refused) -> bytes:
    """End a call with an error. Never returns: gRPC leaves the handler by an exception."""
    with ended_if_gone():
        await context.abort_with_status(rpc_status.to_status(status.to_proto(refused)))
    return b""


@contextlib.contextmanager
def ended_if_gone() -> Iterator[None]:
    """Cancel the call, without an error, if its caller has gone."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError as error:
        logger.debug("the caller has gone: {}", error)
        raise asyncio.CancelledError from error
