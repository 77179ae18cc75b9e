"""PaymentService in the embedded engine: tenders of open orders, one by one, also over a crash."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.type import money_pb2

from internal.client import client as api_client
from internal.host import engine
from internal.infra import settings
from internal.lab import engine_process
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from internal.wire.souk.v1 import payment_service_pb2 as p
from internal.wire.souk.v1 import payment_service_pb2_grpc
from tests.integration.test_intake_engine import KEYS, open_shops, tea
from tests.support import shop
from tests.unit.api import grpc_fixture

HOUR = duration_pb2.Duration(seconds=3_600)
KEPT_OPEN: dict[str, Any] = {"on_decline": o.ON_DECLINE_KEEP_OPEN, "hold": HOUR, "tenders": []}
KILLED_IN_A_CALL = "gateway.after_send=kill"


class Payments:
    """A merchant's client of both services."""

    def __init__(self, channel: grpc.aio.Channel, merchant_id: str) -> None:
        self.key = (("x-api-key", KEYS[merchant_id].secret),)
        self.orders = grpc_fixture.Client(channel, self.key)
        self.stub: Any = payment_service_pb2_grpc.PaymentServiceStub(channel)  # type: ignore[no-untyped-call]

    async def open(self, order_id: str = "o-1") -> None:
        draft = tea(order_id, **KEPT_OPEN)
        answer = await self.orders.submit(draft, wait_for=s.WAIT_FOR_ACCEPTED)
        assert answer.state == o.ORDER_STATE_ACCEPTED
        assert answer.order.left_to_pay.units == 20
        assert o.ORDER_COMMAND_ADD_TENDER in answer.order.allowed_commands

    async def add(self, tender: o.Tender, request_id: str = "p-1", **others: str) -> Any:  # noqa: ANN401 - a response
        values = {"order_id": "o-1", "request_id": request_id, "currency": "EUR"} | others
        return await self.stub.AddTender(
            p.AddTenderRequest(**values, tender=tender), metadata=self.key, timeout=10
        )

    async def get(self, tender_ref: str, order_id: str = "o-1") -> Any:  # noqa: ANN401 - a response
        request = p.GetPaymentRequest(order_id=order_id, tender_ref=tender_ref)
        return (await self.stub.GetPayment(request, metadata=self.key)).payment


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    chosen = settings.load(storage={"data_dir": tmp_path}, intake={"port": 0}, metrics={"port": 0})
    async with engine.Engine(chosen).running() as started:
        await started.database.write(open_shops)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{started.port}") as opened:
            yield opened


@pytest.fixture
def till(channel: grpc.aio.Channel) -> Payments:
    return Payments(channel, shop.MERCHANT)


def euros(units: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code="EUR", units=units)


def card(units: int = 0, token: str = shop.OK) -> o.Tender:
    amount = euros(units) if units else None
    return o.Tender(card=o.CardTender(token=token), amount=amount)


def cash(units: int) -> o.Tender:
    return o.Tender(cash=o.CashTender(), amount=euros(units))


async def test_a_declined_card_is_followed_by_cash_on_the_same_order(till: Payments) -> None:
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


async def test_the_same_request_adds_one_tender(till: Payments) -> None:
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
async def test_refusals(
    till: Payments, tender: o.Tender, others: dict[str, str], reason: str
) -> None:
    await till.open()
    failure = await grpc_fixture.failure_of(till.add(tender, **others))
    assert failure.reason == reason


async def test_other_merchants_see_nothing(till: Payments, channel: grpc.aio.Channel) -> None:
    await till.open()
    await till.add(card(5))
    other = Payments(channel, shop.OTHER_MERCHANT)
    for call in (other.get("p-1"), other.add(card(5), "p-9")):
        assert (await grpc_fixture.failure_of(call)).reason == "ORDER_NOT_FOUND"
    failure = await grpc_fixture.failure_of(till.get("p-7"))
    assert failure.reason == "PAYMENT_NOT_FOUND"
    unnamed = p.GetPaymentRequest(order_id="o-1", tender_ref="p-1")
    failure = await grpc_fixture.failure_of(till.stub.GetPayment(unnamed))
    assert failure.reason == "API_KEY_MISSING"


async def test_an_order_that_is_paid_takes_no_tender(till: Payments) -> None:
    await till.orders.submit(tea(), wait_for=s.WAIT_FOR_FINALIZED)
    failure = await grpc_fixture.failure_of(till.add(cash(5)))
    assert failure.reason == "ORDER_NOT_OPEN"


async def test_a_cancelled_order_says_so_once_its_money_is_returned(till: Payments) -> None:
    await till.open()
    await till.add(card(5))
    cancel = s.CancelOrderRequest(order_id="o-1", request_id="c-1")
    answer = await till.orders.CancelOrder(cancel, timeout=10)
    assert answer.state == o.ORDER_STATE_CANCELLED
    assert (await till.get("p-1")).tender.state == o.CHARGE_STATE_VOIDED


async def test_a_tender_whose_engine_dies_in_the_call_is_charged_once(tmp_path: Path) -> None:
    """Kill -9 after the attempt was recorded and the gateway has charged the card."""
    request = p.AddTenderRequest(order_id="o-1", request_id="p-1", currency="EUR", tender=card())
    armed = engine_process.armed(KILLED_IN_A_CALL)
    async with engine_process.isolated(tmp_path, settings=armed) as dying:
        async with connected(dying, tmp_path) as client:
            draft = o.OrderDraft(
                order_id="o-1",
                store_id="berlin",
                currency="EUR",
                lines=[o.DraftLine(sku="COFFEE-250", quantity_milli=2_000)],
                on_decline=o.ON_DECLINE_KEEP_OPEN,
            )
            submitting = s.SubmitOrderRequest(order=draft, wait_for=s.WAIT_FOR_ACCEPTED)
            placed = await client.submit_order(submitting.SerializeToString(), 10)
            assert isinstance(placed, s.SubmitOrderResponse)
            assert isinstance(await client.add_tender(request, 10), api_client.Failure)
        assert await dying.ended() == engine_process.KILLED
    async with (
        engine_process.isolated(tmp_path) as engine_again,
        connected(engine_again, tmp_path) as client,
    ):
        again = await client.add_tender(request, 30)
        assert isinstance(again, p.AddTenderResponse)
        assert again.replayed
        assert again.payment.tender.state == o.CHARGE_STATE_FULL
        order = await client.get("o-1", 10)
        assert isinstance(order, o.Order)
        assert [it.captured for it in order.tenders] == [order.totals.total]
        await engine_again.stop()


@contextlib.asynccontextmanager
async def connected(
    running: engine_process.Engine, folder: Path
) -> AsyncIterator[api_client.Client]:
    address = await running.address()
    async with contextlib.aclosing(
        api_client.Client(engine_process.access_to(address, folder))
    ) as client:
        yield client
