"""Payment processing: the next step of every payment, decided and recorded.

Works on a whole batch in the caller's transaction. The gateway is not called here: the caller
records the answers through payments.store and plans again.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.kernel.states import CHARGE_COMPLETE, ChargeState, OrderState, StockState
from internal.orders import messages, store
from internal.orders import rules as rules_of_orders
from internal.payments import manual_resolution, order_tenders, outcomes, rules, transactions
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, Captured, MoneyMovement, Operation
from internal.privacy import store as privacy_store
from internal.privacy.messages import EMPTY, tokens_in

NAME = messages.LogStage.PAYMENT
EndFact = messages.OrderPaid | messages.OrderRejected
NO_HISTORY = payments_store.History()


class Plan(msgspec.Struct, frozen=True):
    """An accepted order, what was tried, what is new, and what comes next."""

    accepted: messages.OrderAccepted
    order: store.OrderSnapshot
    attempts: tuple[Attempt, ...]
    new_attempts: tuple[Attempt, ...]
    movements: tuple[MoneyMovement, ...]
    """The recorded ones."""
    step: rules.Step


_O = store.ORDERS.c
HAS_OPEN_PAYMENT = (_O.state == OrderState.ACCEPTED) | (
    (_O.state == OrderState.PAID) & _O.charge_state.not_in(CHARGE_COMPLETE)
)
"""The condition of `has_open_payment` in SQL."""


def has_open_payment(order: store.OrderSnapshot) -> bool:
    """Tell whether the order waits for its payment, or a paid one for the return of its money."""
    is_open = order.charge_state not in CHARGE_COMPLETE
    return order.state is OrderState.ACCEPTED or (order.state is OrderState.PAID and is_open)


def plan(
    connection: sa.Connection,
    orders: Iterable[tuple[messages.OrderAccepted, store.OrderSnapshot]],
    now_us: int,
) -> list[Plan]:
    """Decide the next step of every order from its attempts so far."""
    pairs = list(orders)
    tried = [o.order_key for _, o in pairs if o.charge_state is not ChargeState.NONE]
    histories = payments_store.histories(connection, tried)
    return [
        plan_one(accepted, order, histories.get(order.order_key, NO_HISTORY), now_us)
        for accepted, order in pairs
    ]


def plan_one(
    accepted: messages.OrderAccepted,
    order: store.OrderSnapshot,
    history: payments_store.History,
    now_us: int,
) -> Plan:
    """Decide the next step of one order."""
    step = rules.next_step(_payment(accepted), history.attempts, now_us)
    new = step.attempts if isinstance(step, rules.Call) else ()
    attempts = (*history.attempts, *new)
    return Plan(accepted, order, attempts, new, history.movements, step)


def _payment(accepted: messages.OrderAccepted) -> rules.Payment:
    return rules.Payment(
        accepted.order_key,
        f"{accepted.merchant_id}/{accepted.order_id}",
        accepted.currency,
        accepted.tenders,
    )


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
    refs = [tender.tender_ref for tender in p.accepted.tenders]
    return tuple(
        msgspec.structs.replace(it, card_token=of_order.get(refs[it.tender_no - 1], ""))
        if _is_sale(it)
        else it
        for it in attempts
    )


def _is_sale(attempt: Attempt) -> bool:
    return attempt.operation is Operation.SALE


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
    plans = []
    for accepted, order in orders:
        before = histories.get(order.order_key, NO_HISTORY)
        after, voids = rules.give_up(_payment(accepted), before.attempts)
        for was, is_now in zip(before.attempts, after, strict=True):
            if is_now is not was:
                manual_resolution.override(connection, was, is_now, now_us)
        given_up = payments_store.History((*after, *voids), before.movements)
        plans.append(_plan_of_given_up(accepted, order, given_up, voids, now_us))
    return carry_out(connection, plans, now_us, due_at_us=now_us)


def _plan_of_given_up(
    accepted: messages.OrderAccepted,
    order: store.OrderSnapshot,
    history: payments_store.History,
    voids: tuple[Attempt, ...],
    now_us: int,
) -> Plan:
    if not history.attempts:
        step = rules.Declined(rules.GIVEN_UP)
        return Plan(accepted, order, (), (), history.movements, step)
    found = plan_one(accepted, order, history, now_us)
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
    waiting = [p for p in plans if not isinstance(p.step, rules.Paid | rules.Declined)]
    opened = [_still_open(p, became[p.order.order_key], due_at_us) for p in waiting]
    store.set_charge(connection, opened)
    paid = [_paid(p, p.step.captured, now_us) for p in plans if isinstance(p.step, rules.Paid)]
    refused = [_refused(p, p.step, now_us) for p in plans if isinstance(p.step, rules.Declined)]
    orders = {p.order.order_key: p for p in plans}
    facts: list[EndFact] = [*paid, *refused]
    ends = [(orders[f.order_key], became[f.order_key], f) for f in facts]
    store.move(connection, [_move(*end, now_us, due_at_us) for end in ends])
    store.log(connection, [_entry(f, p.order, now_us) for p, _, f in ends])
    _release_stock(connection, [orders[f.order_key].accepted for f in refused])
    return {fact.order_key: fact for fact in facts}


def _outcome(p: Plan) -> outcomes.Outcome:
    """Return what became of the tenders; of an order given up before its payment, of none."""
    is_untouched = isinstance(p.step, rules.Declined) and not (p.attempts or p.movements)
    wanted = () if is_untouched else p.accepted.tenders
    return outcomes.of(wanted, p.attempts, p.step, p.movements)


def _record_money(
    connection: sa.Connection,
    plans: Sequence[Plan],
    became: dict[int, outcomes.Outcome],
    now_us: int,
) -> None:
    """Record the tenders and the movements of their money."""
    records = [(p, _record(p, became[p.order.order_key])) for p in plans]
    order_tenders.add(connection, [it for p, it in records if _begins(p.order)], now_us)
    order_tenders.update(connection, [it for p, it in records if not _begins(p.order)], now_us)
    transactions.append(connection, [it for _, it in records], now_us)


def _record(p: Plan, outcome: outcomes.Outcome) -> outcomes.PaymentRecord:
    accepted = p.accepted
    return outcomes.PaymentRecord(
        order_key=accepted.order_key,
        merchant_id=accepted.merchant_id,
        store_id=accepted.store_id,
        currency=accepted.currency,
        business_day=accepted.business_day,
        outcome=outcome,
        moved_before=len(p.movements),
    )


def _begins(order: store.OrderSnapshot) -> bool:
    """Tell whether the order's payment begins, so that its tenders are not recorded yet."""
    return order.state is OrderState.ACCEPTED and order.charge_state is ChargeState.NONE


