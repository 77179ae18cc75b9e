"""Commands about orders, a batch at a time: each is carried out once, however often it comes.

Its row in `requests` is written in the same transaction. The order's row is locked before anything
is decided; stock is left to the caller, who locks it last. A new command is a row of COMMANDS.

A command that finds no order takes a second pass: the first one records it, and once that is
committed the second one looks for the order with a lock. The order stage looks for such commands
after it has inserted an order. So one of the two always sees the other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.auth import actors
from internal.infra import bulk
from internal.inventory.messages import NO_EXCHANGE, Exchange
from internal.kernel import ids
from internal.orders import codec, messages, store
from internal.privacy.messages import Private
from internal.requests import rules
from internal.requests import store as requests_store
from internal.requests.messages import Request, RequestKey, RequestState, SubjectKind
from internal.stages import cancellation, order_updating, reasons, tender_adding

Facts = tuple[messages.Fact, ...]


class Command(NamedTuple):
    """A kind of command."""

    stage: messages.LogStage
    """Logs the change of the order, under the request's id."""
    missing: str
    """The refusal if there is no such order; "" if the command waits for it."""
    refusal_of: Callable[[store.OrderSnapshot], str]
    """Returns why an order in its state cannot take the command; "" if it can."""
    carry_out: Callable[
        [sa.Connection, Sequence[tuple[messages.Asked, store.OrderSnapshot]], int],
        Sequence[cancellation.Change],
    ]
    """Takes those that can with their locked orders, and the time; writes all but stock."""
    event: str = ""
    """Leads the request's id in the log."""


COMMANDS: dict[type, Command] = {
    messages.CancelRequested: Command(
        messages.LogStage.CANCEL, "", cancellation.refusal_of, cancellation.undo
    ),
    messages.AddTender: Command(
        messages.LogStage.PAYMENT, "ORDER_NOT_FOUND", tender_adding.refusal_of, tender_adding.add
    ),
    messages.UpdateOrder: Command(
        messages.LogStage.ORDER,
        "ORDER_NOT_FOUND",
        order_updating.refusal_of,
        order_updating.update,
        messages.UPDATED_EVENT,
    ),
}


class CarriedOut(NamedTuple):
    """What became of a batch of commands."""

    outcomes: list[Facts | None]
    """The facts to be sent for each; None for one that takes another pass."""
    stock: Exchange
    """The stock that orders took and gave up; the caller reserves and releases it."""


Orders = dict[ids.OrderRef, store.OrderSnapshot]
Requests = dict[RequestKey, Request]
Unanswered = dict[RequestKey, messages.Requested]


class _Decision(NamedTuple):
    """What is recorded of a command in this pass."""

    state: RequestState
    facts: Facts | None
    """None if it must take another pass."""
    status: str = ""
    order: store.OrderSnapshot | None = None
    change: cancellation.Change | None = None


def carry_out(
    connection: sa.Connection, asked: Sequence[messages.Asked], now_us: int
) -> CarriedOut:
    """Carry out the commands that are new; repeat the facts that the others have led to.

    Raises:
        Conflict: another transaction took the same command or order; repeat the whole transaction.
    """
    if not asked:
        return CarriedOut([], NO_EXCHANGE)
    commands = [it.command for it in asked]
    known, orders = _find(connection, commands)
    unanswered = _without_answer(commands, known)
    orders |= _lock(connection, unanswered, known, orders)
    halves = {id(it.command): it.private for it in asked}
    decisions = _decide(connection, unanswered, orders, halves, now_us)
    missing = {key: it for key, it in unanswered.items() if ref_of(it) not in orders}
    decisions |= {key: _without_order(it, known.get(key)) for key, it in missing.items()}
    new = [it for key, it in missing.items() if key not in known]
    waiting = [messages.Asked(it, halves[id(it)]) for it in new if not COMMANDS[type(it)].missing]
    reasons.keep_waiting(connection, waiting, now_us)
    _record(connection, unanswered, known, decisions, now_us)
    others = [command for command in commands if unanswered.get(key_of(command)) is not command]
    repeated = _repeat(connection, others, known, orders)
    # One that is in neither has found an order that changed in this batch.
    sent: dict[int, Facts | None] = {id(c): repeated.get(key_of(c), ()) for c in others}
    sent |= {id(c): decisions[key].facts for key, c in unanswered.items() if key in decisions}
    made = [it.change for it in decisions.values() if it.change]
    reserved = [demand for it in made for demand in it.reserved]
    released = [demand for it in made for demand in it.released]
    outcomes = [sent.get(id(command)) for command in commands]
    return CarriedOut(outcomes, Exchange(reserved, released))


def key_of(command: messages.Requested) -> RequestKey:
    """Return the key of a command's row in `requests`."""
    return RequestKey(command.merchant_id, command.method, command.request_id)


def ref_of(command: messages.Requested) -> ids.OrderRef:
    """Return the order that a command is about."""
    return ids.OrderRef(command.merchant_id, command.order_id)


def _find(
    connection: sa.Connection, commands: Sequence[messages.Requested]
) -> tuple[Requests, Orders]:
    keys, refs = dict.fromkeys(map(key_of, commands)), dict.fromkeys(map(ref_of, commands))
    queries = [requests_store.query_of(list(keys)), store.query_of(list(refs))]
    requests, orders = bulk.select_many(connection, queries)
    return requests_store.found_in(requests), store.found_in(orders)


