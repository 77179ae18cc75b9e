"""The embedded host of the functions, which stands in for Pulsar's runtime in this process.

It calls `process(input, context)` for each message as the runtime does. It must not know what a
function does.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from internal.infra import bus, settings
from internal.pipeline import handler, runner
from internal.pipeline.function import PipelineFunction

RECEIVE_MESSAGES_MAX = 500
BATCH_ORDERS_MAX = 500
"""A stage's transaction runs on the loop here: 500 orders take it about 60 ms, and larger batches
measured no faster.
"""
BATCH_BYTES_MAX = 1024 * 1024


def limits_of(options: settings.Settings) -> handler.Limits:
    """Return the limits that the settings give, with batches that are small enough for the loop."""
    limits = handler.limits_of(options)
    return msgspec.structs.replace(
        limits,
        batch_orders_max=min(limits.batch_orders_max, BATCH_ORDERS_MAX),
        batch_bytes_max=min(limits.batch_bytes_max, BATCH_BYTES_MAX),
    )


class MessageContext(msgspec.Struct, frozen=True):
    """The part of the runtime's Context that Souk's functions use."""

    delivery: bus.Delivery

    @property
    def message(self) -> "MessageContext":
        """The message itself."""
        return self

    def data(self) -> bytes:
        """Return the payload of the message."""
        return self.delivery.payload

    def redelivery_count(self) -> int:
        """Return how often the message was delivered before."""
        return self.delivery.redeliveries

    def get_message_id(self) -> "MessageContext":
        """Return what acknowledges the message; its text is the broker's id."""
        return self

    def __str__(self) -> str:
        """Return the broker's id of the message."""
        return self.delivery.message_id

    def get_current_message_topic_name(self) -> str:
        """Return the topic of the message."""
        return self.delivery.topic

    def get_message_properties(self) -> dict[str, str]:
        """Return the properties of the message."""
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
            ExceptionGroup: an error escaped the stage; the process must end and be started again.
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
    """Subscribe a function to its topics."""
    spec = stage_handler.spec
    subscription = await broker.subscribe(
        spec.topics, spec.subscription, unacked_messages_max=unacked_messages_max
    )
    return Hosted(function, stage_handler, subscription)


async def acknowledge_nothing(_handles: Sequence[object]) -> None:
    """Acknowledge nothing: the value in the ports until a subscription replaces it."""
