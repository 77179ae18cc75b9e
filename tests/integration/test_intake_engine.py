"""The API in the embedded engine: real bus, real stages, real database, all in one process."""

import grpc
import pytest
from google.type import money_pb2

from internal.auth import rules as auth_rules
from internal.host import engine
from internal.kernel import ids
from internal.stages import erasure
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.support import shop, tills
from tests.unit.api import grpc_fixture


@pytest.fixture
def client(channel: grpc.aio.Channel) -> grpc_fixture.Client:
    return grpc_fixture.Client(channel, (("x-api-key", tills.KEYS[shop.MERCHANT].secret),))


@pytest.fixture
def other(channel: grpc.aio.Channel) -> grpc_fixture.Client:
    return grpc_fixture.Client(channel, (("x-api-key", tills.KEYS[shop.OTHER_MERCHANT].secret),))


async def test_a_quote_is_the_price_paid(client: grpc_fixture.Client) -> None:
    quote = s.QuoteOrderRequest(store_id=shop.STORE, currency="EUR", lines=[tills.TEA])
    quoted = await client.QuoteOrder(quote)
    answer = await client.submit(tills.tea(), wait_for=s.WAIT_FOR_FINALIZED)
    assert answer.state == o.ORDER_STATE_FINALIZED
    assert answer.order.totals == quoted.totals
    assert answer.order.lines == quoted.lines
    assert answer.order.taxes == quoted.taxes
    assert answer.order.totals.total == money_pb2.Money(currency_code="EUR", units=20)
    assert answer.order.tenders[0].captured == answer.order.totals.total
    assert answer.order.receipt_number == 1


async def test_the_same_answer_again_and_another_body_refused(client: grpc_fixture.Client) -> None:
    first = await client.submit(tills.tea(), wait_for=s.WAIT_FOR_FINALIZED)
    again = await client.submit(tills.tea())
    assert again.replayed
    assert again.order == first.order
    failure = await grpc_fixture.failure_of(client.submit(tills.tea(note="other")))
    assert failure.reason == "ORDER_ID_REUSED"


async def test_an_erased_order_is_the_same_order_still(
    running: engine.Engine, client: grpc_fixture.Client
) -> None:
    draft = tills.tea(note="ring twice", tenders=[o.Tender(card=o.CardTender(token="tok_ok"))])
    first = await client.submit(draft, wait_for=s.WAIT_FOR_FINALIZED)
    assert first.order.note == "ring twice"
    wish = erasure.Wish(ids.OrderRef(shop.MERCHANT, "o-1"), "alex", "a wish", 1)
    erased = await running.database.write(lambda c: erasure.erase(c, wish))
    assert erased == erasure.Erased(2, ())
    got = await client.GetOrder(s.GetOrderRequest(order_id="o-1"))
    assert got.order.note == ""
    first.order.note = ""
    assert got.order == first.order
    again = await client.submit(draft)
    assert (again.replayed, again.order) == (True, got.order)
    for other in (tills.tea(note="ring once"), tills.tea(note="")):
        other.tenders[0].CopyFrom(draft.tenders[0])
        failure = await grpc_fixture.failure_of(client.submit(other))
        assert failure.reason == "ORDER_ID_REUSED"


async def test_a_refusal_comes_with_its_reason(client: grpc_fixture.Client) -> None:
    greedy = tills.tea(lines=[o.DraftLine(sku="rare", quantity_milli=3_000)])
    answer = await client.submit(greedy, wait_for=s.WAIT_FOR_FINALIZED)
    assert answer.state == o.ORDER_STATE_REJECTED
    assert answer.order.refusal.reason == "OUT_OF_STOCK"
    unknown = tills.tea("o-2", lines=[o.DraftLine(sku="nothing", quantity_milli=3_000)])
    answer = await client.submit(unknown, wait_for=s.WAIT_FOR_ACCEPTED)
    assert answer.order.refusal.reason == "UNKNOWN_SKU"
    assert answer.order.lines[0].sku == "nothing"


async def test_the_story_from_the_start_and_from_the_middle(client: grpc_fixture.Client) -> None:
    await client.submit(tills.tea())
    stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-1"))
    told = [answer async for answer in stream]
    assert [answer.entry.version for answer in told] == [1, 2, 3, 4]
    assert told[-1].order.state == o.ORDER_STATE_FINALIZED
    stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-1", from_version=3))
    assert [answer async for answer in stream] == told[3:]


async def test_too_late_to_cancel(client: grpc_fixture.Client) -> None:
    await client.submit(tills.tea(), wait_for=s.WAIT_FOR_FINALIZED)
    request = s.CancelOrderRequest(order_id="o-1", request_id="r-1")
    failures = [await grpc_fixture.failure_of(client.CancelOrder(request)) for _ in range(2)]
    assert failures[0] == failures[1]
    assert failures[0].reason == "ORDER_NOT_CANCELLABLE"
    assert failures[0].metadata["state"] == "FINALIZED"


async def test_merchants_see_their_own_orders_only(
    client: grpc_fixture.Client, other: grpc_fixture.Client
) -> None:
    for number in range(5):
        await client.submit(tills.tea(f"o-{number}"), wait_for=s.WAIT_FOR_FINALIZED)
    await other.submit(tills.tea("o-0", note="theirs"), wait_for=s.WAIT_FOR_FINALIZED)
    first = await client.ListOrders(s.ListOrdersRequest(page_size=3))
    token = first.next_page_token
    second = await client.ListOrders(s.ListOrdersRequest(page_size=3, page_token=token))
    seen = [order.order_id for page in (first, second) for order in page.orders]
    assert seen == ["o-4", "o-3", "o-2", "o-1", "o-0"]
    assert second.next_page_token == ""
    assert len((await other.ListOrders(s.ListOrdersRequest())).orders) == 1
    failure = await grpc_fixture.failure_of(other.GetOrder(s.GetOrderRequest(order_id="o-1")))
    assert failure.code == "NOT_FOUND"


async def test_a_wrong_key(channel: grpc.aio.Channel) -> None:
    wrong = auth_rules.issue("f" * 12, "f" * 64).secret
    failure = await grpc_fixture.failure_of(
        grpc_fixture.Client(channel, (("x-api-key", wrong),)).submit()
    )
    assert failure.reason == "API_KEY_INVALID"
