"""Payment processing: the next step of every payment, decided and recorded.

Works on a whole batch in the caller's transaction. The gateway is not called here: the caller
records the answers through payments.store and plans again.
"""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.kernel import ids
from internal.kernel.states import CHARGE_COMPLETE, OrderState
from internal.orders import changes, messages, store
from internal.orders import rules as rules_of_orders
from internal.payments import manual_resolution, order_tenders, outcomes, rules, transactions
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, Ending
from internal.pipeline import appointments
from internal.stages import cancellation, open_orders, payment_facts, payment_plans
from internal.stages.payment_facts import EndFact
from internal.stages.payment_plans import NO_HISTORY, Plan

NAME = messages.LogStage.PAYMENT


_O = store.ORDERS.c
HAS_OPEN_PAYMENT = (_O.state == OrderState.ACCEPTED) | (
    (_O.state == OrderState.PAID) & _O.charge_state.not_in(CHARGE_COMPLETE)
)
"""The condition of `has_open_payment` in SQL."""


def has_open_payment(order: store.OrderSnapshot) -> bool:
    """Tell whether the order waits for its payment, or a paid one for the return of its money."""
    is_open = order.charge_state not in CHARGE_COMPLETE
    return order.state is OrderState.ACCEPTED or (order.state is OrderState.PAID and is_open)


def give_up(
    connection: sa.Connection,
    orders: Sequence[tuple[messages.OrderAccepted, store.OrderSnapshot]],
    now_us: int,
) -> dict[int, EndFact]:
    """End the payment of orders that an operator gives up, paid ones too; their rows are locked.

    Return the facts of those that held no money at the gateway, by order_key: they are REJECTED
    now. The others are due now, and the payment stage voids what they hold before it rejects them.

    Raises:
        Conflict: another instance changed the same rows; repeat the whole transaction.
    """
    histories = payments_store.histories(connection, [order.order_key for _, order in orders])
    opened = open_orders.load(connection, orders, now_us)
    plans = []
    for accepted, order in orders:
        before = histories.get(order.order_key, NO_HISTORY)
        of_open = opened.get(order.order_key)
        payment = payment_plans.payment_of(accepted, order, of_open)
        after, voids = rules.give_up(payment, before.attempts)
        for was, is_now in zip(before.attempts, after, strict=True):
            if is_now is not was:
                manual_resolution.override(connection, was, is_now, now_us)
        given_up = payments_store.History((*after, *voids), before.movements)
        if of_open and of_open.hold:
            of_open = msgspec.structs.replace(of_open, hold=_given_up(of_open.hold))
        found = payment_plans.plan_one(accepted, order, given_up, now_us, of_open)
        plans.append(_as_given_up(found, voids, is_untouched=not given_up.attempts))
    return carry_out(connection, plans, now_us, due_at_us=now_us)


def _given_up(hold: appointments.Appointment) -> appointments.Appointment:
    """Return the hold of an order that is to end now; a reason that it has already stays."""
    return msgspec.structs.replace(hold, reason=hold.reason or Ending.GIVEN_UP)


def _as_given_up(found: Plan, voids: tuple[Attempt, ...], *, is_untouched: bool) -> Plan:
    """Return a plan with the voids; an order without attempts has nothing to undo."""
    if found.payment.is_open:
        new = (*voids, *found.new_attempts)
        return msgspec.structs.replace(found, new_attempts=new, is_ending=True)
    if is_untouched:
        step = rules.Declined(rules.GIVEN_UP)
        return msgspec.structs.replace(found, step=step, attempts=(), new_attempts=())
    return msgspec.structs.replace(found, new_attempts=(*voids, *found.new_attempts))


def carry_out(
    connection: sa.Connection, plans: Sequence[Plan], now_us: int, due_at_us: int
) -> dict[int, EndFact]:
    """Record the plans; return the facts of those that came to an end, by order_key.

    Raises:
        Conflict: another instance changed the same rows; repeat the whole transaction.
    """
    payments_store.add(connection, [a for p in plans for a in p.new_attempts], now_us)
    became = {p.order.order_key: _outcome(p) for p in plans}
    _record_money(connection, plans, became, now_us)
    cancelled_by = _answer_cancels(connection, plans, now_us)
    found = ((p, payment_facts.fact_of(p, now_us, cancelled_by)) for p in plans)
    facts = {p.order.order_key: fact for p, fact in found if fact}
    waiting = [p for p in plans if p.order.order_key not in facts]
    opened = [_still_open(p, became[p.order.order_key], now_us, due_at_us) for p in waiting]
    changes.set_charge(connection, opened)
    ended = [(p, facts[p.order.order_key]) for p in plans if p.order.order_key in facts]
    store.move(
        connection,
        [
            payment_facts.move_of(p, became[p.order.order_key], fact, now_us, due_at_us)
            for p, fact in ended
        ],
    )
    store.log(connection, [payment_facts.entry_of(fact, p.order, now_us) for p, fact in ended])
    _keep_holds(connection, waiting, [p for p, _ in ended], now_us)
    refused = [p.accepted for p, fact in ended if not isinstance(fact, messages.OrderPaid)]
    _release_stock(connection, refused)
    return facts


