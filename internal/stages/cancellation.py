"""Cancelling: an order is undone for its merchant as long as no charge was requested.

An open order is undone whatever it holds: if it holds money, or may do so, it is marked to end, and
the payment stage voids everything before it answers the request.

A cancel request that comes before its order waits for it; the order is then recorded as CANCELLED,
and nothing of it is reserved or charged.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.inventory.messages import Demand
from internal.kernel import ids
from internal.kernel.states import OrderState, StockState
from internal.orders import awaited, changes, codec, messages, rules, store
from internal.payments.messages import Ending
from internal.requests import store as requests_store
from internal.requests.messages import Request, RequestState, SubjectKind
from internal.stages import open_orders, reasons


class Change(NamedTuple):
    """An order after a command was carried out."""

    order: store.OrderSnapshot
    fact: messages.OrderCancelled | messages.OrderAccepted | messages.PaymentDue | None
    released: tuple[Demand, ...] = ()
    """The stock that it gave up; the caller releases it."""
    reserved: tuple[Demand, ...] = ()
    """The stock that it takes; the caller reserves it."""
    is_answered: bool = True
    """Whether the command has its answer; if not, the payment stage answers it."""
    refusal: str = ""
    """Why the command was not carried out after all."""
    explanation: str = ""
    """The refusal in words, where the reason alone does not say enough."""


def refusal_of(order: store.OrderSnapshot) -> str:
    """Return why an order cannot be cancelled any more; "" if it can."""
    kept = order.is_kept_open
    may_cancel = rules.may_cancel(order.state, order.charge_state, is_kept_open=kept)
    return "" if may_cancel else rules.NOT_CANCELLABLE


def undo(
    connection: sa.Connection,
    cancels: Sequence[tuple[messages.Asked, store.OrderSnapshot]],
    now_us: int,
) -> list[Change]:
    """Undo accepted orders, whose rows are locked; all but their stock is written.

    Open orders that hold money, or may do so, are left to the payment stage.
    """
    held = [pair for pair in cancels if _may_hold_money(pair[1])]
    ended = iter(_end(connection, [it for it in cancels if not _may_hold_money(it[1])], now_us))
    endings = {order.order_key: Ending.CANCELLED for _, order in held}
    open_orders.end(connection, endings, now_us)
    reasons.keep(connection, [(asked, order.order_key) for asked, order in cancels], now_us)
    return [
        _handed_over(order, now_us) if _may_hold_money(order) else next(ended)
        for _, order in cancels
    ]


def _may_hold_money(order: store.OrderSnapshot) -> bool:
    return order.charge_state not in rules.HOLDS_NOTHING


def _handed_over(order: store.OrderSnapshot, now_us: int) -> Change:
    fact = messages.PaymentDue(order.merchant_id, order.order_id, order.order_key, now_us)
    return Change(order, fact, is_answered=False)


def _end(
    connection: sa.Connection,
    cancels: Sequence[tuple[messages.Asked, store.OrderSnapshot]],
    now_us: int,
) -> list[Change]:
    logged = changes.newest_accepted(connection, [order.order_key for _, order in cancels])
    ended, entries = [], []
    for asked, order in cancels:
        accepted = logged[order.order_key]
        request_id, version = asked.command.request_id, order.version + 1
        fact = fact_of(accepted, order.order_key, version, request_id, now_us)
        after = msgspec.structs.replace(order, version=version, state=OrderState.CANCELLED)
        ended.append(Change(after, fact, (rules.demand_of(accepted),)))
        entries.append(_entry(fact, now_us))
    store.move(connection, [_transition(order, now_us) for _, order in cancels])
    store.log(connection, entries)
    kept = [order.order_key for _, order in cancels if order.is_kept_open]
    open_orders.settle(connection, kept)
    return ended


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
        charge_state=order.charge_state,
        stock_state=StockState.RELEASED,
        reason=messages.CANCELLED_BY_MERCHANT,
        at_us=now_us,
    )


def _entry(fact: messages.OrderCancelled, now_us: int) -> store.LogEntry:
    return store.LogEntry(
        order_key=fact.order_key,
        stage=messages.LogStage.CANCEL,
        event_id=fact.request_id,
        version=fact.version,
        state=OrderState.CANCELLED,
        fact=fact,
        at_us=now_us,
    )


def honour(connection: sa.Connection, added: awaited.Added, now_us: int) -> dict[ids.OrderRef, str]:
    """Cancel those of the orders that were just inserted for which cancel requests wait.

    Returns:
        The request's id for each cancelled order: the oldest one's if several waited.
    """
    versions = dict.fromkeys(added.awaited, store.SECOND_VERSION)
    answered = _answer_waiting(connection, versions, now_us)
    oldest = _oldest(answered)
    if oldest:
        found = {it.key: added.keys[_ref_of(it)] for it in answered}
        reasons.hand_over(connection, found, now_us)
        awaited.cancel(connection, sorted(added.keys[ref] for ref in oldest))
    return oldest


def answer_waiting(
    connection: sa.Connection, versions: Mapping[ids.OrderRef, int], now_us: int
) -> dict[ids.OrderRef, str]:
    """Answer the cancel requests that wait for these orders, which this transaction cancels.

    Args:
        connection: in a transaction.
        versions: the version that each order has then.
        now_us: the time.

    Returns:
        The request's id for each order for which one waited: the oldest one's if there were more.
    """
    return _oldest(_answer_waiting(connection, versions, now_us))


def _answer_waiting(
    connection: sa.Connection, versions: Mapping[ids.OrderRef, int], now_us: int
) -> list[Request]:
    """Answer the cancel requests that wait for these orders; return them, oldest first."""
    if not versions:
        return []
    subjects = [requests_store.Subject(ref[0], SubjectKind.ORDER, ref[1]) for ref in versions]
    answered = [
        _answered(it, versions[_ref_of(it)], now_us)
        for it in requests_store.find_open(connection, subjects)
        if it.method == messages.CancelRequested.method
    ]
    requests_store.change(connection, answered)
    return answered


def _oldest(requests: Sequence[Request]) -> dict[ids.OrderRef, str]:
    """Return the id of the first request about each order."""
    oldest: dict[ids.OrderRef, str] = {}
    for request in requests:
        oldest.setdefault(_ref_of(request), request.request_id)
    return oldest


def _ref_of(request: Request) -> ids.OrderRef:
    return ids.OrderRef(request.merchant_id, request.subject)


def _answered(cancel: Request, version: int, now_us: int) -> Request:
    answer = codec.encode_answer(messages.CommandAnswer(OrderState.CANCELLED, version))
    return msgspec.structs.replace(cancel, state=RequestState.DONE, answer=answer, at_us=now_us)
