"""What waits for a stage, over all the topics that it reads."""

from internal.infra import bus
from internal.pipeline.handler import Stage


async def messages(broker: bus.Bus, stage: Stage) -> int:
    """Count the messages that a stage has not acknowledged.

    Raises:
        BusAway: the broker cannot be reached.
        Misconfigured: one of the subscriptions does not exist.
    """
    return sum([await broker.backlog(topic, stage.subscription) for topic in stage.topics])
