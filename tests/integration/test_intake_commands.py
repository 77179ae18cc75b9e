"""CancelOrder over a real connection: one answer per request, whatever became of its order.

The rest of Souk is in memory: see tests/unit/api/memory.py.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from internal.api import options
from internal.api.orders import commands
from internal.flow import topics
from internal.kernel import ids
from internal.orders.messages import CancelRequested
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import grpc_fixture, memory
from tests.unit.api.grpc_fixture import Client

REF = ids.OrderRef(memory.MERCHANT, "o-1")


@pytest.fixture
async def server() -> AsyncIterator[grpc_fixture.Server]:
    """A server whose orders stay where they are."""
    async with grpc_fixture.running_server(options.Limits(reread_s=0.2)) as opened:
        yield opened


@pytest.fixture
async def client(server: grpc_fixture.Server) -> AsyncIterator[Client]:
    async with grpc_fixture.client_of(server) as connected:
        yield connected


@pytest.fixture
async def other(server: grpc_fixture.Server) -> AsyncIterator[Client]:
    """A client of another merchant."""
    async with grpc_fixture.client_of(server, memory.AUTH_OTHER) as connected:
        yield connected


@pytest.fixture
async def busy() -> AsyncIterator[Client]:
    """A client of a server whose orders are taken to their end."""
    async with (
        grpc_fixture.running_server(stages=True) as opened,
        grpc_fixture.client_of(opened) as connected,
    ):
        yield connected


def asking(**others: str) -> s.CancelOrderRequest:
    values: dict[str, str] = {
        "order_id": "o-1",
        "request_id": "r-1",
        "reason": "changed my mind",
    }
    return s.CancelOrderRequest(**(values | others))


async def cancelled(server: grpc_fixture.Server, client: Client) -> grpc_fixture.Answer:
    call = client.CancelOrder(asking(), timeout=5)
    server.orders.note(await server.bus.first(CancelRequested))
    await server.orders.tell(REF, topics.REJECTED)
    return await call


async def test_cancelled_and_the_same_again(server: grpc_fixture.Server, client: Client) -> None:
    await client.submit()
    await server.record_all()
    answer = await cancelled(server, client)
    expected = s.CancelOrderResponse(
        order_id="o-1",
        outcome=s.COMMAND_OUTCOME_DONE,
        state="ORDER_STATE_CANCELLED",
        version=3,
    )
    assert answer == expected
    published = len(server.bus.messages)
    expected.replayed = True
    assert await client.CancelOrder(asking()) == expected
    assert len(server.bus.messages) == published


async def test_has_a_topic_of_its_own_with_the_key_of_its_order(
    server: grpc_fixture.Server, client: Client
) -> None:
    await client.submit()
    await server.record_all()
    await cancelled(server, client)
    placed, cancel = server.bus.messages[:2]
    assert (placed.topic, cancel.topic) == (topics.PLACED, topics.ORDER_COMMANDS)
    assert placed.key == cancel.key


async def test_same_request_with_another_reason(
    server: grpc_fixture.Server, client: Client
) -> None:
    await client.submit()
    await server.record_all()
    await cancelled(server, client)
    failure = await grpc_fixture.failure_of(client.CancelOrder(asking(reason="other")))
    assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_too_late(busy: Client) -> None:
    await busy.submit(wait_for=s.WAIT_FOR_FINALIZED)
    for _ in range(2):
        failure = await grpc_fixture.failure_of(busy.CancelOrder(asking(), timeout=5))
        assert failure.code == "FAILED_PRECONDITION"
        assert failure.reason == "ORDER_NOT_CANCELLABLE"
        assert failure.metadata["state"] == "FINALIZED"


async def test_an_order_that_has_ended_is_answered_for_without_a_message(
    server: grpc_fixture.Server, client: Client
) -> None:
    """However many requests come: none of them leaves a trace, or reads the whole order."""
    await client.submit()
    await server.record_all()
    await cancelled(server, client)
    published, read = len(server.bus.messages), server.orders.whole_reads
    for number in range(20):
        request = asking(request_id=f"again-{number}")
        failure = await grpc_fixture.failure_of(client.CancelOrder(request))
        assert failure.reason == "ORDER_NOT_CANCELLABLE"
        assert failure.metadata["state"] == "CANCELLED"
    assert len(server.bus.messages) == published
    assert server.orders.whole_reads == read


async def test_waits_for_an_order_that_nobody_here_knows(
    server: grpc_fixture.Server, client: Client, other: Client
) -> None:
    """The same for another merchant's order: it is told of none."""
    await other.submit()
    await server.record_all()
    call = client.CancelOrder(asking(), timeout=5)
    server.orders.note(await server.bus.first(CancelRequested))
    expected = s.CancelOrderResponse(order_id="o-1", outcome=s.COMMAND_OUTCOME_WAITING)
    assert await call == expected
    expected.replayed = True
    assert await client.CancelOrder(asking()) == expected
    assert not server.orders.views.get(REF)


