"""The attacks with requests that are small, and costly to check, to read or to keep open."""

import asyncio
import contextlib
from collections.abc import Sequence

from internal.client import client
from internal.lab.chaos.hostile import attacks, http2
from internal.wire.souk.v1 import order_pb2, order_service_pb2

CALL_S = attacks.CALL_S
NOTE_CHARS, NOTES = 32_768, 2


async def long_text(victim: attacks.Victim, tally: attacks.Tally) -> None:
    """Send texts in which a card number might begin at every other character."""
    order = attacks.draft(f"{victim.run}.text")
    order.note = "-0" * NOTE_CHARS
    body = attacks.order_request(order)
    await _send(victim, tally, "SubmitOrder", [body] * NOTES)


ELEMENTS, LISTS = 200_000, 2


async def many_elements(victim: attacks.Victim, tally: attacks.Tally) -> None:
    """Send fields with hundreds of thousands of wrong elements of two bytes each."""
    lines = order_service_pb2.QuoteOrderRequest(
        store_id=attacks.STORE, currency=attacks.CURRENCY, lines=[order_pb2.DraftLine()] * ELEMENTS
    ).SerializeToString()
    states = order_service_pb2.ListOrdersRequest(
        states=[order_pb2.ORDER_STATE_PLACED] * ELEMENTS
    ).SerializeToString()
    await _send(victim, tally, "QuoteOrder", [lines] * LISTS)
    await _send(victim, tally, "ListOrders", [states] * LISTS)


WATCHES, WATCHES_PER_CONNECTION = 1_024, 100


async def watches(victim: attacks.Victim, tally: attacks.Tally) -> None:
    """Watch orders until there is no place left, and let another merchant try to watch one."""
    order = attacks.draft(f"{victim.run}.watched", token=attacks.CARD_WITHOUT_ANSWER)
    body = attacks.order_request(order)
    await _send(victim, tally, "SubmitOrder", [body])
    watched = order_service_pb2.WatchOrderRequest(order_id=order.order_id)
    async with contextlib.AsyncExitStack() as stack:
        key = ("x-api-key", victim.attacker.api_key)
        headers, body = http2.call_headers("WatchOrder", key), watched.SerializeToString()
        opened = []
        for at in range(0, WATCHES, WATCHES_PER_CONNECTION):
            connection = await stack.enter_async_context(http2.connected(victim.attacker.target))
            opened.append(connection)
            for _ in range(min(WATCHES_PER_CONNECTION, WATCHES - at)):
                connection.open_stream(headers, body=body)
            await connection.drain()
        await asyncio.sleep(WATCH_S)
        await _watch_as_another(victim, tally)


WATCH_S = 15.0
LISTED_ORDERS, LISTED_LINES, LISTINGS, PAGE_ORDERS = 240, 200, 40, 500


async def long_pages(victim: attacks.Victim, tally: attacks.Tally) -> None:
    """Place long orders, and list them many times at once."""
    drafts = [attacks.draft(f"{victim.run}.long.{n}", LISTED_LINES) for n in range(LISTED_ORDERS)]
    body = order_service_pb2.SubmitOrdersRequest(orders=drafts).SerializeToString()
    async with contextlib.aclosing(client.Client(victim.attacker)) as connection:
        await connection.submit_many([one.order_id for one in drafts], body, CALL_S)
        await connection.ended(drafts[-1].order_id, CALL_S)
        request = order_service_pb2.ListOrdersRequest(page_size=PAGE_ORDERS)
        pages = await asyncio.gather(
            *(connection.list_page(request, CALL_S) for _ in range(LISTINGS))
        )
        for page in pages:
            if isinstance(page, client.Failure):
                tally.failed(page)
            else:
                tally.answers[client.OK] += 1


async def _send(
    victim: attacks.Victim, tally: attacks.Tally, method: str, bodies: Sequence[bytes]
) -> None:
    """Make these calls at once, and wait for their answers."""
    headers = http2.call_headers(method, ("x-api-key", victim.attacker.api_key))
    async with http2.connected(victim.attacker.target) as connection:
        streams = [connection.open_stream(headers, body=body) for body in bodies]
        for stream in streams:
            tally.reply(await connection.ended(stream))


async def _watch_as_another(victim: attacks.Victim, tally: attacks.Tally) -> None:
    """Watch as another merchant an order that it does not have: the server must look for it."""
    async with contextlib.aclosing(client.Client(victim.other)) as connection:
        async for reply in connection.watch("unknown", timeout_s=CALL_S):
            if isinstance(reply, client.Failure) and reply.reason != "ORDER_NOT_FOUND":
                tally.others_refused.append(f"{reply.code} {reply.reason}")
