"""I1, I2, I6, I7, I9 and I11: orders, their histories, claims, receipt numbers and deadlines.

No order is lost, doubled, stuck, left behind or in an illegal state, and no claim or receipt number
is used twice. Writes nothing.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.checks import findings, receipts
from internal.checks.scope import Scope
from internal.infra import bulk
from internal.kernel import ids, states
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import store
from internal.payments.messages import OnDecline

BATCH_ORDERS = 10_000
"""Acknowledged orders that are looked up by one query."""
WINDOW_ORDERS = 20_000
"""Orders whose histories are grouped by one query."""
OVERDUE_AFTER_S = 300
"""By then the janitor has looked at the order many times without effect."""

_DOUBLED = findings.Rule(
    "I2",
    "an order is recorded once",
    """
    SELECT o.merchant_id, o.order_id, o.order_key FROM orders o
    WHERE o.order_key > :after AND o.order_key <= :upto AND EXISTS (SELECT 1 FROM orders other
      WHERE other.merchant_id = o.merchant_id AND other.order_id = o.order_id
        AND other.order_key < o.order_key)
    """,
    findings.by_order(store.ORDERS),
)
_LOG_HAS_ORDERS = findings.Rule(
    "I6",
    "a row of the order log belongs to an order",
    """
    SELECT l.order_key, l.stage, l.event_id
    FROM order_log l LEFT JOIN orders o ON o.order_key = l.order_key
    WHERE l.order_key > :after AND l.order_key <= :upto AND o.order_key IS NULL
    """,
    findings.by_order(store.ORDER_LOG),
)
_CLAIMED_TWICE = findings.Rule(
    "I7",
    "an event is claimed once",
    """
    SELECT order_key, stage, event_id, COUNT(*) AS claims FROM order_log
    WHERE order_key > :after AND order_key <= :upto
    GROUP BY order_key, stage, event_id HAVING COUNT(*) > 1
    """,
    findings.by_order(store.ORDER_LOG),
)
_TERMINAL_BUT_DUE = findings.Rule(
    "I9",
    "an order in a terminal state has no deadline",
    """
    SELECT merchant_id, order_id, state, due_at_us FROM orders
    WHERE due_at_us >= 0
      AND state IN (:order_finalized, :order_rejected, :order_cancelled, :order_expired)
    """,
)
_OVERDUE = findings.Rule(
    "I9",
    "no order's deadline has long passed",
    """
    SELECT merchant_id, order_id, state, due_at_us FROM orders WHERE due_at_us < :overdue_us
    """,
)
_LEFT_BEHIND = findings.Rule(
    "I11",
    "an open order has a deadline, a hold, an open dead letter or an undecided payment",
    """
    SELECT o.merchant_id, o.order_id, o.state FROM orders o
    WHERE o.order_key > :after AND o.order_key <= :upto
      AND o.due_at_us IS NULL AND o.state IN (:order_accepted, :order_paid)
      AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.closed_at_us IS NULL
        AND d.subject_kind = :subject_order
        AND d.merchant_id = o.merchant_id AND d.subject = o.order_id)
      AND NOT EXISTS (SELECT 1 FROM payment_attempts a WHERE a.order_key = o.order_key
        AND (a.state IN (:attempt_unknown, :attempt_different)
          OR (a.operation = :request_void AND a.state = :attempt_declined)))
      AND NOT EXISTS (SELECT 1 FROM appointments h
        WHERE h.kind = :hold AND h.subject = CAST(o.order_key AS CHAR))
    """,
    findings.by_order(store.ORDERS),
)
_HOLDS_AGREE = findings.Rule(
    "I11",
    "an order that is kept open has a hold until it is paid or ends, and no other order has one",
    """
    SELECT o.merchant_id, o.order_id, o.state, h.subject FROM orders o
      LEFT JOIN appointments h ON h.kind = :hold AND h.subject = CAST(o.order_key AS CHAR)
    WHERE o.order_key > :after AND o.order_key <= :upto
      AND (h.subject IS NULL) <> (o.on_decline <> :keep_open OR o.state <> :order_accepted)
    """,
    findings.by_order(store.ORDERS),
)
_HOLDS_HAVE_ORDERS = findings.Rule(
    "I11",
    "a hold belongs to an order",
    """
    SELECT h.subject
    FROM appointments h LEFT JOIN orders o ON o.order_key = CAST(h.subject AS SIGNED)
    WHERE h.kind = :hold AND o.order_key IS NULL
    """,
)
"""A PENDING attempt owns nothing: driving its order on brings an answer, or makes it UNKNOWN."""
RULES = (
    _DOUBLED,
    _LOG_HAS_ORDERS,
    _CLAIMED_TWICE,
    *receipts.RULES,
    _TERMINAL_BUT_DUE,
    _LEFT_BEHIND,
    _HOLDS_AGREE,
    _HOLDS_HAVE_ORDERS,
)
_ENDED = frozenset(
    (charge, StockState.RELEASED)
    for charge in (ChargeState.NONE, ChargeState.DECLINED, ChargeState.VOIDED)
)
AXES: Mapping[OrderState, frozenset[tuple[ChargeState, StockState]]] = {
    OrderState.PLACED: frozenset(),
    OrderState.ACCEPTED: frozenset(
        {
            (ChargeState.NONE, StockState.RESERVED),
            (ChargeState.PENDING, StockState.RESERVED),
            (ChargeState.UNKNOWN, StockState.RESERVED),
        }
    ),
    OrderState.PAID: frozenset(
        {
            (ChargeState.FULL, StockState.RESERVED),
            (ChargeState.PENDING, StockState.RESERVED),
            (ChargeState.UNKNOWN, StockState.RESERVED),
        }
    ),
    OrderState.FINALIZED: frozenset({(ChargeState.FULL, StockState.COMMITTED)}),
    OrderState.REJECTED: frozenset(
        {
            (ChargeState.NONE, StockState.NONE),
            (ChargeState.NONE, StockState.RELEASED),
            (ChargeState.DECLINED, StockState.RELEASED),
            (ChargeState.VOIDED, StockState.RELEASED),
        }
    ),
    OrderState.CANCELLED: frozenset(
        {(ChargeState.NONE, StockState.NONE), (ChargeState.NONE, StockState.RELEASED)}
    ),
    OrderState.EXPIRED: frozenset(),
}
"""The charge and stock states that a recorded order may have in each order state."""
KEPT_OPEN: Mapping[OrderState, frozenset[tuple[ChargeState, StockState]]] = {
    OrderState.ACCEPTED: frozenset(
        {
            (ChargeState.PARTLY_CAPTURED, StockState.RESERVED),
            (ChargeState.DECLINED, StockState.RESERVED),
            (ChargeState.VOIDED, StockState.RESERVED),
        }
    ),
    OrderState.CANCELLED: _ENDED,
    OrderState.EXPIRED: _ENDED,
}
"""What an order that is kept open may have besides."""


def check(connection: sa.Connection, scope: Scope, now_us: int | None) -> list[findings.Finding]:
    """Return the broken rules about orders, their log, claims and receipts: see RULES and AXES.

    Deadlines are checked if `now_us` is given.
    """
    found = findings.evaluate(connection, RULES, scope)
    found += _histories(connection, scope)
    found += _axes(connection, scope)
    if now_us is not None:
        overdue_us = now_us - OVERDUE_AFTER_S * US_PER_SECOND
        found += findings.evaluate(connection, (_OVERDUE,), scope, {"overdue_us": overdue_us})
    return found


def check_acknowledged(
    connection: sa.Connection, orders: Iterable[ids.OrderRef], *, may_wait: bool
) -> list[findings.Finding]:
    """Return which of these orders are missing, and which are not in a terminal state.

    `may_wait` accepts orders that only an operator can move: open ones without a deadline.
    """
    broken = findings.Collector("I1")
    for batch in _batches(orders):
        for row in bulk.select(connection, _ORDER_REF, _NOT_TERMINAL, batch):
            example = findings.show(**row._asdict())
            if row.state is None:
                broken.add("an order that was answered OK is recorded", example)
            elif not (may_wait and row.due_at_us is None):
                broken.add("an order that was answered OK comes to its end", example)
    return broken.findings()


def check_backlog(backlog: Mapping[str, int]) -> list[findings.Finding]:
    """Return the subscriptions ({name: messages}) that have not acknowledged everything."""
    broken = findings.Collector("I9")
    for name, messages in backlog.items():
        if messages:
            example = findings.show(subscription=name, messages=messages)
            broken.add("nothing is left unacknowledged", example, messages)
    return broken.findings()


_ORDER_REF = bulk.shape_of(store.ORDERS, "merchant_id", "order_id")
_TERMINAL = ", ".join(f"'{state}'" for state in sorted(states.ORDER_TERMINAL))
_NOT_TERMINAL = (
    "SELECT w.merchant_id, w.order_id, t.state, t.due_at_us FROM {w} LEFT JOIN orders t"  # noqa: S608
    " ON t.merchant_id = {w.merchant_id} AND t.order_id = {w.order_id}"
    f" WHERE t.state IS NULL OR t.state NOT IN ({_TERMINAL})"
)


def _batches(orders: Iterable[ids.OrderRef]) -> Iterator[list[ids.OrderRef]]:
    rest = iter(orders)
    while batch := list(itertools.islice(rest, BATCH_ORDERS)):
        yield batch


class _Span(NamedTuple):
    """The versions of an order in one state, as far as its log has them."""

    first: int
    last: int
    state: str

    def __str__(self) -> str:
        return f"{self.state}:{self.first}-{self.last}"


def _histories(connection: sa.Connection, scope: Scope) -> list[findings.Finding]:
    """Group all orders by their history in the log, and check each of the few histories once."""
    broken = findings.Collector("I6")
    for window in _windows(connection, scope):
        for row in connection.execute(_HISTORIES, window):
            spans = _spans(row)
            if not _is_legal(row, spans):
                where = {"order_key": row.example, "state": row.state, "version": row.version}
                example = findings.show(**where, history=">".join(map(str, spans)))
                broken.add(_LEGAL_HISTORY, example, row.orders)
    return broken.findings()


def _windows(connection: sa.Connection, scope: Scope) -> Iterator[dict[str, int]]:
    key = store.ORDERS.c.order_key
    return findings.windows(connection, key, WINDOW_ORDERS, key > scope.after)


_LEGAL_HISTORY = (
    "an order's history in the log is a path of the table and ends in the order's state"
)
_ON_THE_WAY = tuple(state for state in OrderState if state not in states.ORDER_TERMINAL)
_STATES_ON_THE_WAY = ", ".join(f"'{state}'" for state in _ON_THE_WAY)
_IN_STATE = {state: f"l.state = '{state}'" for state in _ON_THE_WAY} | {
    "END": f"l.state = o.state AND l.state NOT IN ({_STATES_ON_THE_WAY})"
}
_SPANS = {
    f"{side}_{name}": (side, which) for name, which in _IN_STATE.items() for side in ("MIN", "MAX")
}
_AGGREGATES = ", ".join(
    f"{side}(CASE WHEN {which} THEN l.version END) AS {name}"
    for name, (side, which) in _SPANS.items()
)
_HISTORIES = sa.text(
    f"""
    SELECT state, version, strange, {", ".join(_SPANS)},
      COUNT(*) AS orders, MIN(order_key) AS example
    FROM (
      SELECT o.order_key, MAX(o.state) AS state, MAX(o.version) AS version,
        SUM(CASE WHEN l.state IN ({_STATES_ON_THE_WAY}) OR l.state = o.state
          THEN 0 ELSE 1 END) AS strange,
        {_AGGREGATES}
      FROM orders o LEFT JOIN order_log l ON l.order_key = o.order_key
      WHERE o.order_key > :after AND o.order_key <= :upto
      GROUP BY o.order_key
    ) AS histories
    GROUP BY state, version, strange, {", ".join(_SPANS)}
    """  # noqa: S608 - names of our own
)
"""Of every order the first and last logged version in each state that it may have been in."""


def _spans(row: sa.Row[tuple[object, ...]]) -> list[_Span]:
    """Return the versions of each state in the log, in their order."""
    names = {str(state): str(state) for state in _ON_THE_WAY} | {"END": row.state}
    found = (
        (getattr(row, f"MIN_{name}"), getattr(row, f"MAX_{name}"), state)
        for name, state in names.items()
    )
    return sorted(_Span(*it) for it in found if it[0] is not None)


def _is_legal(row: sa.Row[tuple[object, ...]], spans: Sequence[_Span]) -> bool:
    """Tell whether a history leads from PLACED to the order's own state.

    Versions without a row are changes of the charge, in a state that waits for money.
    """
    if row.strange or not spans or row.state not in OrderState.__members__:
        return False
    named = [OrderState(it.state) for it in spans]
    if named[-1] != row.state or not states.is_legal_history(named):
        return False
    following = [it.first for it in spans[1:]] + [row.version + 1]
    return spans[0].first == 1 and all(map(_is_followed, spans, following))


def _is_followed(span: _Span, version: int) -> bool:
    """Tell whether the next state may begin, or the order's versions end, with this version."""
    if span.state in _WAITS_FOR_MONEY:
        return version > span.last
    return span.first == span.last and version == span.last + 1


