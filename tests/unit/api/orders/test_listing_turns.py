"""Long pages share the event loop with all other calls, however many of them are asked for."""

import asyncio

from internal.api import calls, options
from internal.api.orders import service
from internal.wire.souk.v1 import order_service_pb2
from tests.unit.api import memory
from tests.unit.api.orders import waiting

ORDERS, CALLS = 500, 16


async def test_other_calls_get_a_turn_after_each_piece_of_any_page() -> None:
    backend = memory.Backend(options.Limits())
    for number in range(ORDERS):
        backend.orders.record(waiting.fact(f"o-{number}"))
    call = calls.Call(calls.Origin(memory.MERCHANT, "", 0), 0.0)
    request = order_service_pb2.ListOrdersRequest(page_size=ORDERS)
    pages = asyncio.gather(*(backend.service.list_orders(call, request) for _ in range(CALLS)))
    turns = 0
    while not pages.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= CALLS * ORDERS / service.YIELD_EVERY_ORDERS
    for page in await pages:
        assert isinstance(page, order_service_pb2.ListOrdersResponse)
        assert len(page.orders) == ORDERS
