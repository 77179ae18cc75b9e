"""Order processing: prices orders and reserves their stock, and answers cancellations.

orders.placed -> orders.accepted, or orders.rejected.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from internal.flow import topics
from internal.infra import settings
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages
from internal.pipeline import function, handler
from internal.stages import cancellation, order_processing


class OrderHandler:
    """Claim, decide and record for placed orders and cancellations."""

    spec = topics.ORDER

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record: orders first, then cancellations, which may be about them."""
        placed = [
            messages.Submission(w.fact, w.private)
            for w in work
            if isinstance(w.fact, messages.OrderPlaced)
        ]
        requests = [
            cancellation.Request(w.fact, w.private)
            for w in work
            if isinstance(w.fact, messages.CancelRequested)
        ]
        due_at_us = now_us + topics.PAYMENT.deadline_s * US_PER_SECOND
        of_placed = iter(order_processing.place(connection, placed, now_us, due_at_us))
        of_requests = iter(cancellation.cancel(connection, requests, now_us))
        return [
            handler.Settled(
                next(of_placed if w.fact.__class__ is messages.OrderPlaced else of_requests)
            )
            for w in work
        ]

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
