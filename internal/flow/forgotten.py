"""Drops the subscriptions that integrators have forgotten: what they do not read fills the disk.

A quota of the broker could evict messages that Souk's own stages have not read yet. So it has none,
and a subscription of another name is dropped when it lags too long. Must not drop Souk's own ones,
however far they lag.
"""

import asyncio
from collections.abc import Sequence

from loguru import logger
from prometheus_client import Counter

from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND

INTERVAL_S = 60.0
"""How often it looks: the broker reads the oldest message of every subscription."""
TOLD_FROM = 0.5
"""From this share of the limit on, a subscription is told in the log."""

DROPPED = Counter(
    "souk_subscriptions_dropped_total",
    "Subscriptions that were not Souk's own and were dropped, because they lagged too long.",
    ["topic"],
)


class ForgottenSubscriptions:
    """Looks every minute. Several may run: a subscription that is gone already is no error."""

    def __init__(self, broker: bus.Bus, lag_max_s: float) -> None:
        self._bus, self._lag_max_s = broker, lag_max_s

    async def run(self) -> None:
        """Look again and again; a broker that is away, or allows no drop, is asked again later."""
        while True:
            try:
                await self.look()
            except (errors.BusAway, errors.Misconfigured) as error:
                logger.bind(seldom="forgotten").warning(
                    "forgotten subscriptions cannot be looked for: {!r}", error
                )
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> list[bus.Subscribed]:
        """Drop the subscriptions that lag too long, and return them.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: it allows this client no drop.
        """
        foreign = _foreign(await self._bus.subscriptions(topics.all_topics()))
        lagging = [it for it in foreign if _lag_s(it) > self._lag_max_s * TOLD_FROM]
        dropped = [it for it in lagging if _lag_s(it) > self._lag_max_s]
        for one in lagging:
            if one in dropped:
                await self._bus.drop(one.topic, one.name)
                DROPPED.labels(one.topic).inc()
            self._tell(one, "dropped" if one in dropped else "lagging")
        return dropped

    def _tell(self, one: bus.Subscribed, what: str) -> None:
        logger.bind(topic=one.topic, messages=one.messages, consumers=one.consumers).warning(
            "the subscription {} of {} is {}: its oldest message is {:.0f} s old, at most"
            " {:.0f} s are kept (SOUK_JANITOR__SUBSCRIPTION_LAG_MAX_S)",
            *(one.name, one.topic, what, _lag_s(one), self._lag_max_s),
        )


def _foreign(found: Sequence[bus.Subscribed]) -> list[bus.Subscribed]:
    """Return those whose names the flow does not know, on whichever topic they are."""
    own = {name for names in topics.subscriptions().values() for name in names}
    return [it for it in found if it.name not in own]


def _lag_s(one: bus.Subscribed) -> float:
    return one.oldest_age_us / US_PER_SECOND
