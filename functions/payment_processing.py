"""Payment processing: every tender is captured, or everything is voided and the stock released.

orders.accepted, payments.commands -> orders.paid, or orders.rejected; an open order that waits for
its customer stays where it is. An attempt is recorded before its call and the
call is made outside any transaction, so an order passes `record` several times: plan and record,
call, record the answer, plan again.
"""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.flow import topics
from internal.infra import clock, failpoints, metrics, settings, traces
from internal.kernel import ids
from internal.kernel.clock import US_PER_SECOND
from internal.orders import deadlines, messages, store
from internal.payments import gateway_calls, rules
from internal.payments import store as payments_store
from internal.payments.gateways import registry
from internal.payments.gateways.port import Gateway
from internal.payments.messages import Attempt
from internal.pipeline import function, handler
from internal.stages import (
    commands,
    payment_plans,
    payment_processing,
    recorded_facts,
    tender_adding,
)


class Calls(msgspec.Struct, frozen=True):
    """Attempts of one order to be sent, or to be asked about."""

    merchant_id: str
    attempts: tuple[Attempt, ...]
    ask: bool
    trace_id: str = ""


class PaymentHandler:
    """Claim, decide and record for payments, and the calls to the gateway between."""

    spec = topics.PAYMENT

    def __init__(self, gateway: Gateway, gateway_timeout_s: float) -> None:
        self._gateway, self._timeout_s = gateway, gateway_timeout_s

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        """See StageHandler.record.

        Tenders are added and answers recorded first, then every order is planned.
        """
        carried = _carry_out(connection, work, now_us)
        claims = _claims(connection, work)
        orders = recorded_facts.lock(connection, filter(None, claims))
        failpoints.hit(f"{self.spec.name}.after_claim")
        payable = [o for o in orders.values() if payment_processing.has_open_payment(o)]
        payments_store.update(connection, _results(work, payable), now_us)
        claimed = (recorded_facts.Claimed(c, w.raw) for c, w in zip(claims, work, strict=True) if c)
        accepted = recorded_facts.facts_of(connection, payable, claimed, messages.OrderAccepted)
        plans = payment_plans.plan(
            connection, [(accepted[o.order_key], o) for o in payable], now_us
        )
        metrics.PAYMENTS_LEFT_TO_OPERATORS.inc(sum(rules.needs_operator(p.step) for p in plans))
        due_at_us = now_us + self.spec.deadline_s * US_PER_SECOND
        done: dict[int, messages.Fact] = {}
        done |= payment_processing.carry_out(connection, plans, now_us, due_at_us)
        passed = [o for o in orders.values() if not payment_processing.has_open_payment(o)]
        done |= payment_processing.repeat(connection, passed)
        tokens = payment_plans.tokens(connection, plans)
        done |= payment_processing.left_open(plans, now_us)
        calls_of = {p.order.order_key: found for p in plans if (found := _calls(p, tokens))}
        return [
            ANOTHER_PASS
            if id(w) in carried and carried[id(w)] is None
            else _outcome(claim.order_key if claim else 0, calls_of, done)
            for w, claim in zip(work, claims, strict=True)
        ]

    async def perform(self, effect: Calls | None) -> tuple[Attempt, ...] | None:
        """See StageHandler.perform: call the gateway for all attempts of one order at once."""
        if effect is None:
            return None
        failpoints.hit("gateway.before_send")
        began_us = clock.SystemClock().now_us() if traces.is_on() else 0
        how = gateway_calls.ask if effect.ask else gateway_calls.send
        sent = [how(self._gateway, effect.merchant_id, a, self._timeout_s) for a in effect.attempts]
        results = (await sent[0],) if len(sent) == 1 else await gateway_calls.all_of(sent)
        failpoints.hit("gateway.after_send")
        if began_us:
            _trace(effect, results, began_us)
        return results

    def abandon(
        self,
        connection: sa.Connection,
        fact: messages.OrderAccepted | messages.PaymentDue | messages.AddTender,
    ) -> None:
        """See StageHandler.abandon: the janitor leaves the order alone, unless it has moved on.

        An order to which a tender could not be added is still owned by its hold.
        """
        if isinstance(fact, messages.AddTender):
            return
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        deadlines.clear(connection, fact.order_key, ref, payment_processing.HAS_OPEN_PAYMENT)


ANOTHER_PASS = handler.Waiting(None)
"""For a command that is looked at again in a transaction of its own."""


def _carry_out(
    connection: sa.Connection, work: Sequence[handler.Work], now_us: int
) -> dict[int, commands.Facts | None]:
    """Add the tenders that have come; return by the work's id() what the commands say."""
    new = [w for w in work if isinstance(w.fact, messages.AddTender) and w.result is None]
    asked = [messages.Asked(w.fact, w.private) for w in new]
    outcomes = commands.carry_out(connection, asked, now_us).outcomes
    return {id(w): found for w, found in zip(new, outcomes, strict=True)}


def _claims(
    connection: sa.Connection, work: Sequence[handler.Work]
) -> list[recorded_facts.Claim | None]:
    """Return what each work claims of its order; None if there is no such order."""
    added = [w.fact for w in work if isinstance(w.fact, messages.AddTender)]
    keys = tender_adding.keys_of(connection, added)
    return [
        _claim(w.fact, keys.get(commands.ref_of(w.fact)))
        if isinstance(w.fact, messages.AddTender)
        else w.fact
        for w in work
    ]


def _claim(fact: messages.AddTender, order_key: int | None) -> messages.PaymentDue | None:
    if order_key is None:
        return None
    return messages.PaymentDue(fact.merchant_id, fact.order_id, order_key, fact.requested_at_us)


def _trace(effect: Calls, results: tuple[Attempt, ...], began_us: int) -> None:
    for attempt in results:
        what = "lookup" if effect.ask else attempt.operation.lower()
        told = {"souk.attempt_key": attempt.key, "souk.attempt_state": str(attempt.state)}
        now_us = clock.SystemClock().now_us()
        traces.record(f"gateway {what}", effect.trace_id, began_us, now_us, told)


def _results(work: Sequence[handler.Work], payable: Sequence[store.OrderSnapshot]) -> list[Attempt]:
    """Return the answers, except those for an order that ended in the meantime."""
    keys = {order.order_key for order in payable}
    return [a for w in work if w.result for a in w.result if a.order_key in keys]


def _calls(plan: payment_plans.Plan, tokens: Mapping[int, Mapping[str, str]]) -> Calls | None:
    step, accepted = plan.step, plan.accepted
    if not isinstance(step, rules.Ask | rules.Call):
        return None
    attempts = payment_plans.with_tokens(plan, step.attempts, tokens)
    ask = isinstance(step, rules.Ask)
    return Calls(accepted.merchant_id, attempts, ask=ask, trace_id=accepted.trace_id)


def _outcome(
    order_key: int, calls_of: dict[int, Calls], done: dict[int, messages.Fact]
) -> handler.Outcome:
    """Give each order's calls or fact to the first message about it, and nothing to a second."""
    if order_key in calls_of:
        return handler.Waiting(calls_of.pop(order_key))
    fact = done.pop(order_key, None)
    return handler.Settled((fact,) if fact else ())


class PaymentProcessing(function.PipelineFunction):
    """The second Pulsar Function."""

    def make_handler(self, options: settings.Settings) -> handler.StageHandler:
        """See PipelineFunction.make_handler."""
        gateway = registry.open_gateway(options)
        return PaymentHandler(gateway, options.gateway.timeout_s)
