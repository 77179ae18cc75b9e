"""The attacks on the gRPC server's connections, calls and answers.

Each takes some seconds, and notes how it was answered. None may judge.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator

import msgspec

from internal.client import client, sender
from internal.client.access import Access
from internal.kernel.quantities import MILLI
from internal.lab.chaos.hostile import http2
from internal.wire.souk.v1 import order_pb2, order_service_pb2

CALL_S = 30.0
STORE, CURRENCY, SKU = "berlin", "EUR", "COFFEE-250"
CARD, CARD_WITHOUT_ANSWER = "tok_ok", "tok_away"


class Victim(msgspec.Struct, frozen=True):
    """An engine, and two merchants of it: the attacker knows the key of one."""

    attacker: Access
    other: Access
    run: str
    """Leads the ids of all orders."""


class Tally:
    """The answers to an attack, by code and reason."""

    def __init__(self) -> None:
        """Begin with none."""
        self.answers: Counter[str] = Counter()
        self.others_refused: list[str] = []
        """Why another merchant was kept out."""

    @property
    def untyped(self) -> int:
        """Answers that are errors without a reason."""
        return sum(n for name, n in self.answers.items() if name != client.OK and " " not in name)

    def failed(self, failure: client.Failure) -> None:
        """Note an error."""
        self.answers[f"{failure.code} {failure.reason}".rstrip()] += 1

    def reply(self, reply: http2.Reply) -> None:
        """Note the end of a raw stream; one that is still open is no answer."""
        if reply.code is not None:
            code = client.code_of(reply.code)
            self.answers[client.OK if code == client.OK else f"{code} {reply.reason}".rstrip()] += 1


Attack = Callable[[Victim, Tally], Coroutine[None, None, None]]


def draft(order_id: str, lines: int = 1, token: str = CARD) -> order_pb2.OrderDraft:
    """Return a correct order."""
    return order_pb2.OrderDraft(
        order_id=order_id,
        store_id=STORE,
        currency=CURRENCY,
        lines=[order_pb2.DraftLine(sku=SKU, quantity_milli=MILLI)] * lines,
        tenders=[order_pb2.Tender(card=order_pb2.CardTender(token=token))],
    )


def order_request(order: order_pb2.OrderDraft) -> bytes:
    """Return the request that places an order."""
    return order_service_pb2.SubmitOrderRequest(order=order).SerializeToString()


HEADERS_CONNECTIONS, HEADERS_STREAMS, HEADERS_S = 11, 1_000, 20.0


async def headers_only(victim: Victim, tally: Tally) -> None:
    """Open thousands of calls and never send their requests."""
    key = ("x-api-key", victim.attacker.api_key)
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(http2.connected(victim.attacker.target))
            for _ in range(HEADERS_CONNECTIONS)
        ]
        for connection in opened:
            for _ in range(HEADERS_STREAMS):
                connection.open_stream(http2.call_headers("GetOrder", key))
            await connection.drain()
        await asyncio.sleep(HEADERS_S)
        for reply in _replies(opened):
            tally.reply(reply)


WRONG_CONNECTIONS, WRONG_HEADERS, BLOCK_BYTES = 20, 4_000, 16_000


async def wrong_headers(victim: Victim, tally: Tally) -> None:
    """Send thousands of headers that gRPC's library would complain of, without a key."""
    block = http2.encoded([(":scheme", "wrong")] * WRONG_HEADERS)
    parts = [block[at : at + BLOCK_BYTES] for at in range(0, len(block), BLOCK_BYTES)]
    for _ in range(WRONG_CONNECTIONS):
        async with http2.connected(victim.attacker.target) as connection:
            connection.open_stream([(":method", "POST")], continuations=parts)
            with contextlib.suppress(OSError):
                await connection.drain()
            await asyncio.sleep(0.1)
            tally.answers["headers sent"] += 1


BURST_CONNECTIONS, BURST_CALLS = 30, 3_000


async def burst(victim: Victim, tally: Tally) -> None:
    """Place correct orders on many connections at once, as a fleet does that reconnects."""
    async with contextlib.AsyncExitStack() as stack:
        fleet = [client.Client(victim.attacker) for _ in range(BURST_CONNECTIONS)]
        for one in fleet:
            stack.push_async_callback(one.aclose)
        await asyncio.gather(*(one.greet(CALL_S) for one in fleet))
        calls = (
            sender.submit(fleet[n % len(fleet)], [draft(f"{victim.run}.burst.{n}")], CALL_S)
            for n in range(BURST_CALLS)
        )
        for [answer] in await asyncio.gather(*calls):
            tally.answers[sender.name_of(answer)] += 1


UNREAD_CALLS, UNREAD_ORDERS, UNREAD_LINES, UNREAD_S = 40, 1_000, 18, 15.0


async def unread_answers(victim: Victim, tally: Tally) -> None:
    """Have large answers made of small requests, and read none of them."""
    bad = order_pb2.OrderDraft(lines=[order_pb2.DraftLine()] * UNREAD_LINES)
    body = order_service_pb2.SubmitOrdersRequest(orders=[bad] * UNREAD_ORDERS).SerializeToString()
    headers = http2.call_headers("SubmitOrders", ("x-api-key", victim.attacker.api_key))
    async with http2.connected(victim.attacker.target, window_bytes=0) as connection:
        for _ in range(UNREAD_CALLS):
            connection.open_stream(headers, body=body)
        await connection.drain()
        await asyncio.sleep(UNREAD_S)
        for reply in connection.replies.values():
            tally.reply(reply)


def _replies(connections: list[http2.Connection]) -> Iterator[http2.Reply]:
    for connection in connections:
        yield from connection.replies.values()