def _without_answer(commands: Sequence[messages.Requested], known: Requests) -> Unanswered:
    """Return the first command under each id that has no answer yet."""
    unanswered: Unanswered = {}
    for command in commands:
        recorded = known.get(key_of(command))
        is_open = recorded is None or recorded.state is not RequestState.DONE
        if is_open and rules.judge(recorded, command.body_hash) is not rules.Verdict.REUSED:
            unanswered.setdefault(key_of(command), command)
    return unanswered


def _lock(
    connection: sa.Connection, unanswered: Unanswered, known: Requests, orders: Orders
) -> Orders:
    """Lock the orders; those of commands that are committed are looked for once more."""
    refs = dict.fromkeys(ref_of(command) for command in unanswered.values())
    keys = sorted(orders[ref].order_key for ref in refs if ref in orders)
    locked = store.lock(connection, keys).values()
    found = {ids.OrderRef(order.merchant_id, order.order_id): order for order in locked}
    late = {ref_of(command) for key, command in unanswered.items() if key in known} - found.keys()
    return found | store.lock_named(connection, sorted(late))


def _decide(
    connection: sa.Connection,
    unanswered: Unanswered,
    orders: Orders,
    halves: Mapping[int, Private],
    now_us: int,
) -> dict[RequestKey, _Decision]:
    """Decide the commands whose orders are there, one change of each order at most.

    `halves` has the private half of each by the fact's id().
    """
    decisions, accepted = {}, dict[ids.OrderRef, messages.Requested]()
    for key, command in unanswered.items():
        ref = ref_of(command)
        if ref not in orders or ref in accepted:
            continue
        status = COMMANDS[type(command)].refusal_of(orders[ref])
        if status:
            decisions[key] = _Decision(RequestState.DONE, (), status, orders[ref])
        else:
            accepted[ref] = command
    for kind, row in COMMANDS.items():
        of_kind = {ref: command for ref, command in accepted.items() if type(command) is kind}
        pairs = [(messages.Asked(c, halves[id(c)]), orders[ref]) for ref, c in of_kind.items()]
        changes = row.carry_out(connection, pairs, now_us) if pairs else ()
        for command, it in zip(of_kind.values(), changes, strict=True):
            state = RequestState.DONE if it.is_answered else RequestState.WAITING
            order = it.order if it.is_answered else None
            facts = (it.fact,) if it.fact else ()
            decisions[key_of(command)] = _Decision(state, facts, it.refusal, order, it)
    return decisions


def _without_order(command: messages.Requested, known: Request | None) -> _Decision:
    if known is None:
        return _Decision(RequestState.RECEIVED, None)
    refusal = COMMANDS[type(command)].missing
    return _Decision(RequestState.DONE if refusal else RequestState.WAITING, (), refusal)


def _record(
    connection: sa.Connection,
    unanswered: Unanswered,
    known: Requests,
    decisions: dict[RequestKey, _Decision],
    now_us: int,
) -> None:
    rows = [_request(unanswered[key], decision, now_us) for key, decision in decisions.items()]
    new = [row for row in rows if row.key not in known]
    requests_store.add(connection, _with_actors(connection, new, unanswered, now_us))
    changed = [row for row in rows if row.key in known and row.state is not known[row.key].state]
    requests_store.change(connection, changed)


def _with_actors(
    connection: sa.Connection, new: Sequence[Request], unanswered: Unanswered, now_us: int
) -> list[Request]:
    """Return the requests with the actors that sent them."""
    senders = {key: (key.merchant_id, unanswered[key].key_id) for key in (it.key for it in new)}
    keys = {
        sender: actors.key_of(connection, sender[0], actors.API_KEY, sender[1], now_us)
        for sender in sorted(set(senders.values()))
        if sender[1]
    }
    return [msgspec.structs.replace(it, actor_key=keys.get(senders[it.key])) for it in new]


def _request(command: messages.Requested, decision: _Decision, now_us: int) -> Request:
    order, answer = decision.order, ""
    if order:
        words = decision.change.explanation if decision.change else ""
        answer = codec.encode_answer(messages.CommandAnswer(order.state, order.version, words))
    return Request(
        merchant_id=command.merchant_id,
        method=command.method,
        request_id=command.request_id,
        body_hash=command.body_hash,
        subject_kind=SubjectKind.ORDER,
        subject=command.order_id,
        state=decision.state,
        status=decision.status,
        answer=answer,
        at_us=now_us,
    )


def _repeat(
    connection: sa.Connection,
    commands: Sequence[messages.Requested],
    known: Requests,
    orders: Orders,
) -> dict[RequestKey, Facts]:
    """Return the facts that the same commands have led to, for one that was never sent on."""
    claims = {}
    for command in commands:
        key, order = key_of(command), orders.get(ref_of(command))
        is_same = rules.judge(known.get(key), command.body_hash) is rules.Verdict.REPEATED
        if order and is_same:
            row = COMMANDS[type(command)]
            claims[order.order_key, str(row.stage), row.event + command.request_id] = key
    logged = store.find_claims(connection, list(claims)) if claims else {}
    return {claims[claim]: (fact,) for claim, (_, fact) in logged.items()}
