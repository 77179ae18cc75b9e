"""What waits for a stage counts over all the topics that it reads."""

from internal.flow import backlogs, topics
from internal.infra import bus
from tests.support import ports


class Broker(ports.MemoryPublisher):
    """A broker with some messages, by topic."""

    def __init__(self, **waiting: int) -> None:
        super().__init__()
        self._waiting = {name.replace("_", "."): count for name, count in waiting.items()}

    async def backlog(self, topic: str, subscription: str) -> int:
        """See Bus.backlog."""
        return self._waiting.get(topic, 0) if subscription == topics.ORDER.subscription else -1


async def test_messages_of_all_topics_count() -> None:
    broker: bus.Bus = Broker(orders_placed=3, orders_commands=4, orders_paid=9)  # type: ignore[assignment] # it is asked for no more
    assert await backlogs.messages(broker, topics.ORDER) == 7


async def test_without_messages_nothing_waits() -> None:
    broker: bus.Bus = Broker()  # type: ignore[assignment] # as above
    assert await backlogs.messages(broker, topics.ORDER) == 0
