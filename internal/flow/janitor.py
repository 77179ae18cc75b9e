"""The janitor: an order whose stage let its deadline pass gets its last recorded fact sent again.

An UNKNOWN payment is such an order: its deadline is the next time to ask the gateway, and asking is
the payment stage's own work. Sending again is always safe: every stage claims before it acts.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from loguru import logger

from internal.flow import backlogs, topics
from internal.infra import bus, db, settings
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.kernel.states import CHARGE_COMPLETE, OrderState
from internal.orders import deadlines, messages, store
from internal.pipeline.handler import Stage

LAST_FACT: dict[str, tuple[str, str, Stage | None]] = {
    OrderState.ACCEPTED: (messages.LogStage.ORDER, messages.PLACED_EVENT, topics.PAYMENT),
    OrderState.PAID: (messages.LogStage.PAYMENT, messages.ACCEPTED_EVENT, topics.FINALIZATION),
}
"""By state: where the order's last fact stands in the log, and which stage takes that fact."""
_NOWHERE = ("", "", None)


def last_fact(state: str, charge_state: str) -> tuple[str, str, Stage | None]:
    """Return the row of LAST_FACT for an order; no stage takes that of an order that has ended.

    The money of a paid order that was given up is returned by the payment stage.
    """
    if state == OrderState.PAID and charge_state not in CHARGE_COMPLETE:
        state = OrderState.ACCEPTED
    return LAST_FACT.get(state, _NOWHERE)


BUSY_MESSAGES = 200
"""A stage with a deeper backlog is late, not stuck: repeated facts would only make it later."""


class Options(msgspec.Struct, frozen=True):
    """How often, how many, and how long an order is left alone after its fact was sent again."""

    interval_s: float
    orders_max: int
    redrive_after_s: float


def options_of(chosen: settings.Settings) -> Options:
    """Return the options that the settings give."""
    janitor = chosen.janitor
    return Options(janitor.interval_s, janitor.orders_max, janitor.redrive_after_s)


class Janitor:
    """Looks every `interval_s`. Several may run: they repeat each other's work without harm."""

    def __init__(
        self, database: db.Database, broker: bus.Bus, clock: Clock, options: Options
    ) -> None:
        self._database, self._bus, self._clock, self._options = database, broker, clock, options

    async def run(self) -> None:
        """Look again and again; a part that is away is tried at the next look."""
        while True:
            await asyncio.sleep(self._options.interval_s)
            try:
                await self.look()
            except errors.Temporary as error:
                logger.bind(seldom="janitor").warning("the janitor waits: {e!r}", e=error)

    async def look(self) -> int:
        """Send the last facts of due orders again; return how many orders that were."""
        now_us, most = self._clock.now_us(), self._options.orders_max
        due = await self._database.read(lambda c: deadlines.find_due(c, now_us, most))
        if not due:
            return 0
        ready = await self._ready_stages()
        facts = await self._database.read(lambda c: _last_facts(c, due, ready))
        if not facts:
            return 0
        readable = [fact for fact in facts.values() if fact is not None]
        await self._bus.publish(topics.ENVELOPE.pack(readable, self._bus.shard_keys))
        later_us = now_us + round(self._options.redrive_after_s * US_PER_SECOND)
        await self._database.write(lambda c: deadlines.postpone(c, list(facts), later_us))
        logger.bind(orders=len(readable)).info("drove on orders whose deadline had passed")
        return len(readable)

    async def _ready_stages(self) -> frozenset[str]:
        ready = set()
        for stage in topics.STAGES:
            if await backlogs.messages(self._bus, stage) <= BUSY_MESSAGES:
                ready.add(stage.name)
        return frozenset(ready)


def _last_facts(
    connection: sa.Connection, due: Sequence[tuple[int, str, str]], ready: frozenset[str]
) -> dict[int, messages.Fact | None]:
    """Return the last fact of every one of these orders whose next stage is ready.

    None stands for one that cannot be read, or that only a newer Souk knows; others go on.
    """
    facts: dict[int, messages.Fact | None] = {}
    claims = []
    for order_key, state, charge_state in due:
        log_stage, event_id, taker = last_fact(state, charge_state)
        if taker is None:
            facts[order_key] = None
        elif taker.name in ready:
            claims.append((order_key, str(log_stage), event_id))
    return facts | _read(connection, claims)


def _read(
    connection: sa.Connection, claims: Sequence[store.Claim]
) -> dict[int, messages.Fact | None]:
    """Read the facts at once, or one by one if one of them cannot be read."""
    try:
        logged = store.find_claims(connection, claims)
    except errors.Poison as poison:
        if len(claims) == 1:
            logger.bind(order_key=claims[0][0]).error("the log cannot be read: {}", poison)
            return {claims[0][0]: None}
        found = (_read(connection, [claim]) for claim in claims)
        return {key: fact for one in found for key, fact in one.items()}
    return {key: fact for (key, _, _), (_, fact) in logged.items()}
