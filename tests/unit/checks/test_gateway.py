"""The gateway's ledger against the attempts: every combination is right, wrong or undecided."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import gateway
from internal.checks.scope import Scope
from internal.infra import db
from internal.kernel.states import OrderState
from internal.payments.messages import AttemptState, Operation
from tests.support import staged_orders

AMOUNT = 700
KEY = "m-1/o-1/1"
Charge = AttemptState
ANSWERED = {Charge.SUCCEEDED, Charge.DIFFERENT}
Order = OrderState
BOTH, HELD, NOT_HELD = {None, AMOUNT}, {AMOUNT}, {None}
"""Which of the gateway's ledgers agree: without the charge, or with it."""


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        yield opened


def add_order(connection: sa.Connection, state: OrderState, order_key: int = 1) -> None:
    table = db.METADATA.tables["orders"]
    empty = {c.name: 0 if isinstance(c.type, sa.BigInteger) else "" for c in table.c}
    named = {"order_key": order_key, "merchant_id": "m-1", "order_id": f"o-{order_key}"}
    values = {**empty, **named, "state": state, "receipt_no": None, "due_at_us": None}
    connection.execute(table.insert().values(values))


def add_attempt(connection: sa.Connection, state: AttemptState, **fields: int | str) -> None:
    values = {
        "order_key": 1,
        "attempt_no": 1,
        "operation": Operation.SALE,
        "tender_no": 1,
        "parent_no": 0,
        "asked_minor": AMOUNT,
        "answered_minor": AMOUNT if state in ANSWERED else 0,
        "answered_currency": "EUR" if state in ANSWERED else "",
        "currency": "EUR",
        "attempt_key": KEY,
        "state": state,
        "gateway_reference": "",
        "decline_code": "",
        "tries": 0,
        "at_us": 0,
        "updated_at_us": 0,
    }
    table = db.METADATA.tables["payment_attempts"]
    connection.execute(table.insert().values(values | fields))


def add_void(connection: sa.Connection, state: AttemptState, attempt_no: int) -> None:
    key = f"{KEY}/void/{attempt_no}"
    add_attempt(
        connection,
        state,
        attempt_no=attempt_no,
        operation=Operation.VOID,
        attempt_key=key,
        parent_no=1,
    )


def sentences(connection: sa.Connection, captured: dict[str, int], *moving: str) -> list[str]:
    found = gateway.check(connection, captured, Scope(moving=frozenset(moving)))
    assert {finding.invariant for finding in found} <= {"I3"}
    return [finding.sentence for finding in found]


@pytest.mark.parametrize("there", [None, AMOUNT, AMOUNT + 1])
@pytest.mark.parametrize(
    ("order_state", "charge", "voids", "agreeing"),
    [
        (Order.PAID, Charge.SUCCEEDED, (), HELD),
        (Order.FINALIZED, Charge.SUCCEEDED, (), HELD),
        (Order.ACCEPTED, Charge.SUCCEEDED, (), HELD),
        (Order.ACCEPTED, Charge.PENDING, (), BOTH),
        (Order.ACCEPTED, Charge.UNKNOWN, (), BOTH),
        (Order.ACCEPTED, Charge.FAILED, (), BOTH),
        (Order.REJECTED, Charge.FAILED, (), NOT_HELD),
        (None, Charge.FAILED, (), NOT_HELD),
        (Order.REJECTED, Charge.DECLINED, (), NOT_HELD),
        (Order.ACCEPTED, Charge.DECLINED, (), NOT_HELD),
        (Order.REJECTED, Charge.SUCCEEDED, (Charge.SUCCEEDED,), NOT_HELD),
        (Order.ACCEPTED, Charge.SUCCEEDED, (Charge.PENDING,), BOTH),
        (Order.ACCEPTED, Charge.SUCCEEDED, (Charge.UNKNOWN,), BOTH),
        (Order.ACCEPTED, Charge.SUCCEEDED, (Charge.FAILED,), BOTH),
        (Order.REJECTED, Charge.SUCCEEDED, (Charge.FAILED, Charge.SUCCEEDED), NOT_HELD),
    ],
)
def test_a_charge_agrees_with_the_ledger_or_is_a_finding(
    connection: sa.Connection,
    order_state: OrderState | None,
    charge: AttemptState,
    voids: tuple[AttemptState, ...],
    agreeing: set[int | None],
    there: int | None,
) -> None:
    if order_state is not None:
        add_order(connection, order_state)
    add_attempt(connection, charge)
    for attempt_no, state in enumerate(voids, start=2):
        add_void(connection, state, attempt_no)
    captured = {} if there is None else {KEY: there}
    expected = [] if there in agreeing else [gateway._AGREES]
    assert sentences(connection, captured) == expected


