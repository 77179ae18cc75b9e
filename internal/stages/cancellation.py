"""Cancelling: an order is undone for its merchant as long as no charge was requested.

Every cancel request is logged once, so that a repeated one gets the same answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import messages, rules, store
from internal.privacy import store as privacy_store
from internal.privacy.messages import NOTHING, Private, reason_name

Facts = tuple[messages.Fact, ...]
NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"


class Request(NamedTuple):
    """A cancel request with its private half: the merchant's reason."""

    fact: messages.CancelRequested
    private: Private = NOTHING


def cancel(connection: sa.Connection, requests: Sequence[Request], now_us: int) -> list[Facts]:
    """Undo what may be undone, one request after another; return what is to be sent for each."""
    return [_cancel_one(connection, *request, now_us) for request in requests]


def _cancel_one(
    connection: sa.Connection, request: messages.CancelRequested, private: Private, now_us: int
) -> Facts:
    ref = ids.OrderRef(request.merchant_id, request.order_id)
    found = store.find(connection, [ref]).get(ref)
    if found is None:
        return ()
    order = store.lock(connection, [found.order_key])[found.order_key]
    claim = (order.order_key, messages.LogStage.CANCEL, request.request_id)
    logged = store.find_claims(connection, [claim]).get(claim)
    if logged:
        fact = logged[1]
        return (fact,) if isinstance(fact, messages.OrderCancelled) else ()
    _keep_reason(connection, order, request, private, now_us)
    if not rules.may_cancel(order.state, order.charge_state):
        store.log(connection, [_cancel_entry(order, request, request, NOT_CANCELLABLE, now_us)])
        return ()
    return (_undo(connection, order, request, now_us),)


def _keep_reason(
    connection: sa.Connection,
    order: store.OrderSnapshot,
    request: messages.CancelRequested,
    private: Private,
    now_us: int,
) -> None:
    if private.note:
        values = {reason_name(request.request_id): private.note}
        held = privacy_store.Held(order.order_key, order.merchant_id, values)
        privacy_store.add(connection, privacy_store.Subject.ORDER, [held], now_us)


def _undo(
    connection: sa.Connection,
    order: store.OrderSnapshot,
    request: messages.CancelRequested,
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
        request_id=request.request_id,
        body_hash=request.body_hash,
        trace_id=request.trace_id,
    )
    end = store.Transition(
        order_key=order.order_key,
        from_version=order.version,
        state=OrderState.CANCELLED,
        charge_state=ChargeState.NONE,
        stock_state=StockState.RELEASED,
        reason=messages.CANCELLED_BY_MERCHANT,
        at_us=now_us,
    )
    store.move(connection, [end])
    inventory_store.release(connection, inventory_rules.total([rules.demand_of(accepted)]))
    moved = msgspec.structs.replace(order, version=cancelled.version, state=OrderState.CANCELLED)
    store.log(connection, [_cancel_entry(moved, request, cancelled, "", now_us)])
    return cancelled


def _cancel_entry(
    order: store.OrderSnapshot,
    request: messages.CancelRequested,
    fact: messages.Fact,
    reason: str,
    now_us: int,
) -> store.LogEntry:
    return store.LogEntry(
        order_key=order.order_key,
        stage=messages.LogStage.CANCEL,
        event_id=request.request_id,
        version=order.version,
        state=order.state,
        reason=reason,
        fact=fact,
        at_us=now_us,
    )
