"""The gRPC server under load and at its end: sizes, deadlines, limits, drain."""

import asyncio
import contextlib

import grpc
import prometheus_client
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from internal.api import options
from internal.api.limits import connections
from internal.api.orders import service, submit
from internal.client import sender, watching
from internal.client.access import Access
from internal.client.client import Client, Failure
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.lab.chaos.hostile import http2
from internal.orders.messages import OrderPlaced
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import grpc_fixture, memory

END = s.WAIT_FOR_FINALIZED
KEY = ("x-api-key", "key-of-m1")
FINALIZED = s.SubmitOrderRequest(order=memory.draft(), wait_for=s.WAIT_FOR_FINALIZED)


class TestSize:
    async def test_an_order_above_64_kib(self) -> None:
        big = memory.draft()
        big.MergeFromString(b"\xfa\x3f\x80\x80\x04" + bytes(2**16))  # an unknown field
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            failure = await grpc_fixture.failure_of(client.submit(big))
            assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "ORDER_TOO_LARGE")
            assert failure.fields == ("order",)
            assert not (await client.submit()).replayed

    async def test_the_largest_order_that_obeys_its_rules_is_well_below(self) -> None:
        word = "x" * 64
        amount = {"currency_code": "KWD", "units": 2**40, "nanos": 999_000_000}
        largest = memory.draft(
            order_id=word,
            store_id=word,
            terminal_id=word,
            currency="KWD",
            lines=[o.DraftLine(sku=word, quantity_milli=1_000_000_000, expected_price=amount)]
            * 200,
            tenders=[o.Tender(card=o.CardTender(token=word + word), amount=amount)] * 8,
            note="\U0001f339" * 500,
        )
        assert largest.ByteSize() < submit.ORDER_BYTES_MAX / 2
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            await client.submit(largest)

    async def test_a_request_above_the_limit(self) -> None:
        limits = options.Limits(request_bytes_max=10_000)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            request = s.SubmitOrdersRequest(orders=[memory.draft(note="x" * 400)] * 30)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.SubmitOrders(request)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await client.submit()


class TestOverload:
    async def test_a_deep_backlog_refuses_new_orders_and_only_those(self) -> None:
        limits = options.Limits(backlog_orders_max=100, retry_after_s=2.5)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            await client.submit()
            server.backlog.waiting = 100
            batch = s.SubmitOrdersRequest(orders=[memory.draft("o-2")])
            for call in (client.submit(memory.draft("o-2")), client.SubmitOrders(batch)):
                failure = await grpc_fixture.failure_of(call)
                assert failure.code == "RESOURCE_EXHAUSTED"
                assert failure.reason == "BACKLOG_TOO_DEEP"
                assert failure.retry_after_s == 2.5
            await client.GetOrder(s.GetOrderRequest(order_id="o-1"))
            server.backlog.waiting = 99
            server.backlog.waiting_later = 1
            failure = await grpc_fixture.failure_of(client.submit(memory.draft("o-2")))
            assert failure.reason == "BACKLOG_TOO_DEEP"
            server.backlog.waiting_later = 0
            assert not (await client.submit(memory.draft("o-2"))).replayed

    async def test_a_backlog_of_large_orders_is_refused_before_they_fill_the_memory(self) -> None:
        limits = options.Limits(recent_bytes_max=40_000)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            large = [
                memory.draft(f"o-{n}", lines=[o.DraftLine(sku="tea", quantity_milli=1_000)] * 100)
                for n in range(20)
            ]
            await client.SubmitOrders(s.SubmitOrdersRequest(orders=large))
            server.backlog.waiting = 20
            failure = await grpc_fixture.failure_of(client.submit(memory.draft("small")))
            assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "BACKLOG_TOO_DEEP")
            server.backlog.waiting, server.backlog.waiting_later = 1, 19  # recorded: not kept
            assert not (await client.submit(memory.draft("small"))).replayed

    async def test_orders_on_their_way_to_the_broker_are_part_of_the_backlog(self) -> None:
        limits = options.Limits(backlog_orders_max=3)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            with server.bus.standing_still():
                waiting = [
                    asyncio.ensure_future(client.submit(memory.draft(f"o-{n}"))) for n in range(3)
                ]
                await asyncio.sleep(0.2)
                failure = await grpc_fixture.failure_of(client.submit(memory.draft("o-4")))
                assert failure.reason == "BACKLOG_TOO_DEEP"
            assert len(await asyncio.gather(*waiting)) == 3

    async def test_too_many_calls(self) -> None:
        async with (
            grpc_fixture.running_server(options.Limits(calls_max=2)) as server,
            grpc_fixture.client_of(server) as client,
        ):
            with server.bus.standing_still():
                waiting = [
                    asyncio.ensure_future(client.submit(memory.draft(f"o-{n}"))) for n in range(2)
                ]
                await orders_are_open(server, 2)
                failure = await grpc_fixture.failure_of(client.submit(memory.draft("o-4")))
                assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
                assert failure.retry_after_s
            await asyncio.gather(*waiting)
            await client.submit(memory.draft("o-4"))

    async def test_too_many_streams_do_not_hold_up_calls(self) -> None:
        async with (
            grpc_fixture.running_server(options.Limits(watches_max=1)) as server,
            grpc_fixture.client_of(server) as client,
        ):
            await client.submit()
            request = s.WatchOrderRequest(order_id="o-1")
            first = client.WatchOrder(request)
            await asyncio.sleep(0.1)
            failure = await grpc_fixture.failure_of(client.WatchOrder(request).read())
            assert failure.reason == "TOO_MANY_CALLS"
            await client.GetOrder(s.GetOrderRequest(order_id="o-1"))
            first.cancel()


