"""Opens a partition again that its broker no longer delivers, although messages and room are there.

Pulsar 4.0.8 rarely stops reading a partition for good after all consumers of its Key_Shared
subscription died at once: messages wait, none is out, and every consumer asks for more. Only
closing the partition in the broker helps. It may be done at any time: what is out comes again.
"""

from collections.abc import Sequence

from loguru import logger
from prometheus_client import Counter

from internal.infra import bus
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock

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
    """Watches what the lookout sees. Several may run: a partition may be opened again twice."""

    def __init__(self, broker: bus.Bus, clock: Clock) -> None:
        self._bus, self._clock = broker, clock
        self._still: dict[Where, tuple[int, int]] = {}
        """Partitions that could deliver: how much they had delivered, and since when no more."""

    async def see(self, found: Sequence[bus.Subscribed]) -> None:
        """Open the stalled partitions again; log it if the broker refuses or is away."""
        now_us = self._clock.now_us()
        for read in found:
            for state in read.partitions:
                if self._is_stalled((read.topic, state.partition), state, now_us):
                    await self._reopen(read.topic, state)

    def miss(self) -> None:
        """Forget what was seen: the time until the next look does not count."""
        self._still.clear()

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
        try:
            await self._bus.reopen(topic, state.partition)
        except (errors.BusAway, errors.Misconfigured) as error:
            logger.bind(seldom="stalls").warning("it cannot be opened again: {!r}", error)
        else:
            REOPENED.labels(topic).inc()
