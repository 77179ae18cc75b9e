"""The engine's process: API server, janitor, monitor and metrics on one event loop.

The embedded engine is all of Souk: the three functions run here, too, on a broker and a database of
its own. In the full engine the functions run in Pulsar's own runtime, and several processes like
this one may run side by side. An engine serves until it is drained or one of its parts fails. A
failed part ends the process, because every message it had not acknowledged comes again at the next
start.
"""

import asyncio
import contextlib
import errno
import gc
from collections.abc import AsyncIterator

import prometheus_client

from functions.finalization import Finalization, FinalizationHandler
from functions.order_processing import OrderHandler, OrderProcessing
from functions.payment_processing import PaymentHandler, PaymentProcessing
from internal.console import own_ports
from internal.flow import (
    backlogs,
    forgotten,
    holds,
    janitor,
    lookout,
    monitor,
    relay,
    retention,
    stalls,
    topics,
)
from internal.host import api, damage_watch, folder_guard
from internal.host import functions as hosting
from internal.infra import backends, db, settings, traces
from internal.infra import clock as system_clock
from internal.infra.data_folder import lock, space
from internal.kernel import errors
from internal.payments.gateways import registry
from internal.payments.gateways.port import Gateway
from internal.pipeline import handler
from internal.pipeline.function import PipelineFunction

DRAIN_LOOK_S = 0.02
EMBEDDED_LOOK_S = 0.25
"""The API server's count of what waits is 2,500 orders late at 10,000 a second, of the 50,000 that
may wait.
"""
FULL_LOOK_S = 2.0
"""Less often in the full engine, where a look is a request to the broker for each topic: one a
second cost the API server 9 of 118 us of processor time an order at 2,000 orders a second.
"""
DRAIN_S = 30.0
"""How long a drain waits for the stages; the rest is done at the next start."""


