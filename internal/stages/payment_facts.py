"""How the end of a payment is told: its fact, the order's step, and the entry of the log. Pure."""

from collections.abc import Mapping
from typing import Any

from internal.kernel import ids
from internal.kernel.states import OrderState, StockState
from internal.orders import messages, store
from internal.payments import outcomes, rules
from internal.payments.messages import Ending
from internal.stages.payment_plans import Plan

NAME = messages.LogStage.PAYMENT
EndFact = (
    messages.OrderPaid | messages.OrderRejected | messages.OrderCancelled | messages.OrderExpired
)
STATE_AFTER: dict[type, OrderState] = {
    messages.OrderPaid: OrderState.PAID,
    messages.OrderRejected: OrderState.REJECTED,
    messages.OrderCancelled: OrderState.CANCELLED,
    messages.OrderExpired: OrderState.EXPIRED,
}
END_EVENTS: dict[OrderState, tuple[str, ...]] = {
    OrderState.REJECTED: (messages.ACCEPTED_EVENT, messages.GIVEN_UP_EVENT),
    OrderState.CANCELLED: (messages.HOLD_EVENT,),
    OrderState.EXPIRED: (messages.HOLD_EVENT,),
}
"""The events under which the last fact of an order may be logged; of any other ACCEPTED_EVENT."""


NO_REQUEST = "cancelled"
"""Stands for the id of a cancel request that waited longer than requests are kept."""


def fact_of(p: Plan, now_us: int, cancelled_by: Mapping[ids.OrderRef, str]) -> EndFact | None:
    """Return the fact of a payment that has ended; None for one that goes on.

    `cancelled_by` has the ids of the requests that have cancelled orders.
    """
    match p.step:
        case rules.Paid():
            return _paid(p, p.step, now_us)
        case rules.Declined():
            return _rejected(p, now_us, *_explain(p.step.code))
        case rules.Undone(Ending.GIVEN_UP):
            return _rejected(p, now_us, *_explain(rules.GIVEN_UP))
        case rules.Undone(Ending.CANCELLED):
            ref = ids.OrderRef(p.order.merchant_id, p.order.order_id)
            request_id = cancelled_by.get(ref, NO_REQUEST)
            return messages.OrderCancelled(**_common(p, now_us), request_id=request_id)
        case rules.Undone():
            return messages.OrderExpired(**_common(p, now_us))
    return None


def left_open(p: Plan, became: outcomes.Outcome, now_us: int) -> messages.OrderLeftOpen:
    """Return the fact that an open order waits for its customer."""
    return messages.OrderLeftOpen(**_common(p, now_us) | {"version": version_of(p, became)})


def version_of(p: Plan, became: outcomes.Outcome) -> int:
    """Return the version of an order whose payment goes on: a new one if its charge has changed."""
    has_changed = became.state is not p.order.charge_state
    return p.order.version + bool(has_changed or p.new_attempts or became.moved)


def _common(p: Plan, now_us: int) -> dict[str, Any]:
    accepted = p.accepted
    return {
        "order_key": accepted.order_key,
        "merchant_id": accepted.merchant_id,
        "order_id": accepted.order_id,
        "store_id": accepted.store_id,
        "version": p.order.version + 1,
        "at_us": now_us,
        "placed_at_us": accepted.placed_at_us,
        "trace_id": accepted.trace_id,
    }


def _paid(p: Plan, step: rules.Paid, now_us: int) -> messages.OrderPaid:
    accepted = p.accepted
    return messages.OrderPaid(
        **_common(p, now_us),
        currency=accepted.currency,
        lines=accepted.lines,
        taxes=accepted.taxes,
        captured=step.captured,
        gross_minor=accepted.gross_minor,
        discount_minor=accepted.discount_minor,
        net_minor=accepted.net_minor,
        tax_minor=accepted.tax_minor,
        total_minor=accepted.total_minor,
        discount_net_minor=accepted.discount_net_minor,
        business_day=accepted.business_day,
    )


def _rejected(p: Plan, now_us: int, reason: str, explanation: str) -> messages.OrderRejected:
    return messages.OrderRejected(
        **_common(p, now_us), stage=NAME, reason=reason, explanation=explanation
    )


def _explain(code: str) -> tuple[str, str]:
    if code == rules.GIVEN_UP:
        what = "an operator has given the order up; nothing is charged"
        return messages.RejectReason.GIVEN_UP_BY_OPERATOR, what
    if code:
        return messages.RejectReason.PAYMENT_DECLINED, f"the card was declined: {code}"
    what = "the payment gateway could not be reached; nothing was charged"
    return messages.RejectReason.GATEWAY_UNAVAILABLE, what


def amounts_of(p: Plan, became: outcomes.Outcome) -> store.ChargeAmounts:
    """Return the sums over the tenders; of an open order those that brought nothing have none."""
    tenders = became.live if p.payment.is_open else [it.tender for it in became.tenders]
    return store.ChargeAmounts(
        tip_minor=sum([it.tip_minor for it in tenders]),
        cash_rounding_minor=sum([it.rounding_minor for it in tenders]),
        authorized_minor=became.sums.authorized_minor,
        captured_minor=became.sums.captured_minor,
        outstanding_minor=became.sums.outstanding_minor,
    )


def move_of(
    p: Plan, became: outcomes.Outcome, fact: EndFact, now_us: int, due_at_us: int
) -> store.Transition:
    """Return the order's step; `due_at_us` is the deadline of the next stage."""
    is_paid = isinstance(fact, messages.OrderPaid)
    return store.Transition(
        order_key=fact.order_key,
        from_version=p.order.version,
        state=STATE_AFTER[type(fact)],
        charge_state=became.state,
        stock_state=StockState.RESERVED if is_paid else StockState.RELEASED,
        reason=fact.refusal_code,
        explanation=fact.explanation if isinstance(fact, messages.OrderRejected) else "",
        due_at_us=due_at_us if is_paid else None,
        at_us=now_us,
        amounts=amounts_of(p, became),
    )


def entry_of(fact: EndFact, order: store.OrderSnapshot, now_us: int) -> store.LogEntry:
    """Return the entry of the log, which claims the event that the stage has taken."""
    event_id = messages.ACCEPTED_EVENT
    if order.state is OrderState.PAID:
        event_id = messages.GIVEN_UP_EVENT
    elif isinstance(fact, messages.OrderCancelled | messages.OrderExpired):
        event_id = messages.HOLD_EVENT
    return store.LogEntry(
        order_key=fact.order_key,
        stage=NAME,
        event_id=event_id,
        version=fact.version,
        state=STATE_AFTER[type(fact)],
        reason=fact.refusal_code,
        fact=fact,
        at_us=now_us,
    )
