"""The janitor: an order whose stage let its deadline pass is driven on.

It gets its last recorded fact sent again. A payment that has begun is brought before the payment
stage instead, by a command that waits behind no order: the deadline of an UNKNOWN one is the next
time to ask the gateway, and that must not wait for a backlog to end. Sending again is always safe:
every stage claims before it acts.
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
from internal.kernel.states import CHARGE_COMPLETE, ChargeState, OrderState
from internal.orders import deadlines, messages, store
from internal.orders.deadlines import Waiting
from internal.pipeline.handler import Stage


class Way(msgspec.Struct, frozen=True):
    """How orders that wait for a stage are driven on."""

    waiting: Waiting
    taker: Stage
    last_fact: tuple[str, str] | None
    """Where the log has the fact to send again: (stage, event). None: PaymentDue is sent."""


NOT_BEGUN = frozenset({ChargeState.NONE})
WAYS = (
    Way(Waiting(OrderState.ACCEPTED, frozenset(ChargeState) - NOT_BEGUN), topics.PAYMENT, None),
    Way(Waiting(OrderState.PAID, frozenset(ChargeState) - CHARGE_COMPLETE), topics.PAYMENT, None),
    Way(
        Waiting(OrderState.ACCEPTED, NOT_BEGUN),
        topics.PAYMENT,
        (messages.LogStage.ORDER, messages.PLACED_EVENT),
    ),
    Way(
        Waiting(OrderState.PAID, CHARGE_COMPLETE),
        topics.FINALIZATION,
        (messages.LogStage.PAYMENT, messages.ACCEPTED_EVENT),
    ),
)
"""For each pair of states of a recorded open order there is one. The money of a PAID order whose
charge is not complete is being returned.
"""
BUSY_MESSAGES = 200
"""A stage with a deeper backlog is late, not stuck: repeated facts would only make it later."""


def taker_of(state: str, charge_state: str) -> Stage | None:
    """Return the stage that an order in these states waits for; None if it has ended."""
    for way in WAYS:
        if way.waiting.state == state and charge_state in way.waiting.charges:
            return way.taker
    return None


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
        """Drive on the orders that are due; return how many orders that were."""
        now_us = self._clock.now_us()
        are_due = await self._database.read(
            lambda c: [deadlines.are_due(c, way.waiting, now_us) for way in WAYS], is_quick=True
        )
        due = [way for way, is_due in zip(WAYS, are_due, strict=True) if is_due]
        driven = sum([await self._drive(way) for way in due])
        if driven:
            logger.bind(orders=driven).info("drove on orders whose deadline had passed")
        return driven

    async def _drive(self, way: Way) -> int:
        now_us, options = self._clock.now_us(), self._options
        if way.last_fact and await backlogs.messages(self._bus, way.taker) > BUSY_MESSAGES:
            return 0
        later_us = now_us + round(options.redrive_after_s * US_PER_SECOND)
        due = await self._database.write(
            lambda c: deadlines.take(c, way.waiting, now_us, later_us, options.orders_max)
        )
        if not due:
            return 0
        try:
            facts = await self._facts(way, due, now_us)
            await self._bus.publish(topics.ENVELOPE.pack(facts, self._bus.shard_keys))
        except errors.Temporary:
            keys = [it.order_key for it in due]
            await self._database.write(lambda c: deadlines.postpone(c, keys, now_us))
            raise
        return len(facts)

    async def _facts(
        self, way: Way, due: Sequence[deadlines.Due], now_us: int
    ) -> list[messages.Fact]:
        if not way.last_fact:
            return [messages.PaymentDue(*it.ref, it.order_key, now_us) for it in due]
        claims = [(it.order_key, *way.last_fact) for it in due]
        return await self._database.read(lambda c: _read(c, claims))


def _read(connection: sa.Connection, claims: Sequence[store.Claim]) -> list[messages.Fact]:
    """Read the facts at once, or one by one if one of them cannot be read: that one is left out."""
    try:
        logged = store.find_claims(connection, claims)
    except errors.Poison as poison:
        if len(claims) == 1:
            logger.bind(order_key=claims[0][0]).error("the log cannot be read: {}", poison)
            return []
        return [fact for claim in claims for fact in _read(connection, [claim])]
    return [fact for _, fact in logged.values()]
