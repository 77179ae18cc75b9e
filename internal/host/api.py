"""Puts the gRPC door into the engine.

Its ports over the database and the bus, its options from the settings.
"""

import asyncio
import contextlib

from internal.api import api_keys, grpc_server, options
from internal.api.orders import quotes, readers
from internal.flow import topics
from internal.infra import bus, db, settings
from internal.infra import clock as system_clock
from internal.kernel import errors


class StageBacklog:
    """Knows how far the order stage is behind. Implements the door's Backlog."""

    def __init__(self, broker: bus.CountingBus, look_every_s: float) -> None:
        self._bus, self._look_every_s = broker, look_every_s
        self._orders = 0

    def orders(self) -> int:
        """See ports.Backlog."""
        return self._orders

    async def run(self) -> None:
        """Look again and again; while the broker is away, what was seen last is as good."""
        stage = topics.ORDER
        while True:
            with contextlib.suppress(errors.BusAway):
                self._orders = await self._bus.backlog_orders(stage.topic, stage.subscription)
            await asyncio.sleep(self._look_every_s)


def make_door(
    chosen: settings.IntakeSettings,
    database: db.Database,
    broker: bus.CountingBus,
    backlog: StageBacklog,
) -> grpc_server.GrpcServer:
    """Make a door; it is not open yet."""
    recorded = readers.DatabaseOrders(database)
    outside = grpc_server.Dependencies(
        bus=broker,
        authenticator=api_keys.DatabaseKeys(database),
        recorded=recorded,
        views=recorded,
        quoter=quotes.DatabaseQuotes(database),
        backlog=backlog,
        clock=system_clock.SystemClock(),
    )
    return grpc_server.GrpcServer(outside, _options(chosen))


def _options(chosen: settings.IntakeSettings) -> options.Options:
    tls = None
    if chosen.tls_certificate_file and chosen.tls_key_file:
        tls = options.Tls(
            chosen.tls_certificate_file, chosen.tls_key_file, chosen.tls_client_ca_file
        )
    return options.Options(
        host=chosen.host,
        port=chosen.port,
        tls=tls,
        reflection=chosen.reflection,
        drain_s=chosen.drain_s,
        limits=options.Limits(backlog_orders_max=chosen.backlog_orders_max),
    )
