"""A Souk with a bug of the worst kind: an order whose id says so kills the process that has it.

Everything else is the real engine. No exception is raised: the process is simply gone.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from functions.finalization import FinalizationStation
from functions.order_processing import OrderStation
from functions.payment_processing import Calls, PaymentStation
from internal.flow import topics
from internal.host import command, engine
from internal.payments.messages import Attempt
from internal.pipeline import handler

KILLERS = {name: f"kills-{name}" for name in (s.name for s in topics.STAGES)}
"""By stage: how the ids begin of orders that it does not survive."""


class MortalOrders(OrderStation):
    """Dies while it records."""

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See stage.Station.record."""
        if _has_killer(work, self.spec):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().record(connection, work, now_us)


class MortalPayments(PaymentStation):
    """Dies while it talks to the gateway."""

    async def perform(self, effect: Calls) -> tuple[Attempt, ...]:
        """See stage.Station.perform."""
        if any(KILLERS[self.spec.name] in attempt.key for attempt in effect.attempts):
            os._exit(137)
        return await super().perform(effect)


class MortalFinalization(FinalizationStation):
    """Reads where nothing is to be read, when all is written and not committed."""

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See stage.Station.record."""
        done = super().record(connection, work, now_us)
        if _has_killer(work, self.spec):
            ctypes.string_at(0)
        return done


def _has_killer(work: Sequence[handler.Work], spec: topics.Stage) -> bool:
    return any(item.fact.order_id.startswith(KILLERS[spec.name]) for item in work)


if __name__ == "__main__":
    vars(engine).update(
        OrderStation=MortalOrders,
        PaymentStation=MortalPayments,
        FinalizationStation=MortalFinalization,
    )
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
