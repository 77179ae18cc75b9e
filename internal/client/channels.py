"""The connections of one client: another is opened when many calls are open on each.

A server takes a limited number of calls on a connection. Beyond it they wait in this process, and
some are sent back unseen, so a busy client needs several connections.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from internal.client import access as client_access
from internal.wire.souk.v1 import (
    order_service_pb2,
    order_service_pb2_grpc,
    payment_service_pb2_grpc,
)

REPLY_BYTES_MAX = 32 * 1024 * 1024
"""A page of 500 orders takes about 100 KiB, the verdicts on 1,000 orders about as much."""
CALLS_MAX = 100
"""Calls on a connection before another is opened; the server takes 250."""
CHANNELS_MAX = 32

_PREFIX = "/souk.v1.OrderService/"


class Channel:
    """One connection, and the methods on it."""

    def __init__(self, access: client_access.Access) -> None:
        """Make the channel; nothing is sent before the first call."""
        options = [
            ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
            ("grpc.max_send_message_length", REPLY_BYTES_MAX),
            # Two channels in one process must not share a connection without knowing.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        credentials = client_access.credentials(access)
        if credentials:
            channel = grpc.aio.secure_channel(access.target, credentials, options)
        else:
            channel = grpc.aio.insecure_channel(access.target, options)
        self.open_calls = 0
        self.channel: Any = channel
        self.stub: Any = order_service_pb2_grpc.OrderServiceStub(channel)  # type: ignore[no-untyped-call]
        self.payments: Any = payment_service_pb2_grpc.PaymentServiceStub(channel)  # type: ignore[no-untyped-call]
        # These take bytes, so that a caller can serialize its requests before it measures.
        self.submit: Any = channel.unary_unary(
            f"{_PREFIX}SubmitOrder",
            response_deserializer=order_service_pb2.SubmitOrderResponse.FromString,
        )
        self.submit_many: Any = channel.unary_unary(
            f"{_PREFIX}SubmitOrders",
            response_deserializer=order_service_pb2.SubmitOrdersResponse.FromString,
        )


class Channels:
    """All connections of a client."""

    def __init__(self, access: client_access.Access) -> None:
        """Make the first channel.

        Raises:
            Misconfigured: half of a certificate was named, or a PEM file cannot be read.
        """
        self._access = access
        self._channels = [Channel(access)]

    @contextlib.contextmanager
    def one(self) -> Iterator[Channel]:
        """Lend the connection with the fewest open calls, for one call."""
        chosen = min(self._channels, key=lambda channel: channel.open_calls)
        if chosen.open_calls >= CALLS_MAX and len(self._channels) < CHANNELS_MAX:
            chosen = Channel(self._access)
            self._channels.append(chosen)
        chosen.open_calls += 1
        try:
            yield chosen
        finally:
            chosen.open_calls -= 1

    async def aclose(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            await channel.channel.close()
