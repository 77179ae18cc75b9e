"""An order's timeline for support staff: every step, and what the order waits for now.

Reads the database, not the API, so it includes details that merchants do not see: payment
attempts, dead letters, crashes and operators' actions. Writes nothing; shows no card token.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.auth import actors, audit_log
from internal.flow import janitor, topics
from internal.kernel import ids
from internal.kernel.states import OrderState, is_terminal
from internal.orders import fact_bases
from internal.orders.messages import OrderCancelled
from internal.payments import manual_resolution
from internal.payments import store as payments_store
from internal.payments.messages import Attempt
from internal.pipeline import crash_counts, dead_letters
from internal.privacy import store as privacy_store
from internal.privacy.messages import EMPTY, NOTE, reasons_in
from internal.requests import rules
from internal.requests import store as requests_store
from internal.requests.messages import Request, RequestState, SubjectKind
from internal.views import order as order_view


class Step(msgspec.Struct, frozen=True):
    """One event of the timeline."""

    at_us: int
    who: str
    """A stage, the gateway, or an operator's name."""
    what: str
    why: str = ""


class OrderTimeline(msgspec.Struct, frozen=True, rename={"crashes": "lives_lost"}):
    """An order's current state and its steps, oldest first."""

    merchant_id: str
    order_id: str
    store_id: str
    state: str
    charge_state: str
    stock_state: str
    version: int
    currency: str
    total_minor: int
    trace_id: str
    waits_for: str
    """A sentence; empty for an order in a terminal state."""
    next_look_us: int | None
    """The instant at which the order is examined again, if nothing happens earlier."""
    crashes: dict[str, int]
    """{stage: processes that died while they handled the order}; `lives_lost` in JSON."""
    steps: tuple[Step, ...]


def get(connection: sa.Connection, merchant_id: str, order_id: str) -> OrderTimeline | None:
    """Return the timeline of an order; None if nothing is known of it.

    An order that is not recorded may still have dead letters, and requests that wait for it.
    """
    view = order_view.get(connection, merchant_id, order_id)
    about = ids.Subject(fact_bases.SUBJECT_KIND, merchant_id, order_id)
    letters = dead_letters.of_subject(connection, about)
    subject = requests_store.Subject(merchant_id, SubjectKind.ORDER, order_id)
    requests = requests_store.of_subject(connection, subject)
    if view is None and not letters and not requests:
        return None
    told = _reasons(connection, view, requests)
    senders = actors.names_of(connection, {it.actor_key for it in requests if it.actor_key})
    steps = [
        *(_log_steps(view, told) if view else ()),
        *(_payment_steps(connection, view) if view else ()),
        *(_dead_letter_step(letter) for letter in letters),
        *(_request_step(request, told, senders) for request in requests),
        *(_operator_step(it) for it in audit_log.of_order(connection, merchant_id, order_id)),
    ]
    return OrderTimeline(
        merchant_id=merchant_id,
        order_id=order_id,
        store_id=view.store_id if view else "",
        state=view.state if view else OrderState.PLACED,
        charge_state=view.charge_state if view else "NONE",
        stock_state=view.stock_state if view else "NONE",
        version=view.version if view else 0,
        currency=view.currency if view else "",
        total_minor=view.total_minor if view else 0,
        trace_id=view.trace_id if view else "",
        waits_for=_waits_for(view, letters),
        next_look_us=view.due_at_us if view else None,
        crashes=crash_counts.of_subject(connection, about),
        steps=tuple(sorted(steps, key=lambda step: step.at_us)),
    )


def _reasons(
    connection: sa.Connection, view: order_view.OrderView | None, requests: Sequence[Request]
) -> dict[str, str]:
    """Return why the merchant asked to cancel, by the request's id."""
    numbers = {rules.number_of(it.key): it.request_id for it in requests}
    waiting = privacy_store.find(connection, privacy_store.Subject.REQUEST, sorted(numbers))
    told = {numbers[number]: texts[NOTE] for number, texts in waiting.items()}
    if view is None:
        return told
    kept = privacy_store.find(connection, privacy_store.Subject.ORDER, [view.order_key])
    return told | reasons_in(kept.get(view.order_key, EMPTY))


def _log_steps(view: order_view.OrderView, told: Mapping[str, str]) -> Iterator[Step]:
    for entry in view.timeline:
        what = f"{type(entry.fact).__name__}, {entry.state} version {entry.version}"
        asked = entry.fact.request_id if isinstance(entry.fact, OrderCancelled) else ""
        yield Step(entry.at_us, entry.stage, what, entry.reason or told.get(asked, ""))


def _payment_steps(connection: sa.Connection, view: order_view.OrderView) -> Iterator[Step]:
    """Yield the last known state of each attempt, at the instant at which it became known."""
    table = payments_store.PAYMENT_ATTEMPTS.c
    query = sa.select(table.attempt_no, table.updated_at_us)
    rows = connection.execute(query.where(table.order_key == view.order_key))
    at_us = {row[0]: row[1] for row in rows}
    for it in view.attempts:
        what = f"attempt {it.attempt_no}: {it.operation} of tender {it.tender_no} {it.state}"
        why = " ".join(filter(None, (it.decline_code, it.gateway_reference)))
        if it.tries:
            why = f"tried {it.tries}x {why}".rstrip()
        yield Step(at_us[it.attempt_no], "gateway", what, why)


def _dead_letter_step(letter: dead_letters.DeadLetter) -> Step:
    status = letter.closed_by or "open"
    what = f"dead letter {letter.letter_key}, {status}"
    return Step(letter.at_us, letter.stage, what, f"{letter.code}: {letter.explanation}")


def _request_step(request: Request, told: Mapping[str, str], senders: Mapping[int, str]) -> Step:
    """Return a request's step; what it has changed has one of its own."""
    outcome = str(request.state) if request.state is not RequestState.DONE else "answered"
    known = senders.get(request.actor_key) if request.actor_key else None
    sender = f" of {known}" if known else ""
    what = f"request {request.request_id}{sender}, {outcome.lower()}"
    why = ": ".join(filter(None, (request.status, told.get(request.request_id, ""))))
    return Step(request.at_us, request.method, what, why)


def _operator_step(action: audit_log.Action) -> Step:
    what = f"{action.action} {action.subject}: {action.detail}"
    return Step(action.at_us, f"operator {action.actor}", what, action.reason)


def _waits_for(
    view: order_view.OrderView | None, letters: Sequence[dead_letters.DeadLetter]
) -> str:
    open_letters = [letter for letter in letters if letter.closed_at_us is None]
    if open_letters:
        key = open_letters[-1].letter_key
        return f"an operator: dead-lettered, see `souk dlq show {key}`, then replay or drop it"
    if view is None:
        on_the_way = f"{topics.ORDER.name}: its message is on the way again"
        return on_the_way if letters else "the order itself: none has come under this id"
    if is_terminal(view.state):
        return ""
    if view.due_at_us is None and any(map(_has_no_verdict, view.attempts)):
        return "an operator: `souk payments decide` or `ask`"
    if any(map(manual_resolution.is_undecided, view.attempts)):
        return "the gateway's verdict on an UNKNOWN payment"
    taker = janitor.taker_of(view.state, view.charge_state)
    return taker.name if taker else ""


def _has_no_verdict(attempt: Attempt) -> bool:
    is_asked_about = attempt.state in manual_resolution.IS_ASKED_ABOUT
    return is_asked_about or manual_resolution.is_undecided(attempt)
