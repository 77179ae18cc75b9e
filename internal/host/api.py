"""Builds the engine's API server, on the database and the bus, from the settings."""

import asyncio
import contextlib

from internal.api import api_keys, authentication, grpc_server, middleware, options
from internal.api.orders import quotes, readers, service
from internal.flow import backlogs, topics
from internal.host import process
from internal.infra import bus, db, settings
from internal.infra import clock as system_clock
from internal.kernel import errors


class StageBacklog:
    """Knows how far the order stage is behind. Implements ports.Backlog of the order service."""

    def __init__(self, broker: bus.CountingBus, look_every_s: float) -> None:
        self._bus, self._look_every_s = broker, look_every_s
        self._orders = 0

    def orders(self) -> int:
        """See ports.Backlog."""
        return self._orders

    async def run(self) -> None:
        """Keep looking; while the broker is away, the last count stands."""
        while True:
            with contextlib.suppress(errors.BusAway):
                self._orders = await backlogs.orders(self._bus, topics.ORDER)
            await asyncio.sleep(self._look_every_s)


def make_server(
    chosen: settings.IntakeSettings,
    database: db.Database,
    key_database: db.Database,
    broker: bus.CountingBus,
    backlog: StageBacklog,
) -> grpc_server.GrpcServer:
    """Make a server; it is not open yet.

    API keys are looked up in `key_database`, so that no other read can keep callers out.
    """
    serving = _options(chosen)
    limits = serving.limits
    recorded = readers.DatabaseOrders(database, limits.read_max_s)
    dependencies = service.Dependencies(
        bus=broker,
        recorded=recorded,
        views=recorded,
        quoter=quotes.DatabaseQuotes(database, limits.read_max_s),
        backlog=backlog,
    )
    source = api_keys.DatabaseKeys(key_database, limits.read_max_s)
    keys = authentication.CachedAuthenticator(source, limits)
    through = middleware.Middleware(keys, system_clock.SystemClock(), limits)
    orders = service.OrderService(dependencies, limits)
    return grpc_server.GrpcServer(orders, through, serving)


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
        idle_s=chosen.idle_s,
        age_s=chosen.age_s,
        limits=options.Limits(
            backlog_orders_max=chosen.backlog_orders_max,
            connections_max=process.connections_max(chosen.connections_max),
        ),
    )