class TestShares:
    """One merchant's calls that stay open leave places to the others."""

    async def test_watches_of_one_merchant(self) -> None:
        async with (
            grpc_fixture.running_server(options.Limits(watches_max=6)) as server,
            grpc_fixture.client_of(server) as greedy,
            grpc_fixture.client_of(server, memory.AUTH_OTHER) as good,
        ):
            await greedy.submit()
            await good.submit()
            await server.record_all()
            request = s.WatchOrderRequest(order_id="o-1")
            streams = [greedy.WatchOrder(request) for _ in range(4)]
            for stream in streams:
                await stream.read()
            failure = await grpc_fixture.failure_of(greedy.WatchOrder(request).read())
            assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "MERCHANT_SHARE_USED")
            assert failure.retry_after_s
            assert (await good.WatchOrder(request).read()).entry.version == 1
            for stream in streams[:2]:
                stream.cancel()
            await _first_of_a_watch(greedy, request)

    async def test_waiting_calls_of_one_merchant(self) -> None:
        """Neither its own short calls nor the waits of others are refused."""
        limits = options.Limits(waits_max=4, reread_s=60)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as greedy,
            grpc_fixture.client_of(server, memory.AUTH_OTHER) as good,
        ):
            waiting = [
                asyncio.ensure_future(
                    greedy.submit(memory.draft(f"o-{n}"), wait_for=s.WAIT_FOR_FINALIZED)
                )
                for n in range(3)
            ]
            for number in range(3):
                await server.bus.first(OrderPlaced, f"o-{number}")
            late = memory.draft("late")
            for call in (
                greedy.submit(late, wait_for=s.WAIT_FOR_ACCEPTED),
                greedy.CancelOrder(s.CancelOrderRequest(order_id="o-1", request_id="r")),
            ):
                failure = await grpc_fixture.failure_of(call)
                assert failure.reason == "MERCHANT_SHARE_USED"
                assert failure.retry_after_s
            assert not (await greedy.submit(late)).replayed
            theirs = asyncio.ensure_future(good.submit(wait_for=s.WAIT_FOR_ACCEPTED))
            await server.bus.first(OrderPlaced, "o-1")
            server.service.stop_waiting()
            assert {(await call).state for call in (*waiting, theirs)} == {o.ORDER_STATE_PLACED}


