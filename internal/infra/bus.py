"""The bus as a port, with Pulsar's semantics: topics, durable subscriptions, keys, acknowledgement by message.

- A message is kept for every durable subscription of its topic until that subscription acknowledged it; without
  any durable subscription it is not kept. Create subscriptions before messages flow.
- What a subscription received and did not acknowledge comes back when it is closed or its process dies.
- Messages of one key arrive in the order of publishing. Delivery is at least once.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Outgoing(msgspec.Struct, frozen=True):
    """A message to be published."""

    topic: str
    key: str
    payload: bytes
    properties: Mapping[str, str] = {}


class Delivery(msgspec.Struct, frozen=True):
    """A message as it arrived. `message_id` is opaque and unique within its topic."""

    topic: str
    message_id: str
    key: str
    payload: bytes
    properties: Mapping[str, str]
    redeliveries: int = 0


class Publisher(Protocol):
    """Puts messages on topics."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return once the broker holds every message durably.

        Raises:
            BusAway: no receipt for at least one of them; publishing all again is safe for the readers.
        """
        ...


class Subscription(Protocol):
    """A place in a topic's stream. At most `unacked_messages_max` are out at any time."""

    async def receive(self, messages_max: int) -> list[Delivery]:
        """Wait for at least one message; return 1..messages_max of them, oldest first."""
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Give up the claim to these messages. May be persisted a little later (they may come again)."""
        ...

    async def close(self) -> None:
        """Leave. What was not acknowledged goes to the next subscriber of the same name."""
        ...


class Bus(Publisher, Protocol):
    """A broker, or a client of one."""

    async def ensure(self, subscriptions: Mapping[str, Sequence[str]]) -> None:
        """Create what is missing of {topic: [durable subscription name, …]}."""
        ...

    async def subscribe(
        self, topics: Sequence[str], name: str, *, unacked_messages_max: int = 1_000
    ) -> Subscription:
        """Join a durable subscription, from the oldest unacknowledged message on."""
        ...

    async def tail(self, topics: Sequence[str]) -> Subscription:
        """Read what is published from now on, without keeping anything back."""
        ...

    async def backlog(self, topic: str, subscription: str) -> int:
        """Count the messages that this subscription has not acknowledged."""
        ...

    async def close(self) -> None:
        """Close every subscription and producer."""
        ...
