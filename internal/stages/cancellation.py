"""Cancelling: an order is undone for its merchant as long as no money was asked for.

Every wish is noted once, so that a repeated one gets the same answer.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import messages, rules, store

Facts = tuple[messages.Fact, ...]
BY_MERCHANT = "CANCELLED_BY_MERCHANT"
NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"


def cancel(
    connection: sa.Connection, wishes: Sequence[messages.CancelRequested], now_us: int
) -> list[Facts]:
    """Undo what may be undone, one wish after another; return what goes on its way."""
    return [_cancel_one(connection, wish, now_us) for wish in wishes]


def _cancel_one(connection: sa.Connection, wish: messages.CancelRequested, now_us: int) -> Facts:
    name = ids.OrderRef(wish.merchant_id, wish.order_id)
    found = store.find(connection, [name]).get(name)
    if found is None:
        return ()
    order = store.lock(connection, [found.order_key])[found.order_key]
    claim = (order.order_key, messages.LogStage.CANCEL, wish.request_id)
    logged = store.find_claims(connection, [claim]).get(claim)
    if logged:
        fact = logged[1]
        return (fact,) if isinstance(fact, messages.OrderCancelled) else ()
    if not rules.may_cancel(order.state, order.charge_state):
        store.log(connection, [_cancel_entry(order, wish, wish, NOT_CANCELLABLE, now_us)])
        return ()
    return (_undo(connection, order, wish, now_us),)


def _undo(
    connection: sa.Connection,
    order: store.OrderSnapshot,
    wish: messages.CancelRequested,
    now_us: int,
) -> messages.OrderCancelled:
    event = (order.order_key, messages.LogStage.ORDER, messages.PLACED_EVENT)
    accepted = store.find_claims(connection, [event])[event][1]
    assert isinstance(accepted, messages.OrderAccepted)  # noqa: S101 - an ACCEPTED order has this fact
    cancelled = messages.OrderCancelled(
        order_key=order.order_key,
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        store_id=accepted.store_id,
        version=order.version + 1,
        at_us=now_us,
        placed_at_us=accepted.placed_at_us,
        request_id=wish.request_id,
        reason=wish.reason,
        trace_id=wish.trace_id,
    )
    end = store.Transition(
        order.order_key,
        order.version,
        OrderState.CANCELLED,
        ChargeState.NONE,
        StockState.RELEASED,
        BY_MERCHANT,
        wish.reason,
        None,
        now_us,
    )
    store.move(connection, [end])
    inventory_store.release(connection, inventory_rules.total([rules.demand_of(accepted)]))
    moved = msgspec.structs.replace(order, version=cancelled.version, state=OrderState.CANCELLED)
    store.log(connection, [_cancel_entry(moved, wish, cancelled, "", now_us)])
    return cancelled


def _cancel_entry(
    order: store.OrderSnapshot,
    wish: messages.CancelRequested,
    fact: messages.Fact,
    reason: str,
    now_us: int,
) -> store.LogEntry:
    return store.LogEntry(
        order.order_key,
        messages.LogStage.CANCEL,
        wish.request_id,
        order.version,
        order.state,
        reason,
        fact,
        now_us,
    )
