"""What a stage tells of the facts it sends: metrics for all of them, a line for some."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import prometheus_client
from loguru import logger

from internal.infra import metrics, traces
from internal.kernel.clock import US_PER_SECOND
from internal.orders.messages import Fact, OrderCancelled, OrderRejected
from internal.pipeline import envelope
from internal.stages import cancellation


class StageTelemetry:
    """A stage's voice. Refusals are always told, every fact only on demand."""

    def __init__(self, stage: str, *, tells_every_fact: bool) -> None:
        self._stage, self._tells_every_fact = stage, tells_every_fact

    def tell(self, facts: Sequence[Fact], now_us: int) -> None:
        """Tell of facts that went on their way."""
        self._trace(facts, now_us)
        sent: Counter[tuple[str, str]] = Counter()
        for fact in facts:
            kind, reason = type(fact).__name__, _reason_of(fact)
            sent[kind, reason] += 1
            _age(kind).observe((now_us - getattr(fact, "placed_at_us", now_us)) / US_PER_SECOND)
            if reason:
                self._log("INFO", fact, reason)
            elif self._tells_every_fact:
                self._log("DEBUG", fact, "")
        for (kind, reason), count in sent.items():
            _sent(kind, reason).inc(count)

    def trace_transaction(self, facts: Sequence[Fact], began_us: int, ended_us: int) -> None:
        """Add the time in the database to each order's trace; one transaction had them all."""
        if traces.is_on():
            for fact in facts:
                told = {**_names(fact), "souk.batch_orders": len(facts)}
                traces.record(f"{self._stage} database", fact.trace_id, began_us, ended_us, told)

    def _trace(self, facts: Sequence[Fact], now_us: int) -> None:
        """Cover each order's time from the decision on it to the broker's receipt."""
        if traces.is_on():
            for fact in facts:
                name = f"{self._stage} {type(fact).__name__}"
                began_us = getattr(fact, "at_us", now_us)
                traces.record(name, fact.trace_id, began_us, now_us, _names(fact))

    def _log(self, level: str, fact: Fact, reason: str) -> None:
        logger.log(
            level,
            "{kind} {reason}",
            kind=type(fact).__name__,
            reason=reason,
            stage=self._stage,
            order_id=fact.order_id,
            event_id=envelope.event_id(fact),
            trace_id=fact.trace_id,
        )


def _names(fact: Fact) -> dict[str, str | int]:
    return {"souk.order_id": fact.order_id, "souk.merchant_id": fact.merchant_id}


def _reason_of(fact: Fact) -> str:
    """Return why, in one of our own words: what a merchant wrote belongs in no metric."""
    if isinstance(fact, OrderRejected):
        return fact.reason
    return cancellation.BY_MERCHANT if isinstance(fact, OrderCancelled) else ""


@lru_cache(maxsize=1_024)
def _sent(kind: str, reason: str) -> prometheus_client.Counter:
    return metrics.FACTS.labels(kind, reason)


@lru_cache(maxsize=64)
def _age(kind: str) -> prometheus_client.Histogram:
    return metrics.FACT_AGE_SECONDS.labels(kind)