def repeat(connection: sa.Connection, orders: Sequence[store.OrderSnapshot]) -> dict[int, EndFact]:
    """Return the recorded facts of orders that have not changed since this stage was done."""
    claims = [
        (order.order_key, NAME, event)
        for order in orders
        for event in _END_EVENTS.get(order.state, (messages.ACCEPTED_EVENT,))
    ]
    versions = {order.order_key: order.version for order in orders}
    logged = store.find_claims(connection, claims)
    return {
        key: fact
        for (key, _, _), (version, fact) in logged.items()
        if version == versions[key] and isinstance(fact, EndFact)
    }


_END_EVENTS = {OrderState.REJECTED: (messages.ACCEPTED_EVENT, messages.GIVEN_UP_EVENT)}


def _still_open(p: Plan, became: outcomes.Outcome, due_at_us: int) -> store.OpenCharge:
    due = p.step.until_us if isinstance(p.step, rules.Wait) else due_at_us
    return store.OpenCharge(p.order.order_key, became.state, due, _amounts(became))


def _amounts(became: outcomes.Outcome) -> store.ChargeAmounts:
    return store.ChargeAmounts(
        tip_minor=sum(it.tender.tip_minor for it in became.tenders),
        cash_rounding_minor=sum(it.tender.rounding_minor for it in became.tenders),
        authorized_minor=became.sums.authorized_minor,
        captured_minor=became.sums.captured_minor,
        outstanding_minor=became.sums.outstanding_minor,
    )


