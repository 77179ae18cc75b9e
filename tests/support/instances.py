"""An instance of every stage over a database, without bus or host: as many at once as one likes."""

import random
from collections.abc import Sequence

from functions.finalization import FinalizationHandler
from functions.order_processing import OrderHandler
from functions.payment_processing import PaymentHandler
from internal.infra import db
from internal.kernel import facts as kernel_facts
from internal.kernel.facts import Fact
from internal.pipeline import handler
from tests.support import gateways, shop


class Instance:
    """Takes all orders through all stages, in batches and an order of its own."""

    def __init__(self, database: db.Database, seed: int = 0, batch_orders: int = 400) -> None:
        self.database, self.batch_orders = database, batch_orders
        self.chance = random.Random(seed)
        self.gateway = gateways.FaultyGateway()
        self.handlers: list[handler.StageHandler] = [
            OrderHandler(),
            PaymentHandler(self.gateway, 1.0),
            FinalizationHandler(),
        ]

    async def run(self, facts: Sequence[Fact]) -> None:
        for stage_handler in self.handlers:
            later = [fact for fact in facts if not isinstance(fact, stage_handler.spec.takes)]
            facts = [*later, *await self.carry(stage_handler, facts)]

    async def carry(self, stage_handler: handler.StageHandler, facts: Sequence[Fact]) -> list[Fact]:
        mine = [fact for fact in facts if isinstance(fact, stage_handler.spec.takes)]
        self.chance.shuffle(mine)
        done: list[Fact] = []
        for start in range(0, len(mine), self.batch_orders):
            topic = stage_handler.spec.topics[0]
            work = [
                handler.Work(
                    fact,
                    handler.Incoming(topic, b"", None),
                    raw=kernel_facts.encode(fact),
                    private=shop.half_of(fact),
                )
                for fact in mine[start : start + self.batch_orders]
            ]
            while work:
                work = await self._record(stage_handler, work, done)
        return done

    async def _record(
        self, stage_handler: handler.StageHandler, work: list[handler.Work], done: list[Fact]
    ) -> list[handler.Work]:
        outcomes = await self.database.write(lambda c: stage_handler.record(c, work, shop.NOW_US))
        waiting = []
        for item, outcome in zip(work, outcomes, strict=True):
            if isinstance(outcome, handler.Settled):
                done += outcome.facts
            else:
                item.result = await stage_handler.perform(outcome.effect)
                waiting.append(item)
        return waiting
