"""Telemetry of the facts that a stage sends: metrics and traces for all, log lines for some."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import prometheus_client
from loguru import logger

from internal.infra import metrics, traces
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.pipeline import envelope


class StageTelemetry:
    """The telemetry of one stage. Refusals are always logged, other facts only on demand."""

    def __init__(self, stage: str, *, logs_every_fact: bool) -> None:
        self._stage, self._logs_every_fact = stage, logs_every_fact

    def sent(self, facts: Sequence[Fact], now_us: int) -> None:
        """Report facts whose receipt has come from the broker."""
        self._trace(facts, now_us)
        counts: Counter[tuple[str, str]] = Counter()
        for fact in facts:
            kind, reason = type(fact).__name__, fact.refusal_code
            counts[kind, reason] += 1
            _age(kind).observe((now_us - fact.started_at_us) / US_PER_SECOND)
            if reason:
                self._log("INFO", fact, reason)
            elif self._logs_every_fact:
                self._log("DEBUG", fact, "")
        for (kind, reason), count in counts.items():
            _sent(kind, reason).inc(count)

    def transacted(self, facts: Sequence[Fact], began_us: int, ended_us: int) -> None:
        """Add the time in the database to each order's trace; one transaction had them all."""
        if traces.is_on():
            for fact in facts:
                attributes = {**_names(fact), "souk.batch_orders": len(facts)}
                traces.record(
                    f"{self._stage} database", fact.trace_id, began_us, ended_us, attributes
                )

    def stopped(self, cause: str, error: Exception, orders: int, pause_s: float) -> None:
        """Report that the stage holds orders back: each fails alone, with this cause."""
        metrics.STAGE_PAUSES.labels(self._stage, cause).inc()
        logger.bind(stage=self._stage, cause=cause, orders=orders).error(
            "{stage} can record none of {orders} orders and tries again in {pause_s:g} s;"
            " no order is put aside: {error!r}",
            stage=self._stage,
            orders=orders,
            pause_s=pause_s,
            error=error,
        )

    def _trace(self, facts: Sequence[Fact], now_us: int) -> None:
        """Trace each fact from the decision on it to the broker's receipt."""
        if traces.is_on():
            for fact in facts:
                name = f"{self._stage} {type(fact).__name__}"
                traces.record(name, fact.trace_id, fact.occurred_at_us, now_us, _names(fact))

    def _log(self, level: str, fact: Fact, reason: str) -> None:
        logger.log(
            level,
            "{kind} {reason}",
            kind=type(fact).__name__,
            reason=reason,
            stage=self._stage,
            event_id=envelope.event_id(fact),
            trace_id=fact.trace_id,
            **{name_of(fact.subject_kind): fact.key},
        )


def name_of(subject_kind: str) -> str:
    """Return the name of a subject's id in logs and traces: "order_id"."""
    return f"{subject_kind or 'subject'}_id"


def _names(fact: Fact) -> dict[str, str | int]:
    return {
        f"souk.{name_of(fact.subject_kind)}": fact.key,
        "souk.merchant_id": fact.merchant_id,
    }


@lru_cache(maxsize=1_024)
def _sent(kind: str, reason: str) -> prometheus_client.Counter:
    return metrics.FACTS.labels(kind, reason)


@lru_cache(maxsize=64)
def _age(kind: str) -> prometheus_client.Histogram:
    return metrics.FACT_AGE_SECONDS.labels(kind)
