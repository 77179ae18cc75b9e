"""Messages that other programs may publish: poison, copies, old versions, any order, oversize.

Each poison message must become exactly one dead letter; copies of messages must change nothing.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from internal.flow import topics
from internal.infra import bus
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.lab.chaos import audit, faults, target
from internal.pipeline import dead_letters, envelope

LISTENS_S = 3.0
DEEP = 50_000
OVERSIZE_BYTES = 4_500_000
"""Pulsar accepts messages of up to 5 MiB."""
KEY = "05"
OPTIONAL = frozenset({"trace_id"})
"""Fields that the first version of messages did not have."""


class Poison(msgspec.Struct, frozen=True):
    """Messages that no stage can read; some of them are oversize."""

    name: str
    seed: int

    @property
    def messages(self) -> list[bus.Outgoing]:
        """All messages."""
        return [
            bus.Outgoing(topic, KEY, payload, {})
            for stage in topics.STAGES
            for topic in stage.topics
            for payload in _payloads(random.Random(f"{self.seed}/{topic}"))  # noqa: S311
        ]

    @property
    def letters(self) -> list[audit.Letter]:
        """The dead letters that they must become."""
        return [
            (message.topic, dead_letters.stand_in(message.payload)) for message in self.messages
        ]

    async def strike(self, at: target.Target) -> faults.Fired:
        """See faults.Fault."""
        messages = self.messages
        await _publish(at, messages)
        return {self.name: len(messages)}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        return [] if fired.get(self.name) else [self.name]


class Copies(msgspec.Struct, frozen=True):
    """Messages on the topics come again: several times, in any order, in their oldest form."""

    name: str
    seed: int
    listens_s: float = LISTENS_S

    async def strike(self, at: target.Target) -> faults.Fired:
        """See faults.Fault."""
        rng = random.Random(self.seed)  # noqa: S311 - no secrets
        received = await self._received(at)
        copies = [copy for each in received for copy in (each, each, _oldest_form(each))]
        rng.shuffle(copies)
        await _publish(at, copies)
        return {self.name: len(copies)}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        return [] if fired.get(self.name) else [self.name]

    async def _received(self, at: target.Target) -> list[bus.Outgoing]:
        """Return the messages on all topics that stages read, for a while."""
        broker, received = pulsar_bus.PulsarBus(at.options.pulsar, at.options.topics), []
        await broker.open()
        try:
            tail = await broker.tail([topic for stage in topics.STAGES for topic in stage.topics])
            end_s = time.perf_counter() + self.listens_s
            while (left_s := end_s - time.perf_counter()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        received += await tail.receive(PUBLISHED_AT_ONCE)
                except TimeoutError:
                    break
        finally:
            await broker.close()
        return [bus.Outgoing(it.topic, it.key, it.payload, dict(it.properties)) for it in received]


def _oldest_form(message: bus.Outgoing) -> bus.Outgoing:
    """Return a message as the first version wrote it: no later fields, a single fact alone."""
    content: dict[str, Any] = msgspec.json.decode(message.payload)
    facts = [
        {name: value for name, value in fact.items() if name not in OPTIONAL}
        for fact in content["facts"]
    ]
    is_bare = len(facts) == 1 and "private" not in content
    said: object = facts[0] if is_bare else content | {"facts": facts}
    return bus.Outgoing(message.topic, message.key, msgspec.json.encode(said), {})


def _payloads(noise: random.Random) -> Sequence[bytes]:
    """Return payloads that can only become dead letters, each exactly one."""
    deep = b"[" * DEEP
    return (
        b"",
        b"null",
        b"{}",
        b'{"v":1,"facts":[]}',
        b'{"v":2,"facts":[{}]}',
        b'{"v":2,"facts":[{"type":"OrderShipped"}]}',
        b'{"v":2,"facts":[{"type":"OrderPlaced","merchant_id":"\xff"}]}',
        b'{"v":2,"facts":' + deep,
        b'{"v":2,"facts":[' + b",".join([b"{}"] * (envelope.FACTS_MAX + 1)) + b"]}",
        noise.randbytes(100),
        b'"' + b"x" * OVERSIZE_BYTES + b'"',
    )


async def _publish(at: target.Target, messages: Sequence[bus.Outgoing]) -> None:
    """Publish messages in this order."""
    broker = pulsar_bus.PulsarBus(at.options.pulsar, at.options.topics)
    await broker.open()
    try:
        for start in range(0, len(messages), PUBLISHED_AT_ONCE):
            await broker.publish(messages[start : start + PUBLISHED_AT_ONCE])
    finally:
        await broker.close()


PUBLISHED_AT_ONCE = 50