_WAITS_FOR_MONEY = (OrderState.ACCEPTED, OrderState.PAID)
"""The states in which a charge changes; that of a PAID order only if it is given up."""


def _axes(connection: sa.Connection, scope: Scope) -> list[findings.Finding]:
    """Group all orders by their three states, and check each combination once.

    Where nothing is to be paid, nothing is charged, and that is all of it: NONE counts as FULL.
    """
    query = sa.text(
        "SELECT state, charge_state, stock_state, on_decline, COUNT(*) AS orders,"
        " MIN(order_key) AS example"
        " FROM (SELECT order_key, state, stock_state, on_decline, CASE WHEN charge_state = 'NONE'"
        "  AND state IN ('PAID', 'FINALIZED') AND total_minor + tip_minor + cash_rounding_minor = 0"
        "  THEN 'FULL' ELSE charge_state END AS charge_state"
        "  FROM orders WHERE order_key > :after AND order_key <= :upto) AS axes"
        " GROUP BY state, charge_state, stock_state, on_decline"
    )
    broken = findings.Collector("I6")
    for window in _windows(connection, scope):
        for row in connection.execute(query, window):
            legal = AXES.get(row.state, frozenset())
            if row.on_decline == OnDecline.KEEP_OPEN:
                legal |= KEPT_OPEN.get(row.state, frozenset())
            if (row.charge_state, row.stock_state) not in legal:
                example = findings.show(**row._asdict())
                broken.add("an order's charge and stock agree with its state", example, row.orders)
    return broken.findings()