def test_a_charge_that_is_moving_is_skipped(connection: sa.Connection) -> None:
    add_order(connection, Order.PAID)
    add_attempt(connection, Charge.SUCCEEDED)
    assert sentences(connection, {}) == [gateway._AGREES]
    assert sentences(connection, {}, KEY) == []
    assert sentences(connection, {KEY: 1, "other": 2}, KEY, "other") == []


@pytest.mark.parametrize(
    ("there", "agrees"), [(None, False), (AMOUNT, False), (350, True), (351, False)]
)
def test_another_amount_is_at_the_gateway_as_it_said(
    connection: sa.Connection, there: int | None, *, agrees: bool
) -> None:
    add_order(connection, Order.ACCEPTED)
    add_attempt(connection, Charge.DIFFERENT, answered_minor=350)
    captured = {} if there is None else {KEY: there}
    assert sentences(connection, captured) == ([] if agrees else [gateway._AGREES])


@pytest.mark.parametrize("state", [Charge.PENDING, Charge.UNKNOWN])
def test_without_an_answer_the_gateway_may_have_taken_less(
    connection: sa.Connection, state: AttemptState
) -> None:
    add_order(connection, Order.ACCEPTED)
    add_attempt(connection, state)
    assert sentences(connection, {KEY: AMOUNT - 1}) == []
    assert sentences(connection, {KEY: AMOUNT + 1}) == [gateway._AGREES]


def test_every_capture_without_an_attempt_is_named(connection: sa.Connection) -> None:
    add_order(connection, Order.PAID)
    add_attempt(connection, Charge.SUCCEEDED)
    (found,) = gateway.check(connection, {KEY: AMOUNT, "b": 2, "a": 1})
    assert (found.count, found.examples) == (2, ("key=a captured=1", "key=b captured=2"))


def test_two_tenders_of_an_order_may_both_be_captured(connection: sa.Connection) -> None:
    add_order(connection, Order.PAID)
    add_attempt(connection, Charge.SUCCEEDED)
    add_attempt(connection, Charge.SUCCEEDED, attempt_no=2, tender_no=2, attempt_key="second")
    assert sentences(connection, {KEY: AMOUNT, "second": AMOUNT}) == []


def test_one_tender_may_not_be_captured_twice(connection: sa.Connection) -> None:
    add_order(connection, Order.PAID)
    add_attempt(connection, Charge.SUCCEEDED)
    add_attempt(connection, Charge.SUCCEEDED, attempt_no=2, attempt_key="second")
    (found,) = gateway.check(connection, {KEY: AMOUNT, "second": AMOUNT})
    assert found.examples == (f"order_key=1 first={KEY} second=second",)


@pytest.mark.parametrize("window_orders", [1, 2, 3, 100])
def test_windows_change_nothing(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch, window_orders: int
) -> None:
    monkeypatch.setattr(gateway, "WINDOW_ORDERS", window_orders)
    captured = {}
    for order_key in (1, 2, 3, 7):
        add_order(connection, Order.PAID, order_key)
        add_attempt(connection, Charge.SUCCEEDED, order_key=order_key, attempt_key=f"k-{order_key}")
        captured[f"k-{order_key}"] = AMOUNT
    assert sentences(connection, captured) == []
    del captured["k-2"]
    captured["k-9"] = 5
    assert sentences(connection, captured) == [gateway._AGREES, gateway._NO_ATTEMPT]
