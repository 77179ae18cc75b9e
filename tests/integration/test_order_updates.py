"""UpdateOrder in the embedded engine: new lines of an open order, also over a crash."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.support import tills
from tests.support.tills import KEPT_OPEN, Till, card, euros, tea
from tests.unit.api import grpc_fixture

KILLED_ON_UPDATE = "order_processing.after_commit=kill@2"


def updating(
    sku: str = "tea", milli: int = 3_000, request_id: str = "u-1", **others: int | str
) -> s.UpdateOrderRequest:
    values: dict[str, Any] = {
        "order_id": "o-1",
        "request_id": request_id,
        "currency": "EUR",
    } | others
    return s.UpdateOrderRequest(**values, lines=[o.DraftLine(sku=sku, quantity_milli=milli)])


async def test_new_lines_are_what_is_paid(till: Till) -> None:
    await till.open()
    answer = await till.orders.UpdateOrder(updating(expected_version=2), timeout=10)
    assert (answer.outcome, answer.state) == (s.COMMAND_OUTCOME_DONE, o.ORDER_STATE_ACCEPTED)
    assert (answer.version, answer.replayed) == (3, False)
    assert answer.order.totals.total == euros(30)
    assert [line.quantity_milli for line in answer.order.lines] == [3_000]
    assert o.ORDER_COMMAND_UPDATE in answer.order.allowed_commands
    paid = (await till.add(card())).payment
    assert paid.tender.captured == euros(30)


async def test_an_order_that_was_placed_just_now_is_waited_for(till: Till) -> None:
    await till.orders.submit(tea(**KEPT_OPEN))
    answer = await till.orders.UpdateOrder(updating(), timeout=10)
    assert answer.order.totals.total == euros(30)


async def test_the_same_request_gets_the_same_answer(till: Till) -> None:
    await till.open()
    first = await till.orders.UpdateOrder(updating(), timeout=10)
    await till.orders.UpdateOrder(updating(milli=1_000, request_id="u-2"), timeout=10)
    again = await till.orders.UpdateOrder(updating(), timeout=10)
    assert (again.replayed, again.version) == (True, first.version)
    assert again.order.totals.total == euros(10), "the order is as it is now"
    failure = await grpc_fixture.failure_of(till.orders.UpdateOrder(updating(milli=1_000)))
    assert failure.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (updating("nothing"), "UNKNOWN_SKU"),
        (updating("rare"), "OUT_OF_STOCK"),
        (updating(expected_version=9), "VERSION_MISMATCH"),
        (updating(currency="USD"), "CURRENCY_MISMATCH"),
        (updating(order_id="nowhere"), "ORDER_NOT_FOUND"),
        (updating(milli=0), "INVALID_ARGUMENT"),
    ],
)
async def test_refusals(till: Till, request_: s.UpdateOrderRequest, reason: str) -> None:
    await till.open()
    failure = await grpc_fixture.failure_of(till.orders.UpdateOrder(request_, timeout=10))
    assert failure.reason == reason


async def test_a_refusal_says_what_is_missing(till: Till) -> None:
    await till.open()
    with pytest.raises(grpc.aio.AioRpcError, match=r"rare: 3 wanted, 2 available"):
        await till.orders.UpdateOrder(updating("rare"), timeout=10)


async def test_an_order_that_holds_money_or_has_ended_keeps_its_lines(till: Till) -> None:
    await till.open()
    await till.add(card(5))
    failure = await grpc_fixture.failure_of(till.orders.UpdateOrder(updating(), timeout=10))
    assert failure.reason == "ORDER_HOLDS_MONEY"
    await till.add(card(), "p-2")
    late = updating(request_id="u-2")
    failure = await grpc_fixture.failure_of(till.orders.UpdateOrder(late, timeout=10))
    assert failure.reason == "ORDER_NOT_OPEN"


async def test_an_engine_that_dies_after_an_update_changes_the_lines_once(tmp_path: Path) -> None:
    """Kill -9 between the commit and the message to the payment stage: it comes again."""
    request = updating("COFFEE-250")
    await tills.killed_in(lambda it: it.update(request, 10), KILLED_ON_UPDATE, tmp_path, 1_000)
    async with tills.started_again(tmp_path) as client:
        again = await client.update(request, 30)
        assert isinstance(again, s.UpdateOrderResponse)
        assert (again.replayed, again.version) == (True, 3)
        assert [line.quantity_milli for line in again.order.lines] == [3_000]
        assert [entry.version for entry in again.order.timeline] == [1, 2, 3]
