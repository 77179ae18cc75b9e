"""The gRPC server: binds the port, serves, and drains before it closes.

Draining: health says NOT_SERVING, waiting calls are answered with what is known, new calls are
refused, open calls may end, and orders still in memory are sent to the broker.
"""

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from loguru import logger

from internal.api import calls, grpc_adapter, metrics, middleware, options
from internal.api.limits import connections
from internal.api.orders import service
from internal.api.payments import service as payment_service
from internal.console import own_ports
from internal.kernel import errors

PROBE_TIMEOUT_MS = 20_000
FLUSH_S = 1.0
"""For orders whose callers gave up: they may still be sent, or be sent again by their merchant."""
METADATA_BYTES_MAX = 16 * 1024
PENDING_CALLS_MAX = 32_768
"""Calls that have arrived and that no handler has seen yet. The library drops further ones without
a reason, so this is far above our own limits, which answer with one.
"""
GREETING_MS = 10_000
"""A connection that has not begun to speak HTTP/2, or TLS, after this time is closed."""


class GrpcServer:
    """One gRPC server. `open`, then `run` for as long as it serves, then `close`."""

    def __init__(
        self,
        orders: service.OrderService,
        through: middleware.Middleware,
        chosen: options.Options,
    ) -> None:
        self._orders, self._middleware, self._options = orders, through, chosen
        self._payments = payment_service.PaymentService(orders.shared)
        self._health = health.aio.HealthServicer()
        self._running: asyncio.Task[None] | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._server: Any = None

    async def open(self) -> int:
        """Start serving; return the port.

        Raises:
            Misconfigured: the port is taken, or a certificate's file cannot be used.
        """
        self._server = self._build()
        port = self._bind()
        self._running = asyncio.create_task(self._orders.run(), name="intake notifier")
        self._watching = [
            asyncio.create_task(self._middleware.run(), name="intake connections"),
            asyncio.create_task(connections.keep_counted(port), name="intake connections counted"),
        ]
        await self._server.start()
        for name, _ in self._services():
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        logger.info("gRPC intake on {}:{}", self._options.host, port)
        return port

    async def close(self) -> None:
        """Drain and stop: every order that was answered OK is sent, and every call is answered."""
        await self._health.enter_graceful_shutdown()
        self._orders.stop_waiting()
        await self._server.stop(self._options.drain_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._orders.drain()
        tasks = [*self._watching, *([self._running] if self._running else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        logger.info("gRPC intake closed")

    async def run(self) -> None:
        """Serve until it cannot any more, and raise why."""
        if self._running:
            await asyncio.shield(self._running)

    def _services(self) -> list[tuple[str, list[calls.Method]]]:
        """Return every service, by name, with its methods."""
        return [
            (service.NAME, self._orders.methods()),
            (payment_service.NAME, self._payments.methods()),
        ]

    def _build(self) -> Any:  # noqa: ANN401 - grpc ships no types
        metrics.CONNECTIONS_MAX.set(self._options.limits.connections_max)
        server = grpc.aio.server(options=_channel_options(self._options))
        for name, methods in self._services():
            handlers = {
                method.name: grpc_adapter.handler_of(method, self._middleware) for method in methods
            }
            # Registered methods have a queue each: a burst of one does not delay another's calls.
            server.add_registered_method_handlers(name, handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._options.reflection:
            names = (
                service.NAME,
                payment_service.NAME,
                health.SERVICE_NAME,
                reflection.SERVICE_NAME,
            )
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
            raise self._not_bound() or errors.Misconfigured(
                f"intake: cannot listen on {address}: {error}"
            ) from error
        return int(port)

    def _not_bound(self) -> errors.Misconfigured | None:
        """Return why the address cannot be listened on: gRPC does not say it."""
        host, port = self._options.host, self._options.port
        try:
            with socket.create_server((host.strip("[]"), port)):
                return None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return own_ports.taken("SOUK_INTAKE__PORT", host, port)
            return errors.Misconfigured(
                f"SOUK_INTAKE__HOST: no listening on {host}:{port}: {os.strerror(error.errno or 0)}"
            )


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
    keepalive_ms, limits = round(chosen.keepalive_s * 1_000), chosen.limits
    return [
        ("grpc.max_receive_message_length", limits.request_bytes_max),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", limits.connection_calls_max),
        ("grpc.max_allowed_incoming_connections", limits.connections_max),
        ("grpc.server_handshake_timeout_ms", GREETING_MS),
        ("grpc.max_connection_idle_ms", round(chosen.idle_s * 1_000)),
        ("grpc.max_connection_age_ms", round(chosen.age_s * 1_000)),
        ("grpc.max_connection_age_grace_ms", round(chosen.age_grace_s * 1_000)),
        ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
        ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", PROBE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", keepalive_ms // 2),
        ("grpc.so_reuseport", 0),
    ]