async def _first_of_a_watch(client: grpc_fixture.Client, request: s.WatchOrderRequest) -> None:
    """Watch until a place is free: the server learns a little later that a client has left."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await client.WatchOrder(request).read()
                return


class TestRequestsThatDoNotCome:
    async def test_a_call_of_headers_only_is_refused_in_the_end(self) -> None:
        limits = options.Limits(request_s=0.2)
        refused = refusals("REQUEST_LATE")
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address) as connection,
        ):
            stream = connection.open_stream(http2.call_headers("GetOrder", KEY))
            reply = await connection.ended(stream)
            assert (reply.code, reply.reason) == (4, "REQUEST_LATE")
            assert reply.retry_after_s
        assert refusals("REQUEST_LATE") == refused + 1

    async def test_without_a_key_headers_hold_no_place(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            http2.connected(server.address) as connection,
        ):
            streams = [
                connection.open_stream(http2.call_headers("GetOrder", *key))
                for key in ((), (("x-api-key", "wrong"),))
            ]
            replies = [await connection.ended(stream) for stream in streams]
            reasons = [reply.reason for reply in replies]
            assert reasons == ["API_KEY_MISSING", "API_KEY_INVALID"]

    async def test_a_call_that_ends_without_a_request(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            http2.connected(server.address) as connection,
        ):
            stream = connection.open_stream(http2.call_headers("GetOrder", KEY))
            connection.finish(stream)
            reply = await connection.ended(stream)
            assert (reply.code, reply.reason) == (3, "MESSAGE_UNREADABLE")

    async def test_calls_in_waiting_leave_room_for_other_connections(self) -> None:
        limits = options.Limits(calls_max=8)
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address) as connection,
            grpc_fixture.client_of(server) as client,
        ):
            streams = [
                connection.open_stream(http2.call_headers("GetOrder", KEY)) for _ in range(20)
            ]
            refused = [await connection.ended(stream) for stream in streams[8:]]
            assert {reply.reason for reply in refused} == {"TOO_MANY_CALLS"}
            assert all(reply.retry_after_s for reply in refused)
            await client.submit()


class TestConnections:
    async def test_a_connection_holds_no_more_calls_than_allowed(self) -> None:
        limits = options.Limits(connection_calls_max=4)
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address) as connection,
        ):
            await connection.ended(connection.open_stream(http2.call_headers("GetOrder")))
            streams = [
                connection.open_stream(http2.call_headers("GetOrder", KEY)) for _ in range(50)
            ]
            assert (await connection.ended(streams[-1])).is_reset
            held = [stream for stream in streams if not connection.replies[stream].is_ended]
            assert 0 < len(held) <= 8

    async def test_a_burst_over_many_connections_is_answered(self) -> None:
        """More calls than gRPC's library keeps for a server by default: 1,000."""
        async with grpc_fixture.running_server() as server:
            access = Access(server.address, "key-of-m1")
            async with contextlib.aclosing(Client(access)) as client:
                drafts = [memory.draft(f"o-{n}") for n in range(1_500)]
                answers = await asyncio.gather(
                    *(sender.submit(client, [draft], 30) for draft in drafts)
                )
            assert {answer.code for [answer] in answers} == {"OK"}

    async def test_a_burst_of_one_method_delays_no_other(self) -> None:
        """Each method has a queue of its own in gRPC's library."""
        async with (
            grpc_fixture.running_server() as server,
            contextlib.AsyncExitStack() as stack,
            http2.connected(server.address) as good,
        ):
            await good.ended(good.open_stream(http2.call_headers("GetOrder")))
            fleet = [
                await stack.enter_async_context(http2.connected(server.address)) for _ in range(6)
            ]
            headers = http2.call_headers("SubmitOrder", KEY)
            for n in range(1_200):
                request = s.SubmitOrderRequest(order=memory.draft(f"o-{n}"))
                fleet[n % 6].open_stream(headers, body=request.SerializeToString())
            for one in fleet:
                await one.drain()
            asked = s.GetOrderRequest(order_id="o-unknown")
            call = http2.call_headers("GetOrder", KEY)
            reply = await good.ended(good.open_stream(call, body=asked.SerializeToString()))
            replies = [reply for one in fleet for reply in one.replies.values()]
            assert reply.reason == "ORDER_NOT_FOUND"
            assert sum(reply.is_ended for reply in replies) < len(replies) / 2

    async def test_no_more_than_allowed(self) -> None:
        limits = options.Limits(connections_max=2)
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address) as first,
            http2.connected(server.address) as second,
        ):
            for connection in (first, second):
                await connection.ended(connection.open_stream(http2.call_headers("GetOrder")))
            async with http2.connected(server.address) as third:
                await third.closed()
            assert connections.count(server.port) == 2
            assert not first.is_closed

    async def test_an_idle_one_and_an_old_one_are_closed(self) -> None:
        for idle_s, age_s in ((0.3, 60.0), (60.0, 0.3)):
            async with (
                grpc_fixture.running_server(idle_s=idle_s, age_s=age_s) as server,
                http2.connected(server.address) as connection,
            ):
                await connection.closed()

    async def test_a_stream_that_the_age_limit_ends_is_resumed(self) -> None:
        async with grpc_fixture.running_server(age_s=0.2, age_grace_s=0.2) as server:
            async with grpc_fixture.client_of(server) as client:
                await client.submit()
            fact = await server.bus.first(OrderPlaced)
            server.orders.record(fact)
            async with contextlib.aclosing(Client(Access(server.address, "key-of-m1"))) as watcher:
                seen: list[int] = []
                breaks: list[bool] = []
                watch = watching.follow(
                    watcher,
                    ("o-1", 0),
                    lambda entry: seen.append(entry.version),
                    lambda: breaks.append(True),
                )
                watched = asyncio.ensure_future(watch)
                async with asyncio.timeout(30):
                    while not breaks:  # noqa: ASYNC110 - nothing tells it
                        await asyncio.sleep(0.01)
                ref = ids.OrderRef("m1", "o-1")
                for state in (OrderState.PAID, OrderState.FINALIZED):
                    server.orders.move(ref, state)
                ended = await watched
            assert not isinstance(ended, Failure), ended
            assert seen == sorted(set(seen))
            assert seen[-1] == ended.version

    async def test_calls_count_until_their_answers_are_read(self) -> None:
        limits = options.Limits(calls_max=4)
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address, window_bytes=0) as connection,
        ):
            body = s.SubmitOrderRequest(order=memory.draft()).SerializeToString()
            headers = http2.call_headers("SubmitOrder", KEY)
            for _ in range(4):
                connection.open_stream(headers, body=body)
            await server.bus.first(OrderPlaced)
            refused = await connection.ended(connection.open_stream(headers, body=body))
            assert refused.reason == "TOO_MANY_CALLS"

    async def test_large_answers_wait_up_to_a_limit(self) -> None:
        limits = options.Limits(unread_bytes_max=100_000)
        bad = s.SubmitOrdersRequest(orders=[o.OrderDraft()] * 200).SerializeToString()
        async with (
            grpc_fixture.running_server(limits) as server,
            http2.connected(server.address, window_bytes=0) as connection,
            grpc_fixture.client_of(server) as client,
        ):
            headers = http2.call_headers("SubmitOrders", KEY)
            streams = [connection.open_stream(headers, body=bad) for _ in range(12)]
            refused = await connection.first_ended(streams)
            assert refused.reason == "ANSWERS_UNREAD"
            assert refused.retry_after_s
            await client.submit()

    async def test_one_that_does_not_read_is_cut(self) -> None:
        limits = options.Limits(unread_s=0.1)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
            http2.connected(server.address, window_bytes=0) as connection,
        ):
            body = s.GetOrderRequest(order_id="o-1").SerializeToString()
            await client.submit()
            connection.open_stream(http2.call_headers("GetOrder", KEY), body=body)
            await connection.closed()
            await client.GetOrder(s.GetOrderRequest(order_id="o-1"))


