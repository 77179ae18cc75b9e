"""Cancelling: an order is undone for its merchant as long as no charge was requested.

A cancel request that comes before its order waits for it; the order is then recorded as CANCELLED,
and nothing of it is reserved or charged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.inventory.messages import Demand
from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import awaited, codec, messages, rules, store
from internal.privacy import store as privacy_store
from internal.privacy.messages import reason_name
from internal.requests import store as requests_store
from internal.requests.messages import RequestState, SubjectKind


class Change(NamedTuple):
    """An order after a command was carried out."""

    order: store.OrderSnapshot
    fact: messages.OrderCancelled
    released: Demand
    """The stock that it gave up; the caller releases it."""


def refusal_of(order: store.OrderSnapshot) -> str:
    """Return why an order cannot be cancelled any more; "" if it can."""
    may_cancel = rules.may_cancel(order.state, order.charge_state)
    return "" if may_cancel else rules.NOT_CANCELLABLE


def undo(
    connection: sa.Connection,
    cancels: Sequence[tuple[messages.Asked, store.OrderSnapshot]],
    now_us: int,
) -> list[Change]:
    """Undo accepted orders, whose rows are locked; all but their stock is written."""
    claims = [(o.order_key, messages.LogStage.ORDER, messages.PLACED_EVENT) for _, o in cancels]
    logged = store.find_claims(connection, claims)
    changes = []
    for (asked, order), claim in zip(cancels, claims, strict=True):
        accepted = logged[claim][1]
        assert isinstance(accepted, messages.OrderAccepted)  # noqa: S101 - an ACCEPTED order has this fact
        changes.append(_change(asked.command, order, accepted, now_us))
    store.move(connection, [_transition(order, now_us) for _, order in cancels])
    store.log(connection, [_entry(change, now_us) for change in changes])
    reasons = [_reason(*each) for each in cancels if each[0].private.note]
    privacy_store.add(connection, privacy_store.Subject.ORDER, reasons, now_us)
    return changes


def _reason(asked: messages.Asked, order: store.OrderSnapshot) -> privacy_store.Held:
    values = {reason_name(asked.command.request_id): asked.private.note}
    return privacy_store.Held(order.order_key, order.merchant_id, values)


def _change(
    request: messages.Requested,
    order: store.OrderSnapshot,
    accepted: messages.OrderAccepted,
    now_us: int,
) -> Change:
    fact = fact_of(accepted, order.order_key, order.version + 1, request.request_id, now_us)
    after = msgspec.structs.replace(order, version=fact.version, state=OrderState.CANCELLED)
    return Change(after, fact, rules.demand_of(accepted))


def fact_of(
    order: messages.OrderPlaced | messages.OrderAccepted,
    order_key: int,
    version: int,
    request_id: str,
    now_us: int,
) -> messages.OrderCancelled:
    """Return the fact that a request has cancelled an order, which has this version then."""
    return messages.OrderCancelled(
        order_key=order_key,
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        store_id=order.store_id,
        version=version,
        at_us=now_us,
        placed_at_us=order.placed_at_us,
        request_id=request_id,
        trace_id=order.trace_id,
    )


def _transition(order: store.OrderSnapshot, now_us: int) -> store.Transition:
    return store.Transition(
        order_key=order.order_key,
        from_version=order.version,
        state=OrderState.CANCELLED,
        charge_state=ChargeState.NONE,
        stock_state=StockState.RELEASED,
        reason=messages.CANCELLED_BY_MERCHANT,
        at_us=now_us,
    )


def _entry(change: Change, now_us: int) -> store.LogEntry:
    return store.LogEntry(
        order_key=change.order.order_key,
        stage=messages.LogStage.CANCEL,
        event_id=change.fact.request_id,
        version=change.order.version,
        state=change.order.state,
        fact=change.fact,
        at_us=now_us,
    )


def honour(connection: sa.Connection, added: awaited.Added, now_us: int) -> dict[ids.OrderRef, str]:
    """Cancel those of the orders that were just inserted for which cancel requests wait.

    Returns:
        The request's id for each cancelled order: the oldest one's if several waited.
    """
    if not added.awaited:
        return {}
    subjects = [requests_store.Subject(it[0], SubjectKind.ORDER, it[1]) for it in added.awaited]
    found = requests_store.find_open(connection, subjects)
    cancels = [it for it in found if it.method == messages.CancelRequested.method]
    oldest: dict[ids.OrderRef, str] = {}
    for cancel in cancels:
        oldest.setdefault(ids.OrderRef(cancel.merchant_id, cancel.subject), cancel.request_id)
    awaited.cancel(connection, sorted(added.keys[ref] for ref in oldest))
    answer = messages.CommandAnswer(OrderState.CANCELLED, store.SECOND_VERSION)
    done = {"state": RequestState.DONE, "answer": codec.encode_answer(answer), "at_us": now_us}
    requests_store.change(connection, [msgspec.structs.replace(it, **done) for it in cancels])
    return oldest
