"""A stage as a Pulsar Function: the only module that knows pulsar.Function.

The official runtime builds the class without arguments and calls `process` for each message, on one
thread; so does the embedded host. The constructor opens nothing (the runtime swallows what it
raises); the host binds the runner.
"""

from typing import Any

import pulsar

from internal.kernel import errors
from internal.pipeline import stage


class PipelineFunction(pulsar.Function):  # type: ignore[misc] # pulsar ships no types
    """Hands each message to its runner.

    MANUAL acknowledgement: the runner acknowledges when an order is done.
    """

    def __init__(self) -> None:
        self._runner: stage.Runner | None = None

    def bind(self, runner: stage.Runner) -> None:
        """Connect the function with the runner its host made for it."""
        self._runner = runner

    def process(self, input: bytes, context: Any) -> None:  # noqa: A002, ANN401 - the runtime's names
        """Take one message; nothing is returned, because the stage publishes by itself.

        Raises:
            Misconfigured: no host has bound a runner.
        """
        if self._runner is None:
            raise errors.Misconfigured(f"{type(self).__name__} runs without a host")
        topic = context.get_current_message_topic_name()
        handle = context.get_message_id()
        self._runner.offer(stage.Incoming(topic, input, handle))
