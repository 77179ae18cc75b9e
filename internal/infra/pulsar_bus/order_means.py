"""How many orders the messages of each topic hold on average, as far as this process has seen them.

The broker counts messages only, so what waits in them is estimated.
"""

from collections.abc import Mapping

from internal.infra import bus

LATELY_MESSAGES = 2_000
"""How far back a mean reaches: older messages count less and less."""


class OrderMeans:
    """A mean for each topic."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}
        """Messages and orders, by topic."""

    def note(self, topic: str, properties: Mapping[str, str]) -> None:
        """Count a message by its properties."""
        messages, orders = self._seen.get(topic, (0, 0))
        messages, orders = messages + 1, orders + bus.orders_in(properties)
        if messages >= LATELY_MESSAGES:
            messages, orders = messages // 2, orders // 2
        self._seen[topic] = messages, orders

    def of(self, topic: str) -> float:
        """Return the mean of a topic's messages; 1 if none was seen."""
        messages, orders = self._seen.get(topic, (1, 1))
        return orders / messages
