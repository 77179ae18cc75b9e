"""Builds the engine's API server, on the database and the bus, from the settings."""

from collections.abc import Sequence

from internal.api import api_keys, authentication, grpc_server, middleware, options
from internal.api.orders import quotes, readers, service
from internal.flow import topics
from internal.host import process
from internal.infra import bus, db, settings
from internal.infra import clock as system_clock


class StageBacklog:
    """How far the stages are behind, as the lookout saw it. Implements ports.Backlog."""

    def __init__(self) -> None:
        self._orders = self._unrecorded = 0

    def orders(self) -> int:
        """See ports.Backlog."""
        return self._orders

    def unrecorded(self) -> int:
        """See ports.Backlog."""
        return self._unrecorded

    async def see(self, found: Sequence[bus.Subscribed]) -> None:
        """Count the orders that wait; see lookout.Watcher."""
        self._orders = sum(it.orders for it in found)
        first = [it for it in found if topics.STAGE_OF[it.topic, it.name] is topics.ORDER]
        self._unrecorded = sum(it.orders for it in first)

    def miss(self) -> None:
        """Let the last count stand."""


def make_server(
    chosen: settings.IntakeSettings,
    database: db.Database,
    key_database: db.Database,
    broker: bus.Bus,
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
