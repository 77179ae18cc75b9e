"""The bus as a port, with Pulsar's semantics: topics, durable subscriptions, keys, acknowledgement.

- A message is kept for every durable subscription of its topic until that subscription acknowledged
  it; without any durable subscription it is not kept. Create subscriptions before messages flow.
- Messages that a subscription received and did not acknowledge come back when it is closed or dies.
- Messages of one key arrive in the order of publishing. Delivery is at least once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

ORDERS_PROPERTY = "orders"
"""How many orders a message holds, in decimal; a message without it counts as one."""

ORDERS_DIGITS_MAX = 9


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


class Delivering(msgspec.Struct, frozen=True):
    """How far a broker has delivered one partition of a topic to a durable subscription."""

    partition: int
    messages: int
    """How many are not acknowledged."""
    out: int
    """How many of them are with consumers."""
    delivered: int
    """How many were ever given to consumers, repetitions included."""
    has_room: bool
    """Whether a consumer is connected and would take more."""


class Subscribed(msgspec.Struct, frozen=True):
    """A durable subscription to a topic, as the broker knows it."""

    topic: str
    name: str
    messages: int
    """How many it has not acknowledged."""
    orders: int
    """How many orders they hold, by ORDERS_PROPERTY; may be an estimate."""
    oldest_age_us: int
    """How long ago the oldest of them was published; 0 without any."""
    consumers: int
    """How many are connected."""
    partitions: Sequence[Delivering] = ()
    """How far each is delivered; nothing if no broker stands in between."""


Wants = Callable[[str, str], bool]
"""Tells by its topic and key whether a message is wanted."""


def everything(topic: str, key: str) -> bool:
    """Want every message."""
    del topic, key
    return True


class Publisher(Protocol):
    """Puts messages on topics."""

    @property
    def shard_keys(self) -> int:
        """How many keys the orders of this installation share; see kernel.ids.shard_of."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return once the broker holds every message durably.

        Raises:
            BusAway: no receipt for at least one of them; publishing all again is safe for readers.
            Poison: one is too large, or its topic, key or properties are not text; none is sent.
        """
        ...


class Subscription(Protocol):
    """A position in topics. At most `unacked_messages_max` messages are out at any time."""

    async def receive(self, messages_max: int) -> list[Delivery]:
        """Wait for at least one message; return 1..messages_max of them, oldest first.

        Raises:
            BusAway: this subscription, or the bus, was closed.
        """
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these messages are done.

        It may be persisted a little later: after a crash they may come again. Messages that are not
        out with this subscription (any more) are ignored, and after `close` all are.

        Raises:
            BusAway: the acknowledgement was not taken; the messages are still out.
        """
        ...

    async def close(self) -> None:
        """Leave. Unacknowledged messages go to the next subscriber of the same name."""
        ...


class Bus(Publisher, Protocol):
    """A broker, or a client of one."""

    async def ensure(self, subscriptions: Mapping[str, Sequence[str]]) -> None:
        """Create the missing topics and subscriptions of {topic: [durable subscription name, …]}.

        A new subscription starts with the oldest message of its topic that is still kept.

        Raises:
            BusAway: the broker cannot be reached.
        """
        ...

    async def subscribe(
        self, topics: Sequence[str], name: str, *, unacked_messages_max: int = 1_000
    ) -> Subscription:
        """Join a durable subscription, from the oldest unacknowledged message on.

        It is created if it is missing, as by `ensure`. Several consumers share its keys: one gets
        all messages of a key while it has unacknowledged ones of that key (Pulsar's Key_Shared).

        Raises:
            BusAway: the broker cannot be reached.
        """
        ...

    async def tail(self, topics: Sequence[str], wants: Wants = everything) -> Subscription:
        """Read messages published from now on; none is kept, so none is acknowledged.

        `wants` is asked when a message comes; those not wanted cost little. A reader that is too
        slow loses the oldest messages.
        """
        ...

    async def backlog(self, topic: str, subscription: str) -> int:
        """Count the messages that this subscription has not acknowledged.

        Raises:
            Misconfigured: the subscription does not exist.
            BusAway: the broker cannot be reached.
        """
        ...

    async def subscriptions(self, topics: Sequence[str]) -> list[Subscribed]:
        """Return every durable subscription to these topics, whoever made it.

        A topic that does not exist has none.

        Raises:
            BusAway: the broker cannot be reached.
        """
        ...

    async def drop(self, topic: str, subscription: str) -> None:
        """Delete a durable subscription with its backlog; one that is gone is no error.

        A consumer of it is disconnected; it may join again, as a new subscription.

        Raises:
            BusAway: the broker cannot be reached.
        """
        ...

    async def reopen(self, topic: str, partition: int) -> None:
        """Close a partition for all its clients and open it again; they connect by themselves.

        Messages that are out come again.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: it allows this client no such thing.
        """
        ...

    async def close(self) -> None:
        """Send pending messages and acknowledgements, close every subscription and producer."""
        ...


def orders_in(properties: Mapping[str, str]) -> int:
    """Return how many orders a message says it holds; 1 without a valid number."""
    text = properties.get(ORDERS_PROPERTY, "1")
    return int(text) if text.isdecimal() and len(text) <= ORDERS_DIGITS_MAX else 1