class TestDeadlines:
    async def test_a_call_without_one_gets_one(self) -> None:
        limits = options.Limits(deadline_default_s=0.2)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            with server.bus.standing_still():
                call = client.SubmitOrder(s.SubmitOrderRequest(order=memory.draft()))
                failure = await grpc_fixture.failure_of(call)
            assert (failure.code, failure.reason) == ("DEADLINE_EXCEEDED", "OUTCOME_PENDING")
            await server.bus.first(OrderPlaced)
            assert (await client.submit()).replayed

    async def test_a_longer_one_is_cut(self) -> None:
        limits = options.Limits(deadline_max_s=0.3)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            started_s = asyncio.get_running_loop().time()
            answer = await client.SubmitOrder(FINALIZED, timeout=60)
            assert answer.state == o.ORDER_STATE_PLACED
            assert asyncio.get_running_loop().time() - started_s < 5

    async def test_streams_have_their_own(self) -> None:
        limits = options.Limits(deadline_max_s=0.1, watch_deadline_max_s=0.4)
        async with (
            grpc_fixture.running_server(limits) as server,
            grpc_fixture.client_of(server) as client,
        ):
            await client.submit()
            started_s = asyncio.get_running_loop().time()
            stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-1"))
            failure = await grpc_fixture.failure_of(stream.read())
            assert failure.code == "DEADLINE_EXCEEDED"
            assert asyncio.get_running_loop().time() - started_s > 0.3


