"""The `souk` command against servers that break off, refuse, fail, or do not exist."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, aclosing, contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.cli import main, server_calls
from internal.cli.options import Server
from internal.client import client, watching
from internal.client.access import Access
from internal.wire.souk.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc

KEY = f"souk_{'0' * 12}_{'0' * 64}"
STEPS = (
    ("intake", "OrderPlaced", "ORDER_STATE_PLACED"),
    ("order_processing", "OrderAccepted", "ORDER_STATE_ACCEPTED"),
    ("payment_processing", "OrderPaid", "ORDER_STATE_PAID"),
    ("finalization", "OrderFinalized", "ORDER_STATE_FINALIZED"),
)

Abort = Callable[[grpc.ServicerContext], None]


def ends(_context: grpc.ServicerContext) -> None:
    """End the stream early, without an error."""


def breaks(context: grpc.ServicerContext) -> None:
    """End the stream as a server that goes down."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "going down")


def fails(code: grpc.StatusCode, reason: str, *details: message.Message) -> Abort:
    """End a call as Souk's own server does."""
    status = status_pb2.Status(code=code.value[0], message="so it is")
    info = error_details_pb2.ErrorInfo(reason=reason, domain="souk.v1")
    for detail in (info, *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return lambda context: context.abort_with_status(rpc_status.to_status(status))


class Service(order_service_pb2_grpc.OrderServiceServicer):
    """Watches end as they are told to; every other call ends with the first of `aborts`."""

    def __init__(self, aborts: Sequence[Abort], steps_a_time: int = 1) -> None:
        self.aborts, self.steps_a_time = list(aborts), steps_a_time
        self.resumed_from: list[int] = []
        self.metadata: dict[str, Any] = {}

    def WatchOrder(  # noqa: N802 - the proto's name
        self, request: order_service_pb2.WatchOrderRequest, context: grpc.ServicerContext
    ) -> Iterator[order_service_pb2.WatchOrderResponse]:
        self.resumed_from.append(request.from_version)
        first = request.from_version
        for version, (stage, event, state) in list(enumerate(STEPS, start=1))[first:]:
            if version > first + self.steps_a_time and self.aborts:
                self.aborts.pop(0)(context)
                return
            entry = order_pb2.LogEntry(stage=stage, event=event, state=state, version=version)
            order = order_pb2.Order(order_id=request.order_id, state=state)
            is_last = version == len(STEPS)
            yield order_service_pb2.WatchOrderResponse(
                entry=entry, order=order if is_last else None
            )

    def GetOrder(  # noqa: N802 - the proto's name
        self, _request: order_service_pb2.GetOrderRequest, context: grpc.ServicerContext
    ) -> order_service_pb2.GetOrderResponse:
        self.metadata = dict(context.invocation_metadata())
        self.aborts[0](context)
        return order_service_pb2.GetOrderResponse()


class Sparse(order_service_pb2_grpc.OrderServiceServicer):
    """Lists six orders; every page looks at three places of a history, and may find none there."""

    HISTORY = ("", "", "", "o-6", "", "o-5", "", "", "", "o-4", "o-3", "o-2", "", "o-1", "")

    def ListOrders(  # noqa: N802 - the proto's name
        self, request: order_service_pb2.ListOrdersRequest, _: grpc.ServicerContext
    ) -> order_service_pb2.ListOrdersResponse:
        response = order_service_pb2.ListOrdersResponse()
        place = int(request.page_token or 0)
        upto = min(place + 3, len(self.HISTORY))
        while place < upto and len(response.orders) < request.page_size:
            if self.HISTORY[place]:
                response.orders.add(order_id=self.HISTORY[place], state="ORDER_STATE_REJECTED")
            place += 1
        response.next_page_token = str(place) if place < len(self.HISTORY) else ""
        return response


@contextmanager
def serving(service: order_service_pb2_grpc.OrderServiceServicer) -> Iterator[str]:
    """Serve on a free port."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    order_service_pb2_grpc.add_OrderServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUK_API_KEY", KEY)


class TestWatch:
    @pytest.mark.parametrize("abort", [ends, breaks])
    def test_a_broken_stream_is_taken_up_where_it_broke(
        self, abort: Abort, capsys: pytest.CaptureFixture[str]
    ) -> None:
        service = Service([abort] * 3)
        with serving(service) as target:
            assert main.run(["orders", "watch", "o", "--target", target, "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["entry"]["event"] for line in lines[:-1]] == [event for _, event, _ in STEPS]
        assert lines[-1]["order"]["state"] == "ORDER_STATE_FINALIZED"
        assert service.resumed_from == [0, 1, 2, 3]

    def test_a_refusal_is_not_tried_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        gone = fails(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
        service = Service([breaks, gone])
        with serving(service) as target:
            assert main.run(["orders", "watch", "o", "--target", target]) == 1
        assert service.resumed_from == [0, 1]
        assert "ORDER_NOT_FOUND" in capsys.readouterr().err

    async def test_streams_without_news_do_not_go_on_forever(self) -> None:
        service, retries = Service([ends] * 9, steps_a_time=0), watching.Retries(3)
        with serving(service) as target:
            async with aclosing(client.Client(Access(target, KEY))) as connection:
                reply = await watching.follow(connection, ("o", 0), print, retries=retries)
        assert isinstance(reply, client.Failure)
        problem = server_calls.problem_of(reply, Server(target))
        assert (problem.exit_code, problem.reason, problem.hints) == (3, "TEMPORARY", ())
        assert len(service.resumed_from) == 3


class TestListing:
    def listed(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
        with serving(Sparse()) as target:
            assert main.run(["orders", "list", "--target", target, "--json", *arguments]) == 0
        said = json.loads(capsys.readouterr().out)
        return [order["order_id"] for order in said["orders"]], said["next_page_token"]

    def test_short_and_empty_pages_are_not_the_end(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        everything = [f"o-{number}" for number in range(6, 0, -1)]
        assert self.listed(capsys) == (everything, "")
        assert self.listed(capsys, "--all", "--limit", "2") == (everything, "")
        first, token = self.listed(capsys, "--limit", "4")
        rest, end = self.listed(capsys, "--limit", "4", "--page-token", token)
        assert (first, rest, end) == (everything[:4], everything[4:], "")


class TestAnswers:
    def get(self, abort: Abort, *arguments: str) -> int:
        """Get an order from a server that answers like this."""
        with serving(Service([abort])) as target:
            return main.run(["orders", "get", "o", "--target", target, *arguments])

    @pytest.mark.parametrize(
        ("code", "exit_code"),
        [
            (grpc.StatusCode.INVALID_ARGUMENT, 1),
            (grpc.StatusCode.UNAUTHENTICATED, 1),
            (grpc.StatusCode.FAILED_PRECONDITION, 1),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, 3),
            (grpc.StatusCode.UNAVAILABLE, 3),
            (grpc.StatusCode.INTERNAL, 3),
            (grpc.StatusCode.UNKNOWN, 3),
            (grpc.StatusCode.UNIMPLEMENTED, 3),
        ],
    )
    def test_exit_codes(self, code: grpc.StatusCode, exit_code: int) -> None:
        assert self.get(fails(code, "SO_IT_IS")) == exit_code
        assert self.get(lambda context: context.abort(code, "no details")) == exit_code

    def test_waits_and_violations_are_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2))
        violation = error_details_pb2.BadRequest.FieldViolation(field="a.b", description="no")
        wrong = error_details_pb2.BadRequest(field_violations=[violation])
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        assert self.get(fails(code, "BACKLOG_TOO_DEEP", retry, wrong)) == 3
        told = capsys.readouterr().err.splitlines()
        assert told == ["BACKLOG_TOO_DEEP: so it is", "  a.b: no", "Try again in 2 s."]

    def test_a_server_that_answers_is_not_away(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.get(fails(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"))
        assert "No server answers" not in capsys.readouterr().err

    def test_the_key_travels_in_the_metadata(self) -> None:
        service = Service([breaks])
        with serving(service) as target:
            main.run(["orders", "get", "o", "--target", target])
        assert service.metadata["x-api-key"] == KEY


class TestNoServer:
    @pytest.fixture
    def silent(self) -> Iterator[str]:
        """An address that accepts connections and never answers."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield f"127.0.0.1:{listening.getsockname()[1]}"

    @pytest.fixture
    def closing(self) -> Iterator[str]:
        """An address that closes every connection at once."""
        with ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=_hang_up, args=(listening,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(listening.shutdown, socket.SHUT_RDWR)
            yield f"127.0.0.1:{listening.getsockname()[1]}"

    def test_silent_server(self, silent: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.run(["orders", "get", "o", "--target", silent, "--timeout", "0.3"]) == 3
        assert f"{silent} was given 0.3 s" in capsys.readouterr().err

    def test_closing_server(self, closing: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.run(["orders", "get", "o", "--target", closing, "--timeout", "5"]) == 3
        assert closing in capsys.readouterr().err


def _hang_up(listening: socket.socket) -> None:
    while True:
        try:
            listening.accept()[0].close()
        except OSError:
            return


class TestBugs:
    def test_a_bug_does_not_look_like_a_refusal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(server_calls, "call", None)
        assert main.run(["orders", "get", "o"]) == 70
        assert "Traceback" in capsys.readouterr().err
