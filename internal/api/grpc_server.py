"""Builds the gRPC door, opens it and closes it gracefully.

Closing: health says NOT_SERVING, whoever waits is answered with what is known, no new call is let
in, those under way may end, and what the desk still holds goes to the broker.
"""

import asyncio
import contextlib
from typing import Any

import grpc
import msgspec
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from loguru import logger

from internal.api import authentication, middleware, options
from internal.api.orders import (
    cancel,
    notifier,
    order_loader,
    ports,
    recent_orders,
    service,
    submission_batcher,
    submit,
    watch,
)
from internal.kernel import errors
from internal.kernel.clock import Clock

PROBE_TIMEOUT_MS = 20_000
CONNECTION_STREAMS_MAX = 1_000
FLUSH_S = 1.0
"""For orders whose callers gave up: they may still go out, or be sent again by their merchant."""
METADATA_BYTES_MAX = 16 * 1024


class Dependencies(msgspec.Struct, frozen=True):
    """The rest of the house, as the door sees it."""

    bus: ports.Messages
    authenticator: ports.Authenticator
    recorded: ports.RecordedOrders
    views: ports.OrderViews
    quoter: ports.Quoter
    backlog: ports.Backlog
    clock: Clock


class GrpcServer:
    """One gRPC server. `open`, then `run` for as long as it serves, then `close`."""

    def __init__(self, outside: Dependencies, chosen: options.Options) -> None:
        limits = chosen.limits
        remembered = recent_orders.RecentOrders(limits.backlog_orders_max)
        looks = order_loader.OrderLoader(outside.views, remembered)
        self._options = chosen
        self._hub = notifier.OrderNotifier(outside.bus)
        self._desk = submission_batcher.SubmissionBatcher(
            outside.bus, outside.recorded, remembered, limits
        )
        follower = watch.Follower(looks, self._hub, limits)
        rooms = service.Rooms(
            submitter=submit.Submitter(self._desk, follower, outside.backlog, limits),
            canceller=cancel.Canceller(outside.bus, follower),
            follower=follower,
            views=outside.views,
            quoter=outside.quoter,
        )
        authenticator = authentication.CachedAuthenticator(outside.authenticator, limits)
        self._guard = middleware.Guard(authenticator, outside.clock, limits)
        self._service = service.OrderService(rooms)
        self._health = health.aio.HealthServicer()
        self._listening: asyncio.Task[None] | None = None
        self._server: Any = None

    async def open(self) -> int:
        """Start serving; return the port.

        Raises:
            Misconfigured: the port is taken, or a certificate's file cannot be used.
        """
        self._server = self._build()
        port = self._bind()
        self._listening = asyncio.create_task(self._hub.run(), name="intake hub")
        await self._server.start()
        await self._health.set(service.NAME, health_pb2.HealthCheckResponse.SERVING)
        logger.info("gRPC intake on {}:{}", self._options.host, port)
        return port

    async def close(self) -> None:
        """Drain: nothing that was answered OK is lost, and nobody is left without an answer."""
        await self._health.enter_graceful_shutdown()
        self._hub.close()
        await self._server.stop(self._options.drain_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._desk.drain()
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        logger.info("gRPC intake closed")

    @property
    def open_orders(self) -> int:
        """Count the orders on their way to the broker."""
        return self._desk.open_orders

    @property
    def has_waiting_clients(self) -> bool:
        """Tell whether anybody waits for an order."""
        return self._hub.has_bells

    async def run(self) -> None:
        """Return only when the door cannot do its work any more, by raising why."""
        if self._listening:
            await asyncio.shield(self._listening)

    def _build(self) -> Any:  # noqa: ANN401 - grpc ships no types
        limits = self._options.limits
        server = grpc.aio.server(
            options=_channel_options(self._options),
            maximum_concurrent_rpcs=2 * (limits.calls_max + limits.watches_max),
        )
        handlers = {
            method.name: self._guard.stream(method)
            if isinstance(method, middleware.Stream)
            else self._guard.unary(method)
            for method in self._service.methods()
        }
        generic = grpc.method_handlers_generic_handler(service.NAME, handlers)
        server.add_generic_rpc_handlers((generic,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._options.reflection:
            names = (service.NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server

    def _bind(self) -> int:
        address = f"{self._options.host}:{self._options.port}"
        try:
            if self._options.tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(self._options.tls))
        except RuntimeError as error:
            raise errors.Misconfigured(f"intake: cannot listen on {address}: {error}") from error
        return int(port)


def _credentials(tls: options.Tls) -> Any:  # noqa: ANN401 - grpc ships no types
    try:
        pair = (tls.key_file.read_bytes(), tls.certificate_file.read_bytes())
        ca = tls.client_ca_file.read_bytes() if tls.client_ca_file else None
    except OSError as error:
        raise errors.Misconfigured(f"intake: a TLS file cannot be read: {error}") from error
    return grpc.ssl_server_credentials(
        [pair], root_certificates=ca, require_client_auth=ca is not None
    )


def _channel_options(chosen: options.Options) -> list[tuple[str, int]]:
    keepalive_ms = round(chosen.keepalive_s * 1_000)
    return [
        ("grpc.max_receive_message_length", chosen.limits.request_bytes_max),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", CONNECTION_STREAMS_MAX),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", PROBE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", keepalive_ms // 2),
        ("grpc.so_reuseport", 0),
    ]
