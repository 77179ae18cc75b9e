"""A merchant's till at an embedded engine: open orders, and their tenders one by one.

Also a till whose engine is killed while it answers a call, and started again.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from google.protobuf import duration_pb2
from google.type import money_pb2

from internal.auth import rules as auth_rules
from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.client import client as api_client
from internal.lab import engine_process
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from internal.wire.souk.v1 import payment_service_pb2 as p
from internal.wire.souk.v1 import payment_service_pb2_grpc
from tests.support import shop
from tests.unit.api import grpc_fixture, memory

KEYS = {
    merchant_id: auth_rules.issue(f"{number:012x}", f"{number:064x}")
    for number, merchant_id in enumerate((shop.MERCHANT, shop.OTHER_MERCHANT), start=1)
}
TEA = o.DraftLine(sku="tea", quantity_milli=2_000)
HOUR = duration_pb2.Duration(seconds=3_600)
KEPT_OPEN: dict[str, Any] = {"on_decline": o.ON_DECLINE_KEEP_OPEN, "hold": HOUR, "tenders": []}


def open_shops(connection: sa.Connection) -> None:
    """Open the shops of two merchants, with their API keys."""
    shop.open_for_business(connection)
    for merchant_id, key in KEYS.items():
        auth_store.add_merchant(connection, Merchant(merchant_id, merchant_id), key, 0)


def tea(order_id: str = "o-1", **others: object) -> o.OrderDraft:
    """Return an order of two teas, at 10 euros each."""
    return memory.draft(order_id, **({"store_id": shop.STORE, "lines": [TEA]} | others))


def euros(units: int) -> money_pb2.Money:
    """Return whole euros."""
    return money_pb2.Money(currency_code="EUR", units=units)


def card(units: int = 0, token: str = shop.OK) -> o.Tender:
    """Return a card tender, of all that is left to pay if it names no amount."""
    amount = euros(units) if units else None
    return o.Tender(card=o.CardTender(token=token), amount=amount)


def cash(units: int) -> o.Tender:
    """Return a cash tender."""
    return o.Tender(cash=o.CashTender(), amount=euros(units))


class Till:
    """A merchant's client of both services."""

    def __init__(self, channel: grpc.aio.Channel, merchant_id: str) -> None:
        self.key = (("x-api-key", KEYS[merchant_id].secret),)
        self.orders = grpc_fixture.Client(channel, self.key)
        self.stub: Any = payment_service_pb2_grpc.PaymentServiceStub(channel)  # type: ignore[no-untyped-call]

    async def open(self, order_id: str = "o-1") -> None:
        """Place an order that stays open."""
        draft = tea(order_id, **KEPT_OPEN)
        answer = await self.orders.submit(draft, wait_for=s.WAIT_FOR_ACCEPTED)
        assert answer.state == o.ORDER_STATE_ACCEPTED
        assert answer.order.left_to_pay.units == 20
        assert o.ORDER_COMMAND_ADD_TENDER in answer.order.allowed_commands

    async def add(self, tender: o.Tender, request_id: str = "p-1", **others: str) -> Any:  # noqa: ANN401 - a response
        """Add a tender to an order."""
        values = {"order_id": "o-1", "request_id": request_id, "currency": "EUR"} | others
        return await self.stub.AddTender(
            p.AddTenderRequest(**values, tender=tender), metadata=self.key, timeout=10
        )

    async def get(self, tender_ref: str, order_id: str = "o-1") -> Any:  # noqa: ANN401 - a response
        """Return a payment."""
        request = p.GetPaymentRequest(order_id=order_id, tender_ref=tender_ref)
        return (await self.stub.GetPayment(request, metadata=self.key)).payment


Call = Callable[[api_client.Client], Awaitable[object]]


async def killed_in(call: Call, failpoint: str, folder: Path, coffees_milli: int) -> None:
    """Place an open order of coffee; `failpoint` kills the engine while it answers a call about it.

    The engine is a process of its own with the demo shop.
    """
    draft = o.OrderDraft(
        order_id="o-1",
        store_id="berlin",
        currency="EUR",
        lines=[o.DraftLine(sku="COFFEE-250", quantity_milli=coffees_milli)],
        on_decline=o.ON_DECLINE_KEEP_OPEN,
    )
    submitting = s.SubmitOrderRequest(order=draft, wait_for=s.WAIT_FOR_ACCEPTED)
    armed = engine_process.armed(failpoint)
    async with engine_process.isolated(folder, settings=armed) as dying:
        async with _connected(dying, folder) as client:
            placed = await client.submit_order(submitting.SerializeToString(), 10)
            assert isinstance(placed, s.SubmitOrderResponse)
            assert isinstance(await call(client), api_client.Failure)
        assert await dying.ended() == engine_process.KILLED


@contextlib.asynccontextmanager
async def started_again(folder: Path) -> AsyncIterator[api_client.Client]:
    """Start the engine of a folder again, and stop it in the end."""
    async with engine_process.isolated(folder) as running, _connected(running, folder) as client:
        yield client
        await running.stop()


@contextlib.asynccontextmanager
async def _connected(
    running: engine_process.Engine, folder: Path
) -> AsyncIterator[api_client.Client]:
    address = await running.address()
    access = engine_process.access_to(address, folder)
    async with contextlib.aclosing(api_client.Client(access)) as client:
        yield client