def _answer_cancels(
    connection: sa.Connection, plans: Sequence[Plan], now_us: int
) -> dict[ids.OrderRef, str]:
    """Answer the requests that wait for these orders' end; return the id of one for each order."""
    cancelled = [p.order for p in plans if p.step == rules.Undone(Ending.CANCELLED)]
    versions = {ids.OrderRef(it.merchant_id, it.order_id): it.version + 1 for it in cancelled}
    return cancellation.answer_waiting(connection, versions, now_us)


def left_open(plans: Sequence[Plan], now_us: int) -> dict[int, messages.OrderLeftOpen]:
    """Return the facts of the orders that wait for their customers, by order_key."""
    waiting = [p for p in plans if isinstance(p.step, rules.Open)]
    return {p.order.order_key: payment_facts.left_open(p, _outcome(p), now_us) for p in waiting}


def _keep_holds(
    connection: sa.Connection, waiting: Sequence[Plan], ended: Sequence[Plan], now_us: int
) -> None:
    """Note which open orders are to end; those that have ended, or are PAID, have no hold."""
    endings = {p.order.order_key: p.payment.ending for p in waiting if p.is_ending}
    open_orders.end(connection, {key: it for key, it in endings.items() if it}, now_us)
    settled = [p.order.order_key for p in ended if p.payment.is_open]
    open_orders.settle(connection, settled)


def _outcome(p: Plan) -> outcomes.Outcome:
    """Return what became of the tenders; of an order that ends before its payment, of none."""
    payment = p.payment
    is_over = isinstance(p.step, rules.Declined | rules.Undone)
    if is_over and not (p.attempts or p.movements or (payment.is_open and p.tenders_recorded)):
        payment = msgspec.structs.replace(payment, tenders=())
    return outcomes.of(payment, p.attempts, p.step, p.movements)


def _record_money(
    connection: sa.Connection,
    plans: Sequence[Plan],
    became: Mapping[int, outcomes.Outcome],
    now_us: int,
) -> None:
    """Record the tenders and the movements of their money."""
    records = [_record(p, became[p.order.order_key]) for p in plans]
    order_tenders.add(connection, records, now_us)
    order_tenders.update(connection, records, now_us)
    transactions.append(connection, records, now_us)


def _record(p: Plan, outcome: outcomes.Outcome) -> outcomes.PaymentRecord:
    accepted = p.accepted
    return outcomes.PaymentRecord(
        order_key=accepted.order_key,
        merchant_id=accepted.merchant_id,
        store_id=accepted.store_id,
        currency=accepted.currency,
        business_day=p.business_day,
        outcome=outcome,
        tenders_before=p.tenders_recorded,
        moved_before=len(p.movements),
    )


def repeat(connection: sa.Connection, orders: Sequence[store.OrderSnapshot]) -> dict[int, EndFact]:
    """Return the recorded facts of orders that have not changed since this stage was done."""
    claims = [
        (order.order_key, NAME, event)
        for order in orders
        for event in payment_facts.END_EVENTS.get(order.state, (messages.ACCEPTED_EVENT,))
    ]
    versions = {order.order_key: order.version for order in orders}
    logged = store.find_claims(connection, claims)
    return {
        key: fact
        for (key, _, _), (version, fact) in logged.items()
        if version == versions[key] and isinstance(fact, EndFact)
    }


def _still_open(
    p: Plan, became: outcomes.Outcome, now_us: int, due_at_us: int
) -> changes.OpenCharge:
    """Return what is known of a charge; only its hold owns an order that waits for its customer."""
    due: int | None = due_at_us
    if isinstance(p.step, rules.Wait):
        due = p.step.until_us
    elif isinstance(p.step, rules.Open):
        due = None
    return changes.OpenCharge(
        order_key=p.order.order_key,
        from_version=p.order.version,
        version=payment_facts.version_of(p, became),
        state=became.state,
        due_at_us=due,
        at_us=now_us,
        amounts=payment_facts.amounts_of(p, became),
    )


def _release_stock(connection: sa.Connection, orders: Sequence[messages.OrderAccepted]) -> None:
    held = [rules_of_orders.demand_of(order) for order in orders]
    inventory_store.release(connection, inventory_rules.total(held))
