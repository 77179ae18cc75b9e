"""A stage inside the official Pulsar Functions runtime: its thread, its loop, its way out.

The runtime gives one thread that calls `process`, and a context. Everything that awaits runs here,
on an event loop in a thread of its own. An exception that escapes from it ends the process: an
instance whose loop is dead would look healthy and keep its messages forever.

Settings come from the environment of the functions worker (SOUK_CONFIG names a file): what stands
in a function's userConfig is visible in the list of processes.
"""

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import uvloop
from loguru import logger

from internal.infra import (
    clock,
    failpoints,
    fixed_settings,
    instance_metrics,
    logs,
    retry,
    settings,
    traces,
)
from internal.infra.mysql import database as mysql
from internal.infra.pulsar_bus import driver, publisher
from internal.kernel import errors
from internal.pipeline import finishing, handler, leaving, probe

if TYPE_CHECKING:
    import loguru

EXIT_ESCAPED = 70
"""Something escaped the stage (EX_SOFTWARE); the functions worker starts the instance again."""
EXIT_MISCONFIGURED = 78
CLOSE_S = 1.0
"""How long the last acknowledgements may take; the broker may be away."""
SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets the thread that calls `process` hold up the loop."""

MakeHandler = Callable[[settings.Settings], handler.StageHandler]
Handle = tuple[Any, str]
"""A message's id and the full name of its topic, which together acknowledge it."""


def start(
    make_handler: MakeHandler,
    context: Any,  # noqa: ANN401 - the runtime's
) -> Callable[[Any, handler.Incoming], None]:
    """Start a stage for the instance that this context belongs to; return what takes its messages.

    Ends the process when a setting is wrong: the reason then stands in the function's log.
    """
    _log_to_the_runtime(settings.LogSettings())
    try:
        options = settings.load()
        _log_to_the_runtime(options.log)
        failpoints.arm(failpoints.from_environment())
        name, number = context.get_function_name(), context.get_instance_id()
        instance_metrics.name_instance(str(name), str(number))
        traces.setup(options.traces, f"souk-{name}")
        hosted = Hosted(make_handler, options, context)
    except BaseException as error:  # noqa: BLE001 - the runtime would go on with a function that cannot work
        _end(error)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    hosted.start()
    gc.freeze()
    gc.set_threshold(handler.BATCH_OBJECTS_MAX)
    return hosted.take


class Hosted:
    """One stage on its own thread."""

    def __init__(
        self,
        make_handler: MakeHandler,
        options: settings.Settings,
        context: Any,  # noqa: ANN401 - the runtime's
    ) -> None:
        self._make_handler, self._options, self._context = make_handler, options, context
        self._name = str(context.get_function_name())
        self._client = context.get_pulsar_client()
        self._loop = uvloop.new_event_loop()
        self._handed: deque[handler.Incoming] = deque()
        self._is_waking = False
        self._runner: finishing.FinishingRunner | None = None
        self._is_serving = asyncio.Event()
        self._is_leaving, self._closing = False, threading.Event()
        self._places = threading.Semaphore(options.stages.unacked_messages_max)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Start the thread; it leaves, and ends the process, when this is asked to leave."""
        self._thread.start()
        leaving.DEPARTURE.begin_with(self.leave)

    def leave(self) -> None:
        """Take nothing more, finish, and end the process; a second call hurries. On any thread."""
        self._is_leaving = True
        self._loop.call_soon_threadsafe(self._pass_on_leave)

    def take(self, context: Any, incoming: handler.Incoming) -> None:  # noqa: ANN401 - the runtime's
        """Take a message, on the runtime's thread.

        Waits while unacked_messages_max are out, and in a process that leaves; the broker then
        keeps the rest.
        """
        if self._is_leaving:
            self._closing.wait()
            return
        token = context.get_message_properties().get(probe.PROPERTY)
        if token is not None:
            asyncio.run_coroutine_threadsafe(self._answer(token, incoming), self._loop)
            return
        self._places.acquire()
        self._handed.append(incoming)
        if not self._is_waking:
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._is_waking = False  # first: what is handed in from now on wakes the loop again
        while self._runner and self._handed:
            self._runner.offer(self._handed.popleft())

    def _pass_on_leave(self) -> None:
        if self._runner:
            self._runner.leave()

    def _run(self) -> None:
        try:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - all of them end the process
            _end(error)
        leaving.exit_process()

    async def _serve(self) -> None:
        stage_handler = self._make_handler(self._options)
        self._database = mysql.MysqlDatabase(self._options.mysql)
        await retry.until_it_works(self._name, self._require_fixed_settings)
        ports = handler.Ports(
            self._database,
            publisher.PulsarPublisher(self._client, self._options.pulsar, self._options.topics),
            clock.SystemClock(),
            self._acknowledge,
        )
        limits = handler.limits_of(self._options)
        self._runner = finishing.FinishingRunner(stage_handler, ports, limits)
        if self._is_leaving:
            self._runner.leave()
        self._is_serving.set()
        self._hand_over()
        await self._runner.run()
        await self._close()

    async def _require_fixed_settings(self) -> None:
        topics = self._options.topics
        await self._database.read(lambda connection: fixed_settings.require(connection, topics))

    async def _close(self) -> None:
        """Close the client, which sends the last acknowledgements."""
        closed = asyncio.Event()
        self._closing.set()  # the client waits for the thread that hands over its messages

        def close() -> None:
            driver.close_quietly(self._client)
            self._loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="closing", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await closed.wait()

    async def _acknowledge(self, handles: Sequence[Handle]) -> None:
        """Tell the broker; it takes them as they come, without a receipt.

        Raises:
            BusAway: the consumer is gone; its messages come again.
        """
        acknowledge = self._context.ack
        try:
            for message_id, topic in handles:
                acknowledge(message_id, topic)
        except Exception as error:
            raise errors.BusAway(f"not acknowledged: {error}") from error
        self._places.release(len(handles))

    async def _answer(self, token: str, incoming: handler.Incoming) -> None:
        """Answer a probe: the database is there, and so is the way to the broker."""
        instance = probe.Instance(
            self._name,
            str(self._context.get_instance_id()),
            str(self._context.get_function_version()),
        )
        await self._is_serving.wait()
        try:
            await self._database.read(probe.look)
            await asyncio.to_thread(
                probe.answer, self._client, self._options.pulsar, token, instance
            )
        except Exception as error:  # noqa: BLE001 - the missing answer tells the caller
            logger.opt(exception=error).error("a probe was not answered")
        self._context.ack(*incoming.handle)


def _log_to_the_runtime(options: settings.LogSettings) -> None:
    """Write our lines into the instance's own log."""
    runtime_log = logging.getLogger()

    def write(message: "loguru.Message") -> None:
        runtime_log.log(message.record["level"].no, message.rstrip("\n"))

    logs.setup(options, write)


def _end(error: BaseException) -> NoReturn:
    """End the process at once: its messages go to other instances."""
    logger.opt(exception=error).critical("the stage cannot go on")
    traceback.print_exception(error)
    is_said = isinstance(error, errors.Misconfigured | errors.DatabaseDamaged)
    os._exit(EXIT_MISCONFIGURED if is_said else EXIT_ESCAPED)