def _paid(p: Plan, captured: tuple[Captured, ...], now_us: int) -> messages.OrderPaid:
    accepted = p.accepted
    return messages.OrderPaid(
        order_key=accepted.order_key,
        merchant_id=accepted.merchant_id,
        order_id=accepted.order_id,
        store_id=accepted.store_id,
        version=p.order.version + 1,
        at_us=now_us,
        placed_at_us=accepted.placed_at_us,
        currency=accepted.currency,
        lines=accepted.lines,
        taxes=accepted.taxes,
        captured=captured,
        gross_minor=accepted.gross_minor,
        discount_minor=accepted.discount_minor,
        net_minor=accepted.net_minor,
        tax_minor=accepted.tax_minor,
        total_minor=accepted.total_minor,
        discount_net_minor=accepted.discount_net_minor,
        trace_id=accepted.trace_id,
        business_day=accepted.business_day,
    )


def _refused(p: Plan, declined: rules.Declined, now_us: int) -> messages.OrderRejected:
    reason, explanation = _explain(declined)
    accepted = p.accepted
    return messages.OrderRejected(
        order_key=accepted.order_key,
        merchant_id=accepted.merchant_id,
        order_id=accepted.order_id,
        store_id=accepted.store_id,
        version=p.order.version + 1,
        at_us=now_us,
        placed_at_us=accepted.placed_at_us,
        stage=NAME,
        reason=reason,
        explanation=explanation,
        trace_id=accepted.trace_id,
    )


def _explain(declined: rules.Declined) -> tuple[str, str]:
    if declined.code == rules.GIVEN_UP:
        what = "an operator has given the order up; nothing is charged"
        return messages.RejectReason.GIVEN_UP_BY_OPERATOR, what
    if declined.code:
        return messages.RejectReason.PAYMENT_DECLINED, f"the card was declined: {declined.code}"
    what = "the payment gateway could not be reached; nothing was charged"
    return messages.RejectReason.GATEWAY_UNAVAILABLE, what


def _move(
    p: Plan, became: outcomes.Outcome, fact: EndFact, now_us: int, due_at_us: int
) -> store.Transition:
    if isinstance(fact, messages.OrderPaid):
        return store.Transition(
            order_key=fact.order_key,
            from_version=p.order.version,
            state=OrderState.PAID,
            charge_state=became.state,
            stock_state=StockState.RESERVED,
            due_at_us=due_at_us,
            at_us=now_us,
            amounts=_amounts(became),
        )
    return store.Transition(
        order_key=fact.order_key,
        from_version=p.order.version,
        state=OrderState.REJECTED,
        charge_state=became.state,
        stock_state=StockState.RELEASED,
        reason=fact.reason,
        explanation=fact.explanation,
        at_us=now_us,
        amounts=_amounts(became),
    )


def _release_stock(connection: sa.Connection, orders: Sequence[messages.OrderAccepted]) -> None:
    held = [rules_of_orders.demand_of(order) for order in orders]
    inventory_store.release(connection, inventory_rules.total(held))


def _entry(fact: EndFact, order: store.OrderSnapshot, now_us: int) -> store.LogEntry:
    is_paid = isinstance(fact, messages.OrderPaid)
    was_paid = order.state is OrderState.PAID
    return store.LogEntry(
        order_key=fact.order_key,
        stage=NAME,
        event_id=messages.GIVEN_UP_EVENT if was_paid else messages.ACCEPTED_EVENT,
        version=fact.version,
        state=OrderState.PAID if is_paid else OrderState.REJECTED,
        reason=fact.refusal_code,
        fact=fact,
        at_us=now_us,
    )
