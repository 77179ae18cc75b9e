"""The reason of a cancel request is kept once, wherever its order is, and can be erased."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import topics
from internal.orders import messages
from internal.pipeline import handler
from internal.privacy import store as privacy_store
from internal.requests import store as requests_store
from internal.requests.messages import RequestState
from tests.support import shop, staged_orders

WHY = "the customer is ill"


@pytest.fixture
def line(any_database: sa.Connection) -> Iterator[staged_orders.StagedOrders]:
    shop.open_for_business(any_database)
    yield staged_orders.StagedOrders(any_database)
    assert not invariants.check(any_database)


def ask(
    line: staged_orders.StagedOrders, request_id: str = "c-1", why: str = WHY
) -> handler.Outcome:
    """Have one pass of the stage over a cancel request for the order `o`."""
    command = shop.cancel("o", request_id, reason=why)
    (outcome,) = line.record(topics.PLACED, line.work(command, note=why))
    return outcome


def kept(line: staged_orders.StagedOrders) -> list[tuple[str, str, str]]:
    """Return (kind of subject, name, content) of every private value."""
    table = privacy_store.PRIVATE_VALUES.c
    query = sa.select(table.subject_kind, table.name, table.content)
    return sorted((row[0], row[1], row[2]) for row in line.connection.execute(query))


def test_a_request_about_an_order_that_is_there(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    for _ in range(2):
        ask(line)
    assert kept(line) == [("order", "reason:c-1", WHY)]


def test_requests_that_wait_keep_theirs_until_their_order_comes(
    line: staged_orders.StagedOrders,
) -> None:
    for request_id, why in (("c-1", WHY), ("c-2", "twice"), ("c-3", "")):
        for _ in range(3):
            ask(line, request_id, why)
    assert kept(line) == [("request", "note", WHY), ("request", "note", "twice")]
    line.step(shop.placed("p"))
    assert len(kept(line)) == 2
    (fact,) = line.step(shop.placed("o"))
    assert isinstance(fact, messages.OrderCancelled)
    assert kept(line) == [("order", "reason:c-1", WHY), ("order", "reason:c-2", "twice")]
    ask(line)
    assert len(kept(line)) == 2


def test_a_request_that_finds_its_order_in_its_second_pass(
    line: staged_orders.StagedOrders,
) -> None:
    ask(line)
    hidden = requests_store.REQUESTS.update()
    line.connection.execute(hidden.values(state=RequestState.DONE))
    line.step(shop.placed("o"))
    line.connection.execute(hidden.values(state=RequestState.RECEIVED))
    ask(line)
    assert line.view("o").state == "CANCELLED"
    assert kept(line) == [("order", "reason:c-1", WHY)]


def test_a_command_that_does_not_wait_keeps_nothing(line: staged_orders.StagedOrders) -> None:
    tender = shop.card()
    command = messages.AddTender(
        merchant_id=shop.MERCHANT,
        order_id="o",
        request_id="t-1",
        requested_at_us=0,
        body_hash="x",
        currency="EUR",
        tender=tender,
    )
    line.record(topics.ACCEPTED, line.work(command, note="hello"))
    assert kept(line) == []