async def test_an_order_that_was_answered_ok_here_is_waited_for(
    server: grpc_fixture.Server, client: Client
) -> None:
    await client.submit()
    call = client.CancelOrder(asking(), timeout=5)
    request = await server.bus.first(CancelRequested)
    server.orders.note(request)
    await asyncio.sleep(0.1)
    await server.record_all()
    server.orders.note(request)
    await server.orders.tell(REF, topics.REJECTED)
    assert (await call).state == o.ORDER_STATE_CANCELLED


async def test_is_kept_if_such_an_order_does_not_come_in_time() -> None:
    limits = options.Limits(deadline_max_s=0.3)
    async with (
        grpc_fixture.running_server(limits) as server,
        grpc_fixture.client_of(server) as client,
    ):
        await client.submit()
        call = client.CancelOrder(asking(), timeout=30)
        server.orders.note(await server.bus.first(CancelRequested))
        assert (await call).outcome == s.COMMAND_OUTCOME_WAITING


async def test_requests_that_wait_are_limited(
    server: grpc_fixture.Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each merchant, and not for orders that are there."""
    monkeypatch.setattr(commands, "WAITING_MAX", 2)
    for number in range(2):
        server.orders.note(CancelRequested(memory.MERCHANT, f"lost-{number}", f"w-{number}", 0))
    failure = await grpc_fixture.failure_of(client.CancelOrder(asking(order_id="lost-9")))
    assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_WAITING")
    assert not server.bus.messages
    await client.submit()
    await server.record_all()
    assert (await cancelled(server, client)).state == o.ORDER_STATE_CANCELLED


async def test_a_request_that_was_taken_is_not_sent_again(
    server: grpc_fixture.Server, client: Client
) -> None:
    """After a call that was broken off, or at another server."""
    await client.submit()
    await server.record_all()
    first = client.CancelOrder(asking(), timeout=5)
    request = await server.bus.first(CancelRequested)
    first.cancel()
    server.orders.note(request)
    published = len(server.bus.messages)
    answer = await client.CancelOrder(asking(), timeout=5)
    assert (answer.state, answer.replayed) == (o.ORDER_STATE_CANCELLED, True)
    assert len(server.bus.messages) == published


async def test_undecided_within_the_servers_deadline() -> None:
    limits = options.Limits(deadline_max_s=0.3)
    async with (
        grpc_fixture.running_server(limits) as server,
        grpc_fixture.client_of(server) as client,
    ):
        await client.submit()
        failure = await grpc_fixture.failure_of(client.CancelOrder(asking(), timeout=30))
        assert (failure.code, failure.reason) == ("DEADLINE_EXCEEDED", "OUTCOME_PENDING")


async def test_the_cancel_request_was_not_sent(server: grpc_fixture.Server, client: Client) -> None:
    await client.submit()
    server.bus.is_away = True
    failure = await grpc_fixture.failure_of(client.CancelOrder(asking()))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "BROKER_UNAVAILABLE")
