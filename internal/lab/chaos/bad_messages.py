"""What others may put on the topics: poison, copies, old ones, in any order, too large.

Poison must be put aside, each exactly once; copies of what was there must change nothing.
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
from internal.kernel import cards
from internal.lab.chaos import audit, faults, target
from internal.pipeline import dead_letters, envelope

LISTENS_S = 3.0
TIMES = 3
"""So often each message comes again."""
DEEP = 50_000
OVERSIZE_BYTES = 4_500_000
"""Pulsar takes messages of 5 MiB."""
KEY = "05"
OPTIONAL = frozenset({"trace_id"})
"""What the first messages did not say."""


class Poison(msgspec.Struct, frozen=True):
    """Messages that no stage can read, oversize ones among them."""

    name: str
    seed: int

    @property
    def messages(self) -> list[bus.Outgoing]:
        """All of them."""
        return [
            bus.Outgoing(stage.topic, KEY, payload, {})
            for stage in topics.STAGES
            for payload in _payloads(random.Random(f"{self.seed}/{stage.name}"))  # noqa: S311
        ]

    @property
    def letters(self) -> list[audit.Letter]:
        """What they must become."""
        return [
            (message.topic, cards.redact(dead_letters.as_text(message.payload)))
            for message in self.messages
        ]

    async def strike(self, at: target.Ground) -> faults.Fired:
        """See faults.Fault."""
        messages = self.messages
        await _publish(at, messages)
        return {self.name: len(messages)}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        return [] if fired.get(self.name) else [self.name]


class Copies(msgspec.Struct, frozen=True):
    """What passes on the topics comes again: several times, in any order, in its oldest form."""

    name: str
    seed: int
    listens_s: float = LISTENS_S

    async def strike(self, at: target.Ground) -> faults.Fired:
        """See faults.Fault."""
        chance = random.Random(self.seed)  # noqa: S311 - no secrets
        heard = await self._heard(at)
        copies = [copy for each in heard for copy in (each, each, _oldest_form(each))]
        chance.shuffle(copies)
        await _publish(at, copies)
        return {self.name: len(copies)}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        return [] if fired.get(self.name) else [self.name]

    async def _heard(self, at: target.Ground) -> list[bus.Outgoing]:
        """Listen to all topics that stages read."""
        broker, heard = pulsar_bus.PulsarBus(at.options.pulsar), []
        await broker.open()
        try:
            tail = await broker.tail([stage.topic for stage in topics.STAGES])
            end_s = time.perf_counter() + self.listens_s
            while (left_s := end_s - time.perf_counter()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        heard += await tail.receive(PUBLISHED_AT_ONCE)
                except TimeoutError:
                    break
        finally:
            await broker.close()
        return [bus.Outgoing(it.topic, it.key, it.payload, dict(it.properties)) for it in heard]


def _oldest_form(message: bus.Outgoing) -> bus.Outgoing:
    """Say the same as the first version did: without what was added since, alone if it can be."""
    content: dict[str, Any] = msgspec.json.decode(message.payload)
    facts = [
        {name: value for name, value in fact.items() if name not in OPTIONAL}
        for fact in content["facts"]
    ]
    said: object = facts[0] if len(facts) == 1 else {"v": envelope.VERSION, "facts": facts}
    return bus.Outgoing(message.topic, message.key, msgspec.json.encode(said), {})


def _payloads(noise: random.Random) -> Sequence[bytes]:
    """Make what can only be put aside, each as exactly one letter."""
    deep = b"[" * DEEP
    return (
        b"",
        b"null",
        b"{}",
        b'{"v":2,"facts":[]}',
        b'{"v":1,"facts":[{}]}',
        b'{"v":1,"facts":[{"type":"OrderShipped"}]}',
        b'{"v":1,"facts":[{"type":"OrderPlaced","merchant_id":"\xff"}]}',
        b'{"v":1,"facts":' + deep,
        b'{"v":1,"facts":[' + b",".join([b"{}"] * (envelope.FACTS_MAX + 1)) + b"]}",
        noise.randbytes(100),
        b'"' + b"x" * OVERSIZE_BYTES + b'"',
    )


async def _publish(at: target.Ground, messages: Sequence[bus.Outgoing]) -> None:
    """Publish in this order."""
    broker = pulsar_bus.PulsarBus(at.options.pulsar)
    await broker.open()
    try:
        for start in range(0, len(messages), PUBLISHED_AT_ONCE):
            await broker.publish(messages[start : start + PUBLISHED_AT_ONCE])
    finally:
        await broker.close()


PUBLISHED_AT_ONCE = 50
