"""A call returns its reply, or a Failure that says why there is none."""

import grpc

from internal.client import client
from internal.wire.souk.v1 import order_pb2, order_service_pb2
from tests.unit.client import fake_server

CALL_S = 5.0


def body(order_id: str) -> bytes:
    draft = order_pb2.OrderDraft(order_id=order_id)
    return order_service_pb2.SubmitOrderRequest(order=draft).SerializeToString()


async def test_a_reply_is_returned_as_it_is() -> None:
    async with fake_server.opened() as (_, connection):
        reply = await connection.submit_order(body("o-1"), CALL_S)
        order = await connection.get("o-1", CALL_S)
        assert await connection.greet(CALL_S) is None
    assert isinstance(reply, order_service_pb2.SubmitOrderResponse)
    assert reply.order_id == "o-1"
    assert isinstance(order, order_pb2.Order)


async def test_a_refusal_is_a_failure_with_what_the_server_said() -> None:
    busy = fake_server.refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_TOO_DEEP", retry_after_ms=150
    )
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([busy, busy])
        failure = await connection.submit_order(body("o-1"), CALL_S)
        answer = await connection.submit("o-1", body("o-1"), CALL_S)
    wanted = client.Failure("RESOURCE_EXHAUSTED", "BACKLOG_TOO_DEEP", "no", retry_after_s=0.15)
    assert failure == wanted
    assert answer == client.Answer("o-1", wanted.code, wanted.reason, "no", retry_after_s=0.15)


async def test_a_bare_error_has_no_status() -> None:
    async with fake_server.opened() as (_, connection):
        failure = await connection.get("nope", CALL_S)
    assert failure == client.Failure("NOT_FOUND", text="no such order", has_status=False)


async def test_all_pages_are_listed() -> None:
    async with fake_server.opened() as (_, connection):
        for number in range(3):
            await connection.submit(f"o-{number}", body(f"o-{number}"), CALL_S)
        pages = [page async for page in connection.pages(0, CALL_S)]
        first = await connection.list_page(order_service_pb2.ListOrdersRequest(page_size=2), CALL_S)
    assert [order.order_id for page in pages for order in page] == ["o-2", "o-1", "o-0"]
    assert isinstance(first, order_service_pb2.ListOrdersResponse)
    assert first.next_page_token


async def test_an_empty_page_with_a_token_is_not_the_last() -> None:
    async with fake_server.opened() as (server, connection):
        server.scanned_max = 1
        server.end_of = lambda draft: [END_OF[draft.order_id]]
        for number in range(4):
            await connection.submit(f"o-{number}", body(f"o-{number}"), CALL_S)
        request = order_service_pb2.ListOrdersRequest(page_size=2, states=["ORDER_STATE_REJECTED"])
        first = await connection.list_page(request, CALL_S)
        assert isinstance(first, order_service_pb2.ListOrdersResponse)
        assert (len(first.orders), first.next_page_token) == (0, "1")
        pages = [page async for page in connection.pages(0, CALL_S)]
    assert [order.order_id for page in pages for order in page] == ["o-3", "o-2", "o-1", "o-0"]
    assert len(pages) == 4


END_OF = {f"o-{number}": order_pb2.ORDER_STATE_FINALIZED for number in range(4)} | {
    "o-0": order_pb2.ORDER_STATE_REJECTED
}