class TestDrain:
    async def test_open_calls_are_answered(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            await client.submit(memory.draft("watched"))
            stream = client.WatchOrder(s.WatchOrderRequest(order_id="watched"))
            waiting = asyncio.ensure_future(client.SubmitOrder(FINALIZED))
            await server.bus.first(OrderPlaced)
            await asyncio.sleep(0.1)
            with server.bus.standing_still():
                placing = asyncio.ensure_future(client.submit(memory.draft("o-2")))
                await orders_are_open(server, 1)
                closing = asyncio.create_task(server.grpc.close())
                await asyncio.sleep(0.2)
            assert (await waiting).state == o.ORDER_STATE_PLACED
            assert (await placing).order_id == "o-2"
            failure = await grpc_fixture.failure_of(stream.read())
            assert (failure.code, failure.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")
            await closing
            assert {fact.key for fact in server.bus.facts()} == {"o-1", "o-2", "watched"}
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.submit(memory.draft("late"))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    async def test_a_broker_that_stays_silent_does_not_hold_it_open(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            with server.bus.standing_still():
                placing = asyncio.ensure_future(client.submit())
                await orders_are_open(server, 1)
                async with asyncio.timeout(3 * server.options.drain_s):
                    await server.grpc.close()
            with pytest.raises(grpc.aio.AioRpcError):
                await placing


class TestHealth:
    async def test_serving_until_it_drains(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = health_pb2_grpc.HealthStub(channel)
            for name in ("", service.NAME):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
            watch = stub.Watch(health_pb2.HealthCheckRequest(service=service.NAME))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            closing = asyncio.create_task(server.grpc.close())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()
            await closing


async def orders_are_open(server: grpc_fixture.Server, count: int) -> None:
    """Wait until this many orders are on their way to the broker."""
    async with asyncio.timeout(5):
        while server.service.open_orders < count:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)


def refusals(reason: str) -> float:
    """Return how many calls were refused for this reason."""
    count = prometheus_client.REGISTRY.get_sample_value(
        "souk_intake_refused_total", {"reason": reason}
    )
    return count or 0.0
