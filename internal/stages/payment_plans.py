"""The next step of the payment of each order in a batch, from everything that is recorded of it.

Writes nothing: payment_processing.carry_out records a plan.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.kernel.states import ChargeState, OrderState
from internal.orders import messages, store
from internal.payments import rules
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, Ending, MoneyMovement, Operation
from internal.privacy import store as privacy_store
from internal.privacy.messages import EMPTY, tokens_in
from internal.stages import open_orders

NO_HISTORY = payments_store.History()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted order, what was tried, what is new, and what comes next."""

    accepted: messages.OrderAccepted
    order: store.OrderSnapshot
    payment: rules.Payment
    attempts: tuple[Attempt, ...]
    new_attempts: tuple[Attempt, ...]
    movements: tuple[MoneyMovement, ...]
    """The recorded ones."""
    step: rules.Step
    tenders_recorded: int
    """This many of the payment's tenders are recorded already, the first ones."""
    business_day: int
    """The day to which money that moves now belongs."""
    is_ending: bool = False
    """An open order is to end, which this plan has decided."""


def plan(
    connection: sa.Connection,
    orders: Iterable[tuple[messages.OrderAccepted, store.OrderSnapshot]],
    now_us: int,
) -> list[Plan]:
    """Decide the next step of every order from its attempts so far."""
    pairs = list(orders)
    tried = [
        order.order_key
        for _, order in pairs
        if order.charge_state is not ChargeState.NONE or order.is_kept_open
    ]
    histories = payments_store.histories(connection, tried)
    opened = open_orders.load(connection, pairs, now_us)
    return [
        plan_one(
            accepted,
            order,
            histories.get(order.order_key, NO_HISTORY),
            now_us,
            opened.get(order.order_key),
        )
        for accepted, order in pairs
    ]


def plan_one(
    accepted: messages.OrderAccepted,
    order: store.OrderSnapshot,
    history: payments_store.History,
    now_us: int,
    opened: open_orders.OpenOrder | None = None,
) -> Plan:
    """Decide the next step of one order; `opened` is there if it is kept open."""
    payment = payment_of(accepted, order, opened)
    step = rules.next_step(payment, history.attempts, now_us)
    is_over = isinstance(step, rules.Open) and opened is not None and opened.is_over(now_us)
    if is_over:
        payment = msgspec.structs.replace(payment, ending=Ending.EXPIRED)
        step = rules.next_step(payment, history.attempts, now_us)
    new = step.attempts if isinstance(step, rules.Call) else ()
    return Plan(
        accepted=accepted,
        order=order,
        payment=payment,
        attempts=(*history.attempts, *new),
        new_attempts=new,
        movements=history.movements,
        step=step,
        tenders_recorded=_recorded(payment, order, opened),
        business_day=opened.business_day if opened else accepted.business_day,
        is_ending=is_over,
    )


def payment_of(
    accepted: messages.OrderAccepted,
    order: store.OrderSnapshot,
    opened: open_orders.OpenOrder | None,
) -> rules.Payment:
    """Return the payment of an order. A PAID one is planned only if it was given up."""
    tenders, ending = accepted.tenders, None
    if opened:
        tenders = opened.tenders or tenders
        ending = Ending.GIVEN_UP if order.state is OrderState.PAID else opened.ending
    return rules.Payment(
        accepted.order_key,
        f"{accepted.merchant_id}/{accepted.order_id}",
        accepted.currency,
        tenders,
        accepted.total_minor,
        is_open=opened is not None,
        ending=ending,
    )


def _recorded(
    payment: rules.Payment, order: store.OrderSnapshot, opened: open_orders.OpenOrder | None
) -> int:
    """Count the recorded tenders: of an order that is not kept open, all or none."""
    if opened:
        return len(opened.tenders)
    begins = order.state is OrderState.ACCEPTED and order.charge_state is ChargeState.NONE
    return 0 if begins else len(payment.tenders)


def tokens(connection: sa.Connection, plans: Sequence[Plan]) -> dict[int, dict[str, str]]:
    """Return the tokens of the orders whose sales are sent now, by order and tender.

    One query, and none if there is nothing to take.
    """
    keys = [p.order.order_key for p in plans if _sends_sale(p.step)]
    if not keys:
        return {}
    found = privacy_store.find(connection, privacy_store.Subject.ORDER, keys)
    return {key: tokens_in(values) for key, values in found.items()}


def _sends_sale(step: rules.Step) -> bool:
    return isinstance(step, rules.Ask | rules.Call) and any(map(_is_sale, step.attempts))


def with_tokens(
    p: Plan, attempts: Sequence[Attempt], found: Mapping[int, Mapping[str, str]]
) -> tuple[Attempt, ...]:
    """Return attempts as they are sent: a sale with its token, if the order has one for it."""
    of_order = found.get(p.order.order_key, EMPTY)
    refs = [tender.tender_ref for tender in p.payment.tenders]
    return tuple(
        msgspec.structs.replace(it, card_token=of_order.get(refs[it.tender_no - 1], ""))
        if _is_sale(it)
        else it
        for it in attempts
    )


def _is_sale(attempt: Attempt) -> bool:
    return attempt.operation is Operation.SALE
