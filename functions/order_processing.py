"""Order processing: prices orders and reserves their stock, and carries out commands about them.

orders.placed, orders.commands -> orders.accepted, or orders.rejected.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from internal.flow import topics
from internal.infra import settings
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages
from internal.pipeline import function, handler
from internal.stages import commands, order_processing

ANOTHER_PASS = handler.Waiting(None)
"""For a command that is looked at again in a transaction of its own."""


class OrderHandler:
    """Claim, decide and record for placed orders and commands."""

    spec = topics.ORDER

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record: commands first, which lock orders; stock is locked last."""
        placed = [
            messages.Submission(w.fact, w.private)
            for w in work
            if isinstance(w.fact, messages.OrderPlaced)
        ]
        asked = [
            messages.Asked(w.fact, w.private)
            for w in work
            if isinstance(w.fact, messages.Requested)
        ]
        done = commands.carry_out(connection, asked, now_us)
        due_at_us = now_us + topics.PAYMENT.deadline_s * US_PER_SECOND
        of_placed = iter(order_processing.place(connection, placed, now_us, due_at_us, done.stock))
        of_requested = iter(done.outcomes)
        facts = [
            next(of_placed if w.fact.__class__ is messages.OrderPlaced else of_requested)
            for w in work
        ]
        return [ANOTHER_PASS if it is None else handler.Settled(it) for it in facts]

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the protocol's type
        """See StageHandler.perform: nothing outside the database is done here."""
        return effect

    def abandon(self, connection: sa.Connection, fact: Any) -> None:  # noqa: ANN401 - as above
        """See StageHandler.abandon: an order that is not recorded has no deadline."""


class OrderProcessing(function.PipelineFunction):
    """The first Pulsar Function."""

    def make_handler(self, options: settings.Settings) -> handler.StageHandler:  # noqa: ARG002 - needs none
        """See PipelineFunction.make_handler."""
        return OrderHandler()