class Engine:
    """One running engine over one data folder."""

    def __init__(self, options: settings.Settings) -> None:
        self._options = options
        self.folder = options.storage.data_dir
        self._waiting = api.StageBacklog()
        self.port = 0
        """The port of the API server, once started."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets an exception when a part fails."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        """Start everything; drain and stop it on the way out.

        Raises:
            Misconfigured: the folder is in use, a port is taken, or the file is from a newer Souk.
            DatabaseDamaged: the database is damaged, missing, or older than it was.
        """
        with lock.held(self.folder, is_alone=self._is_embedded):
            async with contextlib.AsyncExitStack() as stack:
                await self._start(stack)
                gc.freeze()
                gc.set_threshold(handler.BATCH_OBJECTS_MAX)
                yield self

    @property
    def _is_embedded(self) -> bool:
        return self._options.storage.engine == "embedded"

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        stack.callback(traces.setup(self._options.traces, "souk"))
        space.measure(self.folder)
        guard = folder_guard.FolderGuard(self._options) if self._is_embedded else None
        if guard:
            stack.push(lambda _, error, __: self._end_guard(guard, error))
            await asyncio.to_thread(guard.require_usable)
        self.database, self.bus = await backends.opened(self._options, stack, self._watched)
        await self.bus.ensure(topics.subscriptions())
        if guard:
            await self._start_stages(stack)
            await guard.begin(self.database)
            stack.push_async_callback(self._note_end, guard)
            keeping = self._watch(asyncio.create_task(guard.keep(self.database)))
            stack.push_async_callback(_end, [keeping])
        await self._start_watches(stack)
        self._serve_metrics(stack)
        await self._open_server(stack)

    async def _start_stages(self, stack: contextlib.AsyncExitStack) -> None:
        options = self._options
        gateway = registry.open_gateway(options)
        stack.push_async_callback(gateway.close)
        tasks: list[asyncio.Task[None]] = []
        stack.push_async_callback(_end, tasks)
        ports = handler.Ports(
            self.database, self.bus, system_clock.SystemClock(), hosting.acknowledge_nothing
        )
        stage_limits = hosting.limits_of(options)
        for function, stage_handler in functions(gateway, options.gateway.timeout_s):
            unacked_max = options.stages.unacked_messages_max
            hosted = await hosting.host(self.bus, function, stage_handler, unacked_max)
            tasks.append(self._watch(asyncio.create_task(hosted.run(ports, stage_limits))))
        stack.push_async_callback(self._drain)

    async def _start_watches(self, stack: contextlib.AsyncExitStack) -> None:
        clock, options = system_clock.SystemClock(), janitor.options_of(self._options)
        watching = monitor.Monitor(self.database, clock)
        watchers = (watching, stalls.Stalls(self.bus, clock), self._waiting)
        look_every_s = EMBEDDED_LOOK_S if self._is_embedded else FULL_LOOK_S
        watches = (
            janitor.Janitor(self.database, self.bus, clock, options),
            holds.Holds(self.database, self.bus, clock, options.interval_s),
            watching,
            lookout.Lookout(self.bus, watchers, look_every_s),
            relay.Relay(self.database, self.bus, clock, self._options.pulsar.send_timeout_s),
            retention.Retention(self.database, clock, retention.options_of(self._options)),
            forgotten.ForgottenSubscriptions(
                self.bus, self._options.janitor.subscription_lag_max_s
            ),
        )
        running = [self._watch(asyncio.create_task(watch.run())) for watch in watches]
        stack.push_async_callback(_end, running)

    async def _catch_up(self) -> None:
        """Let the order stage record the orders answered OK before this start.

        A client that asks for such an order must not be told that it is unknown.
        """
        while not self.failed.done():
            if not await backlogs.messages(self.bus, topics.ORDER):
                return
            await asyncio.sleep(DRAIN_LOOK_S)
        await self.failed

    async def _open_server(self, stack: contextlib.AsyncExitStack) -> None:
        if self._is_embedded:
            await self._catch_up()
        keys = backends.open_key_database(self._options, self.database)
        if keys is not self.database:
            stack.push_async_callback(keys.close)
        server = api.make_server(self._options.intake, self.database, keys, self.bus, self._waiting)
        self.port = await server.open()
        stack.push_async_callback(server.close)
        running = self._watch(asyncio.create_task(server.run()))
        stack.push_async_callback(_end, [running])

    def _watch(self, task: "asyncio.Task[None]") -> "asyncio.Task[None]":
        """Fail the engine when this task fails."""
        task.add_done_callback(self._fail_with)
        return task

    async def _note_end(self, guard: folder_guard.FolderGuard) -> None:
        if not self.failed.done():
            await guard.note(self.database)

    def _end_guard(self, guard: folder_guard.FolderGuard, error: BaseException | None) -> None:
        guard.end(is_well=error is None and not self.failed.done())

    def _watched(self, database: db.Database) -> db.Database:
        """Fail the engine when anything finds that the database is damaged."""
        return damage_watch.DamageWatch(database, self._fail)

    def _fail_with(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # so that a start that fails by the same error says it once

    def _serve_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        options = self._options.metrics
        if options.port == 0:
            return
        try:
            server, thread = prometheus_client.start_http_server(options.port, options.host)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken = own_ports.taken("SOUK_METRICS__PORT", options.host, options.port)
                raise taken from error
            what = f"SOUK_METRICS__PORT: cannot listen on {options.host}:{options.port}: {error}"
            raise errors.Misconfigured(what) from error
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)

    async def _drain(self) -> None:
        """Wait until every stage has acknowledged all its messages."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self.failed.done() and await self._backlog():  # noqa: ASYNC110 - the bus has no event for this
                    await asyncio.sleep(DRAIN_LOOK_S)
        if self.failed.done():
            self.failed.exception()

    async def _backlog(self) -> int:
        counts = [await backlogs.messages(self.bus, stage) for stage in topics.STAGES]
        return sum(counts)


def functions(
    gateway: Gateway, gateway_timeout_s: float
) -> list[tuple[PipelineFunction, handler.StageHandler]]:
    """Return the three functions with their handlers."""
    return [
        (OrderProcessing(), OrderHandler()),
        (PaymentProcessing(), PaymentHandler(gateway, gateway_timeout_s)),
        (Finalization(), FinalizationHandler()),
    ]


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
