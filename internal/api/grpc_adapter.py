"""Turns gRPC calls into calls for the middleware, and its outcomes into gRPC's answers.

Requests arrive as bytes, so that an unreadable one gets a typed answer, too.
"""

from typing import Any

import grpc
from google.protobuf import message
from grpc_status import rpc_status

from internal.api import calls, middleware, status

Context = Any
"""grpc.aio.ServicerContext; grpc ships no types."""


def handler_of(method: calls.Method, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    """Return the handler that runs a method's calls through the middleware."""
    if isinstance(method, calls.Stream):
        return _stream_handler(method, through)
    return _unary_handler(method, through)


def _unary_handler(method: calls.Unary, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    async def handle(raw: bytes, context: Context) -> bytes:
        answer = await through.unary(method, _incoming(raw, context))
        del raw  # an abort's traceback would keep it until the next garbage collection
        if isinstance(answer, status.Refused):
            return await _abort(context, answer)
        return answer.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(handle)


def _stream_handler(method: calls.Stream, through: middleware.Middleware) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
    async def handle(raw: bytes, context: Context) -> None:
        async def send(answer: message.Message) -> None:
            await context.write(answer.SerializeToString())

        refused = await through.stream(method, _incoming(raw, context), send)
        del raw  # as above
        if refused:
            await _abort(context, refused)

    return grpc.unary_stream_rpc_method_handler(handle)


def _incoming(raw: bytes, context: Context) -> calls.IncomingCall:
    def read(_: type[message.Message]) -> bytes:
        return raw

    return calls.IncomingCall(dict(context.invocation_metadata()), read, context.time_remaining())


async def _abort(context: Context, refused: status.Refused) -> bytes:
    """End a call with an error. Never returns: gRPC leaves the handler by an exception."""
    await context.abort_with_status(rpc_status.to_status(status.to_proto(refused)))
    return b""
