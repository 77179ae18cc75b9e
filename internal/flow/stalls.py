"""Opens a partition again that its broker no longer delivers, although messages and room are there.

Pulsar 4.0.8 rarely stops reading a partition for good after all consumers of its Key_Shared
subscription died at once: messages wait, none is out, and every consumer asks for more. Only
closing the partition in the broker helps. It may be done at any time: what is out comes again.
"""

import asyncio

from loguru import logger
from prometheus_client import Counter

from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock

INTERVAL_S = 2.0
STALLED_S = 10.0
"""A partition that has delivered nothing for this long, although it could, has stalled. A broker
delivers within milliseconds; this is longer than any of its pauses after a consumer was lost.
"""
REOPENED = Counter(
    "souk_partitions_reopened_total",
    "Partitions that were closed and opened again, because their broker had stopped delivering.",
    ["topic"],
)

Where = tuple[str, int]
"""A topic and its partition; each has one stage that reads it."""


class Stalls:
    """Looks every two seconds. Several may run: a partition may be opened again twice."""

    def __init__(self, broker: bus.Bus, clock: Clock) -> None:
        self._bus, self._clock = broker, clock
        self._still: dict[Where, tuple[int, int]] = {}
        """Partitions that could deliver: how much they had delivered, and since when no more."""

    async def run(self) -> None:
        """Look again and again; a broker that is away, or allows no reopening, is asked later."""
        while True:
            try:
                await self.look()
            except (errors.BusAway, errors.Misconfigured) as error:
                self.forget()
                logger.bind(seldom="stalls").warning(
                    "stalled partitions cannot be looked for: {!r}", error
                )
            await asyncio.sleep(INTERVAL_S)

    def forget(self) -> None:
        """Forget what was seen: the time until the next look does not count."""
        self._still.clear()

    async def look(self) -> list[Where]:
        """Open the stalled partitions again, and return them.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: it allows this client no reopening.
        """
        now_us = self._clock.now_us()
        stalled = []
        for stage in topics.STAGES:
            for topic in stage.topics:
                for state in await self._bus.delivering(topic, stage.subscription):
                    if self._is_stalled((topic, state.partition), state, now_us):
                        stalled.append((topic, state.partition))
                        await self._reopen(topic, state)
        return stalled

    def _is_stalled(self, where: Where, state: bus.Delivering, now_us: int) -> bool:
        if not state.messages or state.out or not state.has_room:
            self._still.pop(where, None)
            return False
        delivered, since_us = self._still.get(where, (-1, now_us))
        if delivered != state.delivered:
            self._still[where] = (state.delivered, now_us)
            return False
        return now_us - since_us >= STALLED_S * US_PER_SECOND

    async def _reopen(self, topic: str, state: bus.Delivering) -> None:
        del self._still[topic, state.partition]
        logger.bind(topic=topic, partition=state.partition, messages=state.messages).warning(
            "partition {} of {} is opened again: its {} messages were not delivered for {:.0f} s",
            *(state.partition, topic, state.messages, STALLED_S),
        )
        await self._bus.reopen(topic, state.partition)
        REOPENED.labels(topic).inc()
