"""A stage as a Pulsar Function: the only module that knows pulsar.Function.

The official runtime builds the class without arguments and calls `process` for each message, on one
thread; so does the embedded host. The constructor opens nothing (the runtime swallows what it
raises); there it only takes over the signals, which needs the main thread. The embedded host binds
a runner of its own; in the official runtime the first message starts one.
"""

import abc
import sys
from collections.abc import Callable
from typing import Any

import pulsar

from internal.infra import settings
from internal.infra.pulsar_bus import partitions
from internal.pipeline import handler, leaving, runner


class PipelineFunction(pulsar.Function):  # type: ignore[misc] # pulsar ships no types
    """Hands each message to its runner.

    MANUAL acknowledgement: the runner acknowledges when an order is done.
    """

    def __init__(self) -> None:
        if leaving.is_in_the_runtime():
            _live_in_the_runtime()
        self._take: Callable[[Any, handler.Incoming], None] | None = None

    @abc.abstractmethod
    def make_handler(self, options: settings.Settings) -> handler.StageHandler:
        """Make what is particular to this stage; the official runtime's host calls it once."""

    def bind(self, running: runner.Runner) -> None:
        """Connect the function with the runner its host made for it."""
        self._take = lambda _context, incoming: running.offer(incoming)

    def process(self, input: Any, context: Any) -> None:  # noqa: A002, ANN401 - the runtime's names
        """Take one message; nothing is returned, because the stage publishes by itself.

        `input` is not used: without a schema the runtime makes a text of it, or even a number.
        """
        del input
        if self._take is None:
            self._take = self._start(context)
        self._take(context, _incoming(context))

    def _start(self, context: Any) -> Callable[[Any, handler.Incoming], None]:  # noqa: ANN401 - as above
        """Start a runner of its own; only here is what only the official runtime needs loaded."""
        from internal.pipeline import runtime  # noqa: PLC0415

        return runtime.start(self.make_handler, context)


def _live_in_the_runtime() -> None:
    """See to the process's life and end; called on the main thread, before it takes anything."""
    from internal.pipeline import health_checks  # noqa: PLC0415 - only there

    leaving.DEPARTURE.watch()
    health_checks.start(sys.argv)


def _incoming(context: Any) -> handler.Incoming:  # noqa: ANN401 - the runtime's
    message, topic = context.message, context.get_current_message_topic_name()
    message_id = context.get_message_id()
    return handler.Incoming(
        partitions.NAME_END.sub("", topic.rpartition("/")[2]),  # as Souk knows it
        message.data(),
        (message_id, topic),
        message_id=str(message_id),
        redeliveries=message.redelivery_count(),
    )


class Bytes(pulsar.functions.serde.SerDe):  # type: ignore[misc] # pulsar ships no types
    """Leaves a message as it is.

    The runtime's own way tries to read an int, a float, a complex number and a text from each.
    """

    def serialize(self, input: bytes) -> bytes:  # noqa: A002 - the interface's name
        """Return what was given."""
        return input

    def deserialize(self, input_bytes: bytes) -> bytes:
        """Return what was given."""
        return input_bytes
