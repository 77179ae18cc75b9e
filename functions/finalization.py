"""Finalization: commits stock, books the sale, numbers the receipt.

It never refuses: the money is captured already.

orders.paid -> orders.finalized.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from internal.flow import topics
from internal.infra import failpoints, settings
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.ledger import accounts
from internal.orders import deadlines, messages
from internal.pipeline import function, handler
from internal.stages import finalization, recorded_facts


class FinalizationHandler:
    """Claim, decide and record for paid orders."""

    spec = topics.FINALIZATION

    def __init__(self) -> None:
        self._accounts = accounts.KnownAccounts()

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record."""
        orders = recorded_facts.lock(connection, (w.fact for w in work))
        failpoints.hit(f"{self.spec.name}.after_claim")
        open_orders = [o for o in orders.values() if finalization.is_ready(o)]
        claimed = (recorded_facts.Claimed(w.fact, w.raw) for w in work)
        paid = recorded_facts.facts_of(connection, open_orders, claimed, messages.OrderPaid)
        done = finalization.finalize(
            connection,
            [(paid[o.order_key], o) for o in open_orders],
            now_us,
            self._accounts,
        )
        passed = [o for o in orders.values() if o.state is OrderState.FINALIZED]
        done |= finalization.repeat(connection, passed)
        return [_outcome(done.pop(w.fact.order_key, None)) for w in work]

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the protocol's type
        """See StageHandler.perform: nothing outside the database is done here."""
        return effect

    def abandon(self, connection: sa.Connection, fact: messages.OrderPaid) -> None:
        """See StageHandler.abandon: the janitor leaves the order alone, unless it has moved on."""
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        deadlines.clear(connection, fact.order_key, ref, finalization.IS_READY)


def _outcome(fact: messages.OrderFinalized | None) -> handler.Outcome:
    return handler.Settled((fact,) if fact else ())


class Finalization(function.PipelineFunction):
    """The third Pulsar Function."""

    def make_handler(self, options: settings.Settings) -> handler.StageHandler:  # noqa: ARG002 - needs none
        """See PipelineFunction.make_handler."""
        return FinalizationHandler()
