"""Histories, deadlines and acknowledged orders, judged case by case and for any window size."""

import itertools
from collections.abc import Iterable

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from internal.checks import orders
from internal.checks.scope import EVERYTHING
from internal.infra import db
from internal.kernel import states
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.ids import OrderRef
from internal.kernel.states import OrderState
from tests.support import shop, staged_orders
from tests.unit.checks import corruptions
from tests.unit.checks.good_database import Database

NOW_US = shop.NOW_US
LEFT_BEHIND = "an open order has a deadline, a hold, an open dead letter or an undecided payment"
PLACED, ACCEPTED, PAID = OrderState.PLACED, OrderState.ACCEPTED, OrderState.PAID
WAITING = (ACCEPTED, PAID)
"""The states whose orders get versions without steps, and new steps."""
PATHS = st.sampled_from(OrderState).map(lambda end: [PLACED, ACCEPTED, ACCEPTED, PAID, end])
HISTORIES = st.lists(st.sampled_from(OrderState), max_size=6) | PATHS
GAPS = st.lists(st.sampled_from((0, 0, 1)), min_size=6, max_size=6)


def add_order(connection: sa.Connection, **fields: int | str | None) -> None:
    table = db.METADATA.tables["orders"]
    empty = {c.name: 0 if isinstance(c.type, sa.BigInteger) else "" for c in table.c}
    nothing = {"receipt_no": None, "due_at_us": None, "merchant_id": "m-1", "order_id": "o-1"}
    connection.execute(table.insert().values(empty | nothing | {"order_key": 1} | fields))


def add_log(
    connection: sa.Connection, order_key: int, history: Iterable[tuple[int, OrderState]]
) -> None:
    table = db.METADATA.tables["order_log"]
    for version, state in history:
        row = {"order_key": order_key, "stage": "s", "event_id": f"e-{version}", "fact": "{}"}
        named = {"version": version, "state": state, "reason": "", "digest": 0, "at_us": 0}
        connection.execute(table.insert().values(row | named))


def sentences(connection: sa.Connection, now_us: int | None = None) -> list[str]:
    return [finding.sentence for finding in orders.check(connection, EVERYTHING, now_us)]


@example(history=[PLACED, ACCEPTED, PAID], gaps=[0] * 6, state=ACCEPTED, extra=-1)
@example(history=[PLACED, ACCEPTED], gaps=[0, 1, *[0] * 4], state=ACCEPTED, extra=0)
@example(history=[PLACED, ACCEPTED, PAID], gaps=[0, 0, 1, *[0] * 3], state=PAID, extra=1)
@given(history=HISTORIES, gaps=GAPS, state=st.sampled_from(OrderState), extra=st.integers(-1, 1))
def test_a_history_is_legal_if_the_table_of_states_says_so(
    empty: sa.Connection, history: list[OrderState], gaps: list[int], state: OrderState, extra: int
) -> None:
    versions = list(itertools.accumulate(1 + gap for gap in gaps[: len(history)]))
    steps = list(zip(versions, history, strict=True))
    version = (versions or [0])[-1] + extra
    with staged_orders.undone(empty):
        add_order(empty, state=state, version=version)
        add_log(empty, 1, steps)
        found = sentences(empty)
    assert (orders._LEGAL_HISTORY in found) == (not is_legal(steps, state, version))


def is_legal(steps: list[tuple[int, OrderState]], state: OrderState, version: int) -> bool:
    """Tell whether the steps lead to the order's state and version by moves of the table."""
    if not steps or steps[0] != (1, PLACED) or steps[-1][1] is not state:
        return False
    moves = zip(steps, [*steps[1:], (version, state)], strict=True)
    return all(
        (after - before == 1 and states.may_move(was, is_now))
        or (was in WAITING and after > before and (was is is_now or states.may_move(was, is_now)))
        or (before, was) == (version, state) == (after, is_now)
        for (before, was), (after, is_now) in moves
    )


def test_every_legal_history_is_accepted() -> None:
    with staged_orders.database() as connection:
        legal, open_ = [], [[OrderState.PLACED]]
        while open_:
            history = open_.pop()
            legal.append(history)
            open_ += [[*history, after] for after in states.ORDER_MOVES[history[-1]]]
        for order_key, history in enumerate(legal, start=1):
            fields = {"order_id": f"o-{order_key}", "state": history[-1]}
            add_order(connection, **fields, order_key=order_key, version=len(history))
            add_log(connection, order_key, enumerate(history, start=1))
        assert len(legal) > len(OrderState)
        assert orders._LEGAL_HISTORY not in sentences(connection)


def test_every_state_has_its_charge_and_stock_states() -> None:
    assert set(orders.AXES) == set(OrderState)


