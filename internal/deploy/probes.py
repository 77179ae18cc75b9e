"""Probes deployed functions to see that they really work; see internal/pipeline/probe.py.

An instance only receives messages with its own keys, and no client knows which those are: probes
are sent with more and more keys until every instance has answered.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from internal.infra import bus, settings
from internal.infra.pulsar_bus import driver, publisher
from internal.kernel import ids
from internal.pipeline import handler, probe

WAIT_MS = 500
ROUND_S = 2.0
"""How long to wait for answers before the next round of probes, with other keys."""
KEYS_PER_ROUND = 32


class Instance(msgspec.Struct, frozen=True):
    """An instance of a function."""

    function: str
    instance: int


class Prober:
    """Sends probes and receives answers. Made by `prober`."""

    def __init__(
        self,
        consumer: Any,  # noqa: ANN401 - pulsar ships no types
        out: publisher.PulsarPublisher,
        token: str,
    ) -> None:
        self._consumer, self._out, self._token = consumer, out, token
        self._rounds = 0

    async def ask(self, stages: Iterable[handler.Stage], *, is_single: bool) -> None:
        """Send a round of probes to each of these stages; a single instance needs only one."""
        keys = self._keys()[: 1 if is_single else None]
        self._rounds += 1
        await self._out.publish(
            [
                bus.Outgoing(stage.topics[0], key, b"", {probe.PROPERTY: self._token})
                for stage in stages
                for key in keys
            ]
        )

    async def answers(self, patience_s: float) -> set[Instance]:
        """Return the instances that answer within `patience_s`, as soon as one has answered."""
        found: set[Instance] = set()
        end_s = asyncio.get_running_loop().time() + patience_s
        while not found and asyncio.get_running_loop().time() < end_s:
            message = await asyncio.to_thread(self._receive)
            if message is not None:
                properties = message.properties()
                if properties.get(probe.PROPERTY) == self._token:
                    found.add(Instance(properties["function"], int(properties["instance"])))
        return found

    def _receive(self) -> Any:  # noqa: ANN401 - pulsar ships no types
        try:
            return self._consumer.receive(timeout_millis=WAIT_MS)
        except driver.PulsarException:
            return None

    def _keys(self) -> Sequence[str]:
        if not self._rounds:
            return ids.shard_keys(self._out.shard_keys)
        return [f"probe-{self._rounds}-{number}" for number in range(KEYS_PER_ROUND)]


@contextlib.asynccontextmanager
async def prober(options: settings.Settings) -> AsyncIterator[Prober]:
    """Open a prober; it receives every answer from now on.

    Raises:
        BusAway: the broker cannot be reached.
        Misconfigured: the broker rejects this client.
    """
    token = ids.random_token(8)
    client = await asyncio.to_thread(driver.open_client, options.pulsar, None)
    try:
        topic = probe.topic(options.pulsar)
        consumer = await driver.in_thread(
            f"listening on {topic}",
            lambda: client.subscribe(topic, f"deploy-{token}"),
            driver.close_quietly,
        )
        out = publisher.PulsarPublisher(client, options.pulsar, options.topics)
        yield Prober(consumer, out, token)
        await out.close()
    finally:
        await asyncio.to_thread(driver.close_quietly, client)
