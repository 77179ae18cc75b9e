"""The embedded host of the functions: the official runtime's part, in this process.

It calls `process(input, context)` for each message like the runtime does, and knows nothing of what
a function is for.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from internal.infra import bus
from internal.pipeline import handler, runner
from internal.pipeline.function import PipelineFunction

RECEIVE_MESSAGES_MAX = 500


class MessageContext(msgspec.Struct, frozen=True):
    """What the runtime's Context tells a function about the message at hand.

    As far as Souk's functions ask.
    """

    delivery: bus.Delivery

    @property
    def message(self) -> "MessageContext":
        """The message itself."""
        return self

    def data(self) -> bytes:
        """Return its payload."""
        return self.delivery.payload

    def redelivery_count(self) -> int:
        """Return how often it came before."""
        return self.delivery.redeliveries

    def get_message_id(self) -> "MessageContext":
        """Return what acknowledges the message; as a text it is the broker's name for it."""
        return self

    def __str__(self) -> str:
        """Return the broker's name for the message."""
        return self.delivery.message_id

    def get_current_message_topic_name(self) -> str:
        """Return the topic it came from."""
        return self.delivery.topic

    def get_message_properties(self) -> dict[str, str]:
        """Return its properties."""
        return dict(self.delivery.properties)


class Hosted:
    """One function with its subscription and its runner."""

    def __init__(
        self,
        function: PipelineFunction,
        stage_handler: handler.StageHandler,
        subscription: bus.Subscription,
    ) -> None:
        self._function, self._handler, self._subscription = function, stage_handler, subscription

    async def run(self, ports: handler.Ports, limits: handler.Limits) -> None:
        """Feed the function until cancelled.

        Raises:
            ExceptionGroup: something escaped the stage; the process must end and be started again.
        """
        ports = msgspec.structs.replace(ports, acknowledge=self._acknowledge)
        running = runner.Runner(self._handler, ports, limits)
        self._function.bind(running)
        async with asyncio.TaskGroup() as group:
            group.create_task(running.run(), name=self._handler.spec.name)
            group.create_task(self._feed(), name=f"{self._handler.spec.name} feed")

    async def _feed(self) -> None:
        while True:
            for delivery in await self._subscription.receive(RECEIVE_MESSAGES_MAX):
                self._function.process(delivery.payload, MessageContext(delivery))

    async def _acknowledge(self, handles: Sequence[tuple[MessageContext, str]]) -> None:
        await self._subscription.acknowledge([context.delivery for context, _ in handles])


async def host(
    broker: bus.Bus,
    function: PipelineFunction,
    stage_handler: handler.StageHandler,
    unacked_messages_max: int,
) -> Hosted:
    """Subscribe a function to its topic."""
    spec = stage_handler.spec
    subscription = await broker.subscribe(
        [spec.topic], spec.subscription, unacked_messages_max=unacked_messages_max
    )
    return Hosted(function, stage_handler, subscription)


async def nobody(_handles: Sequence[object]) -> None:
    """Acknowledge nothing: stands in the ports until a subscription takes its place."""
