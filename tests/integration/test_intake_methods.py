"""Every method of the gRPC API, over a real server and client."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import msgspec
import pytest
from google.protobuf import timestamp_pb2
from google.type import money_pb2

from internal.api import options
from internal.flow import topics
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.orders.messages import OrderPlaced
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


class TestSubmitOrder:
    async def test_ok_means_published(self, server: grpc_fixture.Server, client: Client) -> None:
        answer = await client.submit()
        assert answer == s.SubmitOrderResponse(order_id="o-1", state="ORDER_STATE_PLACED")
        [fact] = server.bus.facts()
        assert isinstance(fact, OrderPlaced)
        assert (fact.merchant_id, fact.order_id, fact.store_id) == ("m1", "o-1", "s-1")
        assert fact.placed_at_us == server.clock.now_us()
        assert len(fact.trace_id) == 32

    async def test_not_answered_before_the_receipt(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        with server.bus.standing_still():
            call = asyncio.create_task(client.submit())
            await asyncio.sleep(0.1)
            assert not call.done()
        await call

    async def test_same_order_again_is_replayed(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        again = await client.submit()
        assert again.replayed
        assert again.state == o.ORDER_STATE_PLACED
        assert len(server.bus.messages) == 1

    async def test_a_replay_tells_where_the_recorded_order_stands(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        await server.record_all()
        server.orders.move(REF, OrderState.PAID)
        again = await client.submit()
        assert again.replayed
        assert (again.state, again.version) == (o.ORDER_STATE_PAID, 3)
        assert again.order.totals.total.units == 7

    async def test_other_order_under_the_same_id_is_refused(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        failure = await grpc_fixture.failure_of(client.submit(memory.draft(note="other")))
        assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ORDER_ID_REUSED")
        await server.record_all()
        failure = await grpc_fixture.failure_of(client.submit(memory.draft(note="other")))
        assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ORDER_ID_REUSED")
        assert len(server.bus.messages) == 1

    async def test_merchants_have_ids_of_their_own(
        self, server: grpc_fixture.Server, client: Client, other: Client
    ) -> None:
        await client.submit()
        assert not (await other.submit(memory.draft(note="other"))).replayed
        assert len(server.bus.messages) == 2

    async def test_a_refused_order_leaves_its_id_free(self, client: Client) -> None:
        bad = memory.draft(currency="eur")
        failure = await grpc_fixture.failure_of(client.submit(bad))
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("order.currency",))
        assert not (await client.submit()).replayed

    async def test_no_receipt_leaves_its_id_free(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        server.bus.is_away = True
        failure = await grpc_fixture.failure_of(client.submit())
        assert (failure.code, failure.reason) == ("UNAVAILABLE", "BROKER_UNAVAILABLE")
        assert failure.retry_after_s == 1.0
        server.bus.is_away = False
        assert not (await client.submit()).replayed

    async def test_taken_while_the_database_is_away(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit(memory.draft("first"))
        server.orders.is_away = True
        assert (await client.submit()).state == o.ORDER_STATE_PLACED
        assert (await client.submit()).replayed

    async def test_wait_for_the_end(self, busy: Client) -> None:
        answer = await busy.submit(wait_for=s.WAIT_FOR_FINALIZED)
        assert answer.state == o.ORDER_STATE_FINALIZED
        assert answer.version == 4
        assert answer.order.receipt_number == 1
        assert answer.order.tenders[0].captured.units == 7

    async def test_wait_for_acceptance(self, server: grpc_fixture.Server, client: Client) -> None:
        call = asyncio.create_task(client.submit(wait_for=s.WAIT_FOR_ACCEPTED))
        await server.bus.first(OrderPlaced)
        await server.record_all()
        await server.orders.tell(REF, topics.ACCEPTED)
        assert (await call).state == o.ORDER_STATE_ACCEPTED

    async def test_a_missed_message_costs_a_moment_only(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        call = asyncio.create_task(client.submit(wait_for=s.WAIT_FOR_ACCEPTED))
        await server.bus.first(OrderPlaced)
        await server.record_all()
        assert (await call).state == o.ORDER_STATE_ACCEPTED

    async def test_when_the_deadline_comes_first_it_answers_with_what_it_knows(
        self, client: Client
    ) -> None:
        request = s.SubmitOrderRequest(order=memory.draft(), wait_for=s.WAIT_FOR_FINALIZED)
        answer = await client.SubmitOrder(request, timeout=0.5)
        assert (answer.state, answer.version) == (o.ORDER_STATE_PLACED, 0)
        assert answer.order.lines[0].sku == "tea"

    async def test_a_waiting_call_never_gets_another_orders_contents(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        """Another server took another order under this id, and that one was recorded."""
        for wait_for, told in (
            (s.WAIT_FOR_ACCEPTED, topics.ACCEPTED),
            (s.WAIT_FOR_FINALIZED, topics.REJECTED),
        ):
            order_id = f"o-{wait_for}"
            call = asyncio.create_task(client.submit(memory.draft(order_id), wait_for=wait_for))
            fact = await server.bus.first(OrderPlaced, order_id)
            server.orders.record(msgspec.structs.replace(fact, body_hash="another", lines=()))
            ref = ids.OrderRef(memory.MERCHANT, order_id)
            if told == topics.REJECTED:
                server.orders.move(ref, OrderState.REJECTED, "PAYMENT_DECLINED")
            await server.orders.tell(ref, told)
            failure = await grpc_fixture.failure_of(call)
            assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ORDER_ID_REUSED")

    async def test_nor_does_a_call_that_waits_until_its_deadline(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        request = s.SubmitOrderRequest(order=memory.draft(), wait_for=s.WAIT_FOR_FINALIZED)
        call = asyncio.ensure_future(client.SubmitOrder(request, timeout=1))
        fact = await server.bus.first(OrderPlaced)
        server.orders.record(msgspec.structs.replace(fact, body_hash="another"))
        failure = await grpc_fixture.failure_of(call)
        assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ORDER_ID_REUSED")

    async def test_nor_does_a_replay_also_while_the_database_is_away_again(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        [fact] = server.bus.facts()
        assert isinstance(fact, OrderPlaced)
        server.orders.record(msgspec.structs.replace(fact, body_hash="another"))
        for is_away in (False, True):
            server.orders.is_away = is_away
            for wait_for in (s.WAIT_FOR_UNSPECIFIED, s.WAIT_FOR_FINALIZED):
                failure = await grpc_fixture.failure_of(client.submit(wait_for=wait_for))
                assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ORDER_ID_REUSED")
            answer = await client.SubmitOrders(s.SubmitOrdersRequest(orders=[memory.draft()]))
            assert [_outcome(v) for v in answer.verdicts] == [("ORDER_ID_REUSED", ())]

    async def test_trace_parent_is_taken_on(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        parent = ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")
        request = s.SubmitOrderRequest(order=memory.draft())
        await client.SubmitOrder(request, metadata=(*memory.AUTH, parent))
        [fact] = server.bus.facts()
        assert fact.trace_id == trace_id


class TestSubmitOrders:
    async def test_a_verdict_for_each_and_a_bad_one_stops_no_other(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit(memory.draft("old"))
        orders = [
            memory.draft("a"),
            memory.draft("bad", currency="?"),
            memory.draft("b"),
            memory.draft("a"),
            memory.draft("a", note="not the same"),
            memory.draft("card", note="4111 1111 1111 1111"),
            memory.draft("old"),
            memory.draft(
                "dear", lines=[o.DraftLine(sku="tea", quantity_milli=1_000, expected_price=USD)]
            ),
        ]
        answer = await client.SubmitOrders(s.SubmitOrdersRequest(orders=orders))
        assert [v.order_id for v in answer.verdicts] == [d.order_id for d in orders]
        assert [_outcome(v) for v in answer.verdicts] == [
            "accepted",
            ("INVALID_ARGUMENT", ("orders[1].currency",)),
            "accepted",
            "replayed",
            ("ORDER_ID_REUSED", ()),
            ("CARD_NUMBER_REFUSED", ("orders[5].note",)),
            "replayed",
            ("INVALID_MONEY", ("orders[7].lines[0].expected_price",)),
        ]
        assert [fact.key for fact in server.bus.facts()[1:]] == ["a", "b"]

    async def test_a_thousand_go_out_in_one_message_per_shard(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        orders = [memory.draft(f"o-{number}") for number in range(1_000)]
        answer = await client.SubmitOrders(s.SubmitOrdersRequest(orders=orders))
        assert {_outcome(v) for v in answer.verdicts} == {"accepted"}
        assert server.bus.batches == [1_000]
        assert len(server.bus.messages) == len({m.key for m in server.bus.messages})

    async def test_no_receipt_is_told_for_each(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        server.bus.is_away = True
        request = s.SubmitOrdersRequest(orders=[memory.draft("a"), memory.draft("b")])
        answer = await client.SubmitOrders(request)
        assert [_outcome(v) for v in answer.verdicts] == [("BROKER_UNAVAILABLE", ())] * 2

    @pytest.mark.parametrize("count", [0, 1_001])
    async def test_one_to_a_thousand(self, client: Client, count: int) -> None:
        request = s.SubmitOrdersRequest(orders=[memory.draft(f"o-{n}") for n in range(count)])
        failure = await grpc_fixture.failure_of(client.SubmitOrders(request))
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("orders",))

    async def test_one_too_large_is_refused_alone(self, client: Client) -> None:
        big = memory.draft("big")
        big.MergeFromString(b"\xfa\x3f\x80\x80\x08" + bytes(2**17))  # an unknown field
        request = s.SubmitOrdersRequest(orders=[memory.draft("a"), big])
        answer = await client.SubmitOrders(request)
        outcomes = [_outcome(v) for v in answer.verdicts]
        assert outcomes == ["accepted", ("ORDER_TOO_LARGE", ("orders[1]",))]


class TestGetOrder:
    async def test_placed_until_recorded(self, server: grpc_fixture.Server, client: Client) -> None:
        await client.submit(memory.draft(note="ring twice", terminal_id="till-1"))
        order = (await client.GetOrder(s.GetOrderRequest(order_id="o-1"))).order
        assert (order.state, order.version) == (o.ORDER_STATE_PLACED, 0)
        assert (order.note, order.terminal_id) == ("ring twice", "till-1")
        assert not order.HasField("totals")
        await server.record_all()
        order = (await client.GetOrder(s.GetOrderRequest(order_id="o-1"))).order
        assert (order.state, order.version) == (o.ORDER_STATE_ACCEPTED, 2)
        assert order.note == "ring twice"
        assert list(order.allowed_commands) == [o.ORDER_COMMAND_CANCEL]
        assert [entry.stage for entry in order.timeline] == ["intake", "order_processing"]

    async def test_unknown(self, client: Client) -> None:
        failure = await grpc_fixture.failure_of(client.GetOrder(s.GetOrderRequest(order_id="o-9")))
        assert (failure.code, failure.reason) == ("NOT_FOUND", "ORDER_NOT_FOUND")

    async def test_another_merchants_order_is_not_found(
        self, server: grpc_fixture.Server, client: Client, other: Client
    ) -> None:
        await client.submit()
        request = s.GetOrderRequest(order_id="o-1")
        unrecorded = await grpc_fixture.failure_of(other.GetOrder(request))
        await server.record_all()
        recorded = await grpc_fixture.failure_of(other.GetOrder(request))
        unknown = await grpc_fixture.failure_of(other.GetOrder(s.GetOrderRequest(order_id="o-1")))
        assert unrecorded == recorded == unknown
        assert recorded.code == "NOT_FOUND"

    async def test_the_database_is_away(self, server: grpc_fixture.Server, client: Client) -> None:
        server.orders.is_away = True
        failure = await grpc_fixture.failure_of(client.GetOrder(s.GetOrderRequest(order_id="o-1")))
        assert (failure.code, failure.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        assert failure.retry_after_s


class TestListOrders:
    @pytest.fixture(autouse=True)
    async def orders(self, server: grpc_fixture.Server, client: Client, other: Client) -> None:
        for number in range(7):
            server.clock.advance_us(1_000_000)
            await client.submit(memory.draft(f"o-{number}", store_id=f"s-{number % 2}"))
        await other.submit(memory.draft("theirs"))
        await server.record_all()
        server.orders.move(
            ids.OrderRef(memory.MERCHANT, "o-3"), OrderState.REJECTED, "PAYMENT_DECLINED"
        )

    async def test_pages_newest_first_without_gaps(self, client: Client) -> None:
        seen, token = [], ""
        while True:
            request = s.ListOrdersRequest(page_size=3, page_token=token)
            answer = await client.ListOrders(request)
            seen += [order.order_id for order in answer.orders]
            token = answer.next_page_token
            if not token:
                break
        assert seen == [f"o-{number}" for number in reversed(range(7))]

    async def test_by_state(self, client: Client) -> None:
        request = s.ListOrdersRequest(states=[o.ORDER_STATE_REJECTED])
        [order] = (await client.ListOrders(request)).orders
        assert (order.order_id, order.refusal_reason) == ("o-3", "PAYMENT_DECLINED")

    async def test_by_store(self, client: Client) -> None:
        answer = await client.ListOrders(s.ListOrdersRequest(store_id="s-1"))
        assert [order.order_id for order in answer.orders] == ["o-5", "o-3", "o-1"]

    async def test_by_time(self, server: grpc_fixture.Server, client: Client) -> None:
        start = server.clock.now_us() // 1_000_000 - 7
        request = s.ListOrdersRequest(
            placed_after=timestamp_pb2.Timestamp(seconds=start + 3),
            placed_before=timestamp_pb2.Timestamp(seconds=start + 5),
        )
        answer = await client.ListOrders(request)
        assert [order.order_id for order in answer.orders] == ["o-3", "o-2"]

    @pytest.mark.parametrize("token", ["x", "WzEsMl0=", "\u00fc", "4111", "W" * 512])
    async def test_foreign_tokens(self, client: Client, token: str) -> None:
        failure = await grpc_fixture.failure_of(
            client.ListOrders(s.ListOrdersRequest(page_token=token))
        )
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")

    async def test_a_token_belongs_to_its_filters(self, client: Client) -> None:
        token = (await client.ListOrders(s.ListOrdersRequest(page_size=2))).next_page_token
        request = s.ListOrdersRequest(page_size=2, page_token=token, store_id="s-1")
        failure = await grpc_fixture.failure_of(client.ListOrders(request))
        assert failure.reason == "PAGE_TOKEN_INVALID"

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (s.ListOrdersRequest(page_size=501), "page_size"),
            (s.ListOrdersRequest(page_size=-1), "page_size"),
            (s.ListOrdersRequest(states=["ORDER_STATE_UNSPECIFIED"]), "states[0]"),
            (s.ListOrdersRequest(store_id="?"), "store_id"),
            (s.ListOrdersRequest(placed_after={"seconds": 2**62}), "placed_after"),
        ],
    )
    async def test_wrong_filters(
        self, client: Client, request_: s.ListOrdersRequest, field: str
    ) -> None:
        failure = await grpc_fixture.failure_of(client.ListOrders(request_))
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", (field,))


class TestWatchOrder:
    async def test_sends_each_step_as_it_happens(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-1"))
        await server.record_all()
        await server.orders.tell(REF, topics.ACCEPTED)
        first, second = [await stream.read() for _ in range(2)]
        assert [first.entry.version, second.entry.version] == [1, 2]
        server.orders.move(REF, OrderState.PAID)
        await server.orders.tell(REF, topics.PAID)
        third = await stream.read()
        assert third.entry.state == o.ORDER_STATE_PAID
        assert not third.HasField("order")
        server.orders.move(REF, OrderState.FINALIZED)
        await server.orders.tell(REF, topics.FINALIZED)
        last = await stream.read()
        assert last.order.state == o.ORDER_STATE_FINALIZED
        assert last.order.version == last.entry.version == 4
        assert await stream.read() is grpc.aio.EOF

    async def test_resumes_from_a_version(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        await server.record_all()
        for state in (OrderState.PAID, OrderState.FINALIZED):
            server.orders.move(REF, state)
        request = s.WatchOrderRequest(order_id="o-1", from_version=2)
        versions = [answer.entry.version async for answer in client.WatchOrder(request)]
        assert versions == [3, 4]
        request.from_version = 4
        assert [answer async for answer in client.WatchOrder(request)] == []

    async def test_unknown(self, client: Client) -> None:
        stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-9"))
        failure = await grpc_fixture.failure_of(stream.read())
        assert (failure.code, failure.reason) == ("NOT_FOUND", "ORDER_NOT_FOUND")

    async def test_a_client_that_leaves_is_forgotten(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        await client.submit()
        stream = client.WatchOrder(s.WatchOrderRequest(order_id="o-1"))
        await asyncio.sleep(0.1)
        stream.cancel()
        await asyncio.sleep(0.1)
        assert not server.service.has_waiting_calls


class TestQuoteOrder:
    async def test_totals_without_a_trace(
        self, server: grpc_fixture.Server, client: Client
    ) -> None:
        lines = [
            o.DraftLine(sku="tea", quantity_milli=2_000),
            o.DraftLine(sku="rose", quantity_milli=1_000),
        ]
        request = s.QuoteOrderRequest(store_id="s-1", currency="EUR", lines=lines)
        answer = await client.QuoteOrder(request)
        assert answer.totals.total == money_pb2.Money(currency_code="EUR", units=19)
        assert answer.lines[0].gross == money_pb2.Money(currency_code="EUR", units=7)
        assert not server.bus.messages

    async def test_a_refusal(self, client: Client) -> None:
        lines = [o.DraftLine(sku="gold", quantity_milli=2_000)]
        request = s.QuoteOrderRequest(store_id="s-1", currency="EUR", lines=lines)
        failure = await grpc_fixture.failure_of(client.QuoteOrder(request))
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "UNKNOWN_SKU")

    async def test_wrong_fields(self, client: Client) -> None:
        failure = await grpc_fixture.failure_of(client.QuoteOrder(s.QuoteOrderRequest()))
        assert failure.fields == ("store_id", "currency", "lines")


USD = money_pb2.Money(currency_code="USD", units=3)


def _outcome(verdict: s.OrderVerdict) -> object:
    if verdict.HasField("refused"):
        failure = grpc_fixture.failure_in(verdict.refused)
        return failure.reason, failure.fields
    return "replayed" if verdict.accepted.replayed else "accepted"
