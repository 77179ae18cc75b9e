"""Requests that are made to cost much: refused by their lengths, told in a few words."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio
import pytest

from internal.api import calls, options, status
from internal.api.orders import service, submit
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import grpc_fixture, memory

EMPTY_LINE = b"\x2a\x00"
NOISE = b"\xff" * (calls.REQUEST_BYTES_MAX + 1)


def batch_of(orders: list[bytes]) -> bytes:
    """Return a SubmitOrdersRequest of orders that may not be any."""
    return b"".join(_field(order) for order in orders)


def _field(value: bytes) -> bytes:
    size, rest = bytearray(), len(value)
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return b"\x0a" + bytes([*size, rest]) + value


class Methods:
    """The service's methods without a server, and what else runs beside them."""

    def __init__(self) -> None:
        self.backend = memory.Backend(options.Limits())
        self.methods = {method.name: method for method in self.backend.service.methods()}

    async def call(self, name: str, raw: bytes) -> Any:  # noqa: ANN401 - any answer
        incoming = calls.IncomingCall(dict(memory.AUTH), lambda _: raw, None)
        method = self.methods[name]
        assert isinstance(method, calls.Unary)
        return await self.backend.middleware.unary(method, incoming)

    async def turns_during(self, name: str, raw: bytes) -> tuple[Any, int]:
        """Return the answer, and how often another task had its turn before it came."""
        call = asyncio.create_task(self.call(name, raw))
        turns = 0
        while not call.done():
            turns += 1
            await asyncio.sleep(0)
        return call.result(), turns


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SubmitOrder", "ORDER_TOO_LARGE"),
        ("QuoteOrder", "REQUEST_TOO_LARGE"),
        ("ListOrders", "REQUEST_TOO_LARGE"),
        ("GetOrder", "REQUEST_TOO_LARGE"),
        ("CancelOrder", "REQUEST_TOO_LARGE"),
    ],
)
async def test_a_large_request_is_refused_before_it_is_decoded(name: str, reason: str) -> None:
    refused = await Methods().call(name, NOISE)
    assert isinstance(refused, status.Refused)
    assert refused.reason == reason
    assert (await Methods().call(name, NOISE[:100])).reason == "MESSAGE_UNREADABLE"


async def test_many_empty_lines_in_a_quote() -> None:
    raw = s.QuoteOrderRequest(lines=[o.DraftLine()] * 30_000).SerializeToString()
    refused = await Methods().call("QuoteOrder", raw)
    assert refused.violations == (("lines", "must contain no more than 200 item(s)"),)


async def test_many_states_in_a_list() -> None:
    packed = b"\x63" * 60_000
    refused = await Methods().call("ListOrders", batch_of([packed]))
    assert refused.violations == (("states", "must contain no more than 50 item(s)"),)


async def test_a_batch_of_orders_with_many_empty_lines() -> None:
    good = memory.draft("good").SerializeToString()
    bad = EMPTY_LINE * 30_000
    answer, turns = await Methods().turns_during("SubmitOrders", batch_of([bad, good] * 4))
    assert [v.WhichOneof("verdict") for v in answer.verdicts] == ["refused", "accepted"] * 4
    failure = grpc_fixture.failure_in(answer.verdicts[0].refused)
    assert failure.fields == ("orders[0].lines",)
    assert turns >= 4


async def test_orders_that_are_too_large_or_unreadable_are_refused_alone_under_their_ids() -> None:
    good = memory.draft("good").SerializeToString()
    large = memory.draft("large").SerializeToString() + EMPTY_LINE * submit.ORDER_BYTES_MAX
    noise = memory.draft("noise").SerializeToString() + b"\xff"
    answer = await Methods().call("SubmitOrders", batch_of([large, good, noise]))
    assert [v.order_id for v in answer.verdicts] == ["large", "good", "noise"]
    failures = [
        grpc_fixture.failure_in(v.refused) for v in answer.verdicts if v.HasField("refused")
    ]
    assert [(f.reason, f.fields) for f in failures] == [
        ("ORDER_TOO_LARGE", ("orders[0]",)),
        ("MESSAGE_UNREADABLE", ("orders[2]",)),
    ]


async def test_a_batch_of_nothing_but_mistakes_has_a_short_answer_and_leaves_turns_to_others() -> (
    None
):
    orders = [EMPTY_LINE * 200] * 1_000
    answer, turns = await Methods().turns_during("SubmitOrders", batch_of(orders))
    told = [grpc_fixture.failure_in(v.refused).fields for v in answer.verdicts]
    assert {len(fields) for fields in told} == {submit.VIOLATIONS_PER_ORDER_MAX}
    assert answer.ByteSize() < 2 * len(batch_of(orders))
    assert turns >= 1_000 * submit.REFUSED_ORDER_WEIGHT // submit.YIELD_EVERY_ORDERS


async def test_a_batch_of_large_good_orders_leaves_turns_to_others() -> None:
    lines = [o.DraftLine(sku="tea", quantity_milli=1_000)] * 200
    orders = [memory.draft(f"o-{n}", lines=lines).SerializeToString() for n in range(100)]
    answer, turns = await Methods().turns_during("SubmitOrders", batch_of(orders))
    assert {v.WhichOneof("verdict") for v in answer.verdicts} == {"accepted"}
    assert turns >= sum(map(len, orders)) // submit.YIELD_EVERY_BYTES


async def test_too_many_unknown_fields_and_too_many_orders() -> None:
    refused = await Methods().call("SubmitOrders", b"\xa0\x06\x00" * 100_000)
    assert refused.reason == "MESSAGE_UNREADABLE"
    refused = await Methods().call("SubmitOrders", batch_of([b""]) * 1_001)
    assert refused.violations == (("orders", "must be 1 to 1000 orders"),)


@pytest.mark.parametrize("method", ["QuoteOrder", "SubmitOrders", "WatchOrder"])
async def test_a_refused_request_is_not_kept_until_the_next_garbage_collection(method: str) -> None:
    """The engine collects seldom; a traceback is a cycle, and would hold the request so long."""
    size, count = 1024 * 1024, 10
    path, noise = f"/{service.NAME}/{method}", b"\xff" * size
    async with (
        grpc_fixture.running_server() as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        kind = channel.unary_stream if method == "WatchOrder" else channel.unary_unary
        with memory_traced() as grown_by:
            for _ in range(count):
                call = kind(path)(noise, metadata=memory.AUTH)
                answer = call.read() if method == "WatchOrder" else call
                assert (await grpc_fixture.failure_of(answer)).code == "INVALID_ARGUMENT"
            assert grown_by() < count * size / 2


@contextmanager
def memory_traced() -> Iterator[Callable[[], int]]:
    """Count bytes in use without garbage collection."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
