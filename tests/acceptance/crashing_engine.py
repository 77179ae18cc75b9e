"""A Souk with a fatal bug: orders with certain ids kill the process that works on them.

Everything else is the real engine. No exception is raised: the process is simply gone.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from functions.finalization import FinalizationHandler
from functions.order_processing import OrderHandler
from functions.payment_processing import Calls, PaymentHandler
from internal.flow import topics
from internal.host import command, engine
from internal.payments.messages import Attempt
from internal.pipeline import handler

CRASHING = {name: f"crashes-{name}" for name in (s.name for s in topics.STAGES)}
"""By stage: the id prefix of orders that crash it."""


class CrashingOrders(OrderHandler):
    """Crashes while it records."""

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record."""
        if _is_crashing(work, self.spec):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().record(connection, work, now_us)


class CrashingPayments(PaymentHandler):
    """Crashes while it calls the gateway."""

    async def perform(self, effect: Calls | None) -> tuple[Attempt, ...] | None:
        """See StageHandler.perform."""
        attempts = effect.attempts if effect else ()
        if any(CRASHING[self.spec.name] in attempt.key for attempt in attempts):
            os._exit(137)
        return await super().perform(effect)


class CrashingFinalization(FinalizationHandler):
    """Dereferences a null pointer after writing and before committing."""

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record."""
        done = super().record(connection, work, now_us)
        if _is_crashing(work, self.spec):
            ctypes.string_at(0)
        return done


def _is_crashing(work: Sequence[handler.Work], spec: handler.Stage) -> bool:
    return any(item.fact.order_id.startswith(CRASHING[spec.name]) for item in work)


if __name__ == "__main__":
    vars(engine).update(
        OrderHandler=CrashingOrders,
        PaymentHandler=CrashingPayments,
        FinalizationHandler=CrashingFinalization,
    )
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