@pytest.mark.parametrize("window_orders", [1, 2, 5])
@pytest.mark.parametrize(
    "name", ["an illegal transition", "a charge state that does not fit the state"]
)
def test_windows_change_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, window_orders: int
) -> None:
    monkeypatch.setattr(orders, "WINDOW_ORDERS", window_orders)
    assert not database.check()
    _, *statements = corruptions.CORRUPTIONS[name]
    database.corrupt(*statements)
    (found,) = database.check()
    assert (found.invariant, found.count) == ("I6", 1)


@pytest.mark.parametrize(
    ("age_us", "is_overdue"),
    [
        (-1, False),
        (0, False),
        (orders.OVERDUE_AFTER_S * US_PER_SECOND, False),
        (orders.OVERDUE_AFTER_S * US_PER_SECOND + 1, True),
    ],
)
def test_a_deadline_is_overdue_after_some_minutes(
    database: Database, age_us: int, *, is_overdue: bool
) -> None:
    database.corrupt(
        "UPDATE orders SET due_at_us = $due WHERE order_key = $open", due=NOW_US - age_us
    )
    found = [finding.sentence for finding in database.check()]
    assert found == (["no order's deadline has long passed"] if is_overdue else [])


def test_without_a_clock_deadlines_are_not_judged(database: Database) -> None:
    database.corrupt("UPDATE orders SET due_at_us = 1 WHERE order_key = $open")
    assert sentences(database.connection, NOW_US) == ["no order's deadline has long passed"]
    assert sentences(database.connection) == []


@pytest.mark.parametrize(
    "owner",
    [
        corruptions.LETTER.format(kind="order", order="open", closed="NULL, ''"),
        "UPDATE payment_attempts SET order_key = $open WHERE order_key = $asked",
        "UPDATE payment_attempts SET order_key = $open, state = 'DIFFERENT'"
        " WHERE order_key = $asked",
        "UPDATE payment_attempts SET order_key = $open, operation = 'VOID', state = 'DECLINED'"
        " WHERE order_key = $asked",
    ],
    ids=["an open letter", "an unknown payment", "another amount", "a refused void"],
)
def test_an_order_without_a_deadline_may_belong_to_a_letter_or_an_operator(
    database: Database, owner: str
) -> None:
    database.corrupt("UPDATE orders SET due_at_us = NULL WHERE order_key = $open")
    assert LEFT_BEHIND in sentences(database.connection)
    database.corrupt(owner)
    assert LEFT_BEHIND not in sentences(database.connection)


def test_no_other_rule_finds_an_order_that_is_left_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker without its rule is silent about it."""
    _, *statements = corruptions.CORRUPTIONS["a paid order that nothing drives on"]
    database.corrupt(*statements)
    assert [finding.sentence for finding in database.check()] == [LEFT_BEHIND]
    others = tuple(rule for rule in orders.RULES if rule.sentence != LEFT_BEHIND)
    monkeypatch.setattr(orders, "RULES", others)
    assert not database.check()


@pytest.mark.parametrize(
    ("state", "due_at_us", "expected"),
    [
        (OrderState.FINALIZED, None, (0, 0)),
        (OrderState.REJECTED, None, (0, 0)),
        (OrderState.CANCELLED, None, (0, 0)),
        (OrderState.ACCEPTED, 5, (1, 1)),
        (OrderState.PAID, 5, (1, 1)),
        (OrderState.ACCEPTED, None, (1, 0)),
    ],
)
def test_an_acknowledged_order_must_be_terminal_or_wait_for_an_operator(
    any_database: sa.Connection, state: OrderState, due_at_us: int | None, expected: tuple[int, int]
) -> None:
    """`expected` counts findings without and with `may_wait`."""
    add_order(any_database, state=state, due_at_us=due_at_us)
    names = [OrderRef("m-1", "o-1")]
    strict = orders.check_acknowledged(any_database, names, may_wait=False)
    lenient = orders.check_acknowledged(any_database, names, may_wait=True)
    assert (len(strict), len(lenient)) == expected


def test_a_missing_order_is_a_finding_even_if_orders_may_wait(any_database: sa.Connection) -> None:
    add_order(any_database, state=OrderState.FINALIZED)
    names = [OrderRef("m-2", "o-1"), OrderRef("m-1", "o-1"), OrderRef("m-1", "O-1")]
    (found,) = orders.check_acknowledged(any_database, iter(names), may_wait=True)
    assert (found.invariant, found.count) == ("I1", 2)
    assert found.sentence == "an order that was answered OK is recorded"


def test_a_backlog_counts_messages() -> None:
    (found,) = orders.check_backlog({"a": 2, "b": 0, "c": 3})
    assert (found.count, len(found.examples)) == (5, 2)
    assert orders.check_backlog({}) == []
