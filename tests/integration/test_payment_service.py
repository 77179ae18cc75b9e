"""PaymentService in the embedded engine: tenders of open orders, one by one, also over a crash."""

import asyncio
from pathlib import Path

import grpc
import pytest

from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from internal.wire.souk.v1 import payment_service_pb2 as p
from tests.support import shop, tills
from tests.support.tills import KEPT_OPEN, Till, card, cash, euros, tea
from tests.unit.api import grpc_fixture

KILLED_IN_A_CALL = "gateway.after_send=kill"


async def test_a_declined_card_is_followed_by_cash_on_the_same_order(till: Till) -> None:
    await till.open()
    declined = (await till.add(card(token="tok_declined:no_funds"))).payment
    assert declined.tender.state == o.CHARGE_STATE_DECLINED
    assert declined.tender.decline_code
    assert declined.left_to_pay == euros(20)
    paid = (await till.add(cash(50), "p-2")).payment
    assert paid.tender.state == o.CHARGE_STATE_FULL
    assert (paid.tender.captured, paid.tender.change) == (euros(20), euros(30))
    again = await till.orders.submit(tea(**KEPT_OPEN), wait_for=s.WAIT_FOR_FINALIZED)
    assert (again.replayed, again.state) == (True, o.ORDER_STATE_FINALIZED)
    assert (await till.get("p-2")).order_state == o.ORDER_STATE_FINALIZED


async def test_a_call_that_waits_hears_of_a_declined_card_at_once(till: Till) -> None:
    """Its deadline is 10 s."""
    draft = tea(**KEPT_OPEN | {"tenders": [card(token="tok_declined:no_funds")]})
    async with asyncio.timeout(5):
        answer = await till.orders.submit(draft, wait_for=s.WAIT_FOR_FINALIZED)
    assert answer.state == o.ORDER_STATE_ACCEPTED
    assert answer.order.tenders[0].state == o.CHARGE_STATE_DECLINED


async def test_the_same_request_adds_one_tender(till: Till) -> None:
    await till.open()
    first = await till.add(card(5))
    again = await till.add(card(5))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.payment == first.payment == await till.get("p-1")
    assert first.payment.left_to_pay == euros(15)
    failure = await grpc_fixture.failure_of(till.add(card(6)))
    assert failure.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("tender", "others", "reason"),
    [
        (card(21), {}, "TENDER_ABOVE_REST"),
        (card(20), {"order_id": "nowhere"}, "ORDER_NOT_FOUND"),
        (card(20, "4111111111111111"), {}, "CARD_NUMBER_REFUSED"),
        (o.Tender(), {}, "INVALID_ARGUMENT"),
        (card(20), {"currency": "USD"}, "INVALID_MONEY"),
    ],
)
async def test_refusals(till: Till, tender: o.Tender, others: dict[str, str], reason: str) -> None:
    await till.open()
    failure = await grpc_fixture.failure_of(till.add(tender, **others))
    assert failure.reason == reason


async def test_other_merchants_see_nothing(till: Till, channel: grpc.aio.Channel) -> None:
    await till.open()
    await till.add(card(5))
    other = Till(channel, shop.OTHER_MERCHANT)
    for call in (other.get("p-1"), other.add(card(5), "p-9")):
        assert (await grpc_fixture.failure_of(call)).reason == "ORDER_NOT_FOUND"
    failure = await grpc_fixture.failure_of(till.get("p-7"))
    assert failure.reason == "PAYMENT_NOT_FOUND"
    unnamed = p.GetPaymentRequest(order_id="o-1", tender_ref="p-1")
    failure = await grpc_fixture.failure_of(till.stub.GetPayment(unnamed))
    assert failure.reason == "API_KEY_MISSING"


async def test_an_order_that_is_paid_takes_no_tender(till: Till) -> None:
    await till.orders.submit(tea(), wait_for=s.WAIT_FOR_FINALIZED)
    failure = await grpc_fixture.failure_of(till.add(cash(5)))
    assert failure.reason == "ORDER_NOT_OPEN"


async def test_a_cancelled_order_says_so_once_its_money_is_returned(till: Till) -> None:
    await till.open()
    await till.add(card(5))
    cancel = s.CancelOrderRequest(order_id="o-1", request_id="c-1")
    answer = await till.orders.CancelOrder(cancel, timeout=10)
    assert answer.state == o.ORDER_STATE_CANCELLED
    assert (await till.get("p-1")).tender.state == o.CHARGE_STATE_VOIDED


async def test_a_tender_whose_engine_dies_in_the_call_is_charged_once(tmp_path: Path) -> None:
    """Kill -9 after the attempt was recorded and the gateway has charged the card."""
    request = p.AddTenderRequest(order_id="o-1", request_id="p-1", currency="EUR", tender=card())
    await tills.killed_in(lambda it: it.add_tender(request, 10), KILLED_IN_A_CALL, tmp_path, 2_000)
    async with tills.started_again(tmp_path) as client:
        again = await client.add_tender(request, 30)
        assert isinstance(again, p.AddTenderResponse)
        assert again.replayed
        assert again.payment.tender.state == o.CHARGE_STATE_FULL
        order = await client.get("o-1", 10)
        assert isinstance(order, o.Order)
        assert [it.captured for it in order.tenders] == [order.totals.total]
