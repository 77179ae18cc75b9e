"""An instance of every stage over a database, without bus or host: as many at once as one likes."""

import random
from collections.abc import Sequence

from functions.finalization import FinalizationStation
from functions.order_processing import OrderStation
from functions.payment_processing import PaymentStation
from internal.infra import db
from internal.orders import messages
from internal.pipeline import handler
from tests.support import gateways, shop


class Instance:
    """Takes all orders through all stages, in batches and an order of its own."""

    def __init__(self, database: db.Database, seed: int = 0, batch_orders: int = 400) -> None:
        self.database, self.batch_orders = database, batch_orders
        self.chance = random.Random(seed)
        self.gateway = gateways.FaultyGateway()
        self.stations: list[handler.StageHandler] = [
            OrderStation(),
            PaymentStation(self.gateway, 1.0),
            FinalizationStation(),
        ]

    async def run(self, facts: Sequence[messages.Fact]) -> None:
        for station in self.stations:
            facts = await self.carry(station, facts)

    async def carry(
        self, station: handler.StageHandler, facts: Sequence[messages.Fact]
    ) -> list[messages.Fact]:
        mine = [fact for fact in facts if isinstance(fact, station.spec.takes)]
        self.chance.shuffle(mine)
        done: list[messages.Fact] = []
        for start in range(0, len(mine), self.batch_orders):
            topic = station.spec.topic
            work = [
                handler.Work(fact, handler.Incoming(topic, b"", None))
                for fact in mine[start : start + self.batch_orders]
            ]
            while work:
                work = await self._record(station, work, done)
        return done

    async def _record(
        self, station: handler.StageHandler, work: list[handler.Work], done: list[messages.Fact]
    ) -> list[handler.Work]:
        outcomes = await self.database.write(lambda c: station.record(c, work, shop.NOW_US))
        waiting = []
        for item, outcome in zip(work, outcomes, strict=True):
            if isinstance(outcome, handler.Settled):
                done += outcome.facts
            else:
                result = await station.perform(outcome.effect)
                waiting.append(handler.Work(item.fact, item.source, result))
        return waiting
