"""Cancellation: before a charge is requested, once per request, and the stock is released."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.inventory import store as inventory_store
from internal.orders import messages
from tests.support import shop, staged_orders


@pytest.fixture
def line(any_database: sa.Connection) -> Iterator[staged_orders.StagedOrders]:
    shop.open_for_business(any_database)
    yield staged_orders.StagedOrders(any_database)
    assert not invariants.check(any_database)


def timeline(line: staged_orders.StagedOrders, order_id: str = "o") -> list[tuple[str, str, str]]:
    return [(e.stage, str(e.state), e.reason) for e in line.view(order_id).timeline]


def test_an_accepted_order_is_undone(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o", ("tea", 3)))
    (fact,) = line.step(shop.cancel("o"))
    assert isinstance(fact, messages.OrderCancelled)
    assert (fact.version, fact.request_id, fact.body_hash) == (3, "c-1", "its-hash")
    assert fact.store_id == shop.STORE
    assert line.level("tea").reserved_milli == 0
    assert timeline(line)[-1] == ("cancel", "CANCELLED", "")


def test_a_repeated_request_gets_the_same_answer(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    first = line.step(shop.cancel("o"))
    assert line.step(shop.cancel("o"), shop.cancel("o")) == first * 2
    assert line.level("tea").reserved_milli == 0


def test_another_request_for_a_cancelled_order_is_logged(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    line.step(shop.cancel("o"))
    assert not line.step(shop.cancel("o", "c-2"))
    assert timeline(line)[-1] == ("cancel", "CANCELLED", "ORDER_NOT_CANCELLABLE")


def test_a_paid_order_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o"))
    assert not line.step(shop.cancel("o"))
    assert not line.step(shop.cancel("o"))
    refused = [row for row in timeline(line) if row[0] == "cancel"]
    assert refused == [("cancel", "FINALIZED", "ORDER_NOT_CANCELLABLE")]


def test_a_refused_order_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o", ("nope", 1)))
    assert not line.step(shop.cancel("o"))


def test_an_order_nobody_placed_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o", merchant_id=shop.OTHER_MERCHANT))
    assert not line.step(shop.cancel("o"))
    levels = inventory_store.list_levels(line.connection, shop.OTHER_MERCHANT, sku="tea")
    assert levels[0][1].reserved_milli == 1_000


def test_an_order_and_its_cancellation_in_one_batch(line: staged_orders.StagedOrders) -> None:
    accepted, cancelled = line.step(shop.placed("o"), shop.cancel("o"))
    assert isinstance(accepted, messages.OrderAccepted)
    assert isinstance(cancelled, messages.OrderCancelled)
    assert not line.carry(accepted)
    assert line.step(shop.placed("o")) == []
