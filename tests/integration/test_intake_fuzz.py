"""Any bytes get a typed answer, and the server still answers afterwards."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import message
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st

from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from internal.wire.souk.v1 import order_service_pb2_grpc
from tests.unit.api import grpc_fixture, memory

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PATH = "/souk.v1.OrderService/"
EUR = {"currency_code": "EUR", "units": 3, "nanos": 500_000_000}
WHOLE = memory.draft(
    terminal_id="till-1",
    note="ring twice",
    lines=[o.DraftLine(sku="tea", quantity_milli=2_000, expected_price=EUR)],
    adjustments=[o.Adjustment(basis_points=500)],
    tenders=[o.Tender(cash=o.CashTender(), amount=EUR), o.Tender(card=o.CardTender(token="t"))],
)
VALID: list[tuple[str, message.Message]] = [
    ("SubmitOrder", s.SubmitOrderRequest(order=WHOLE)),
    ("SubmitOrders", s.SubmitOrdersRequest(orders=[WHOLE, memory.draft("o-2")])),
    ("GetOrder", s.GetOrderRequest(order_id="o-1")),
    ("ListOrders", s.ListOrdersRequest(states=["ORDER_STATE_PAID"], store_id="s", page_size=3)),
    ("WatchOrder", s.WatchOrderRequest(order_id="o-9", from_version=1)),
    ("CancelOrder", s.CancelOrderRequest(order_id="o-9", request_id="r-1", reason="r")),
    ("QuoteOrder", s.QuoteOrderRequest(store_id="s", currency="EUR", lines=WHOLE.lines)),
]
TYPED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server in a thread of its own, so that tests may be synchronous."""
    opened, done = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with grpc_fixture.running_server(stages=True) as server:
            found.append(server.address)
            opened.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert opened.wait(10)
    yield found[0]
    done.set()
    thread.join()


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as connected:
        yield connected


def send(channel: grpc.Channel, method: str, raw: bytes) -> None:
    """Send bytes to a method; whatever comes back must be an answer or a typed error."""
    error = error_of(channel, method, raw)
    if error is not None:
        status = rpc_status.from_call(error)
        assert error.code() in TYPED, error
        assert status is not None
        assert grpc_fixture.failure_in(status).reason


def error_of(channel: grpc.Channel, method: str, raw: bytes) -> grpc.RpcError | None:
    """Send bytes to a method and return how it failed, if it did."""
    kind = channel.unary_stream if method == "WatchOrder" else channel.unary_unary
    try:
        answer = kind(PATH + method)(raw, metadata=memory.AUTH, timeout=10)
        for _ in answer if method == "WatchOrder" else ():
            pass
    except grpc.RpcError as error:
        return error
    return None


def assert_still_answers(address: str) -> None:
    with grpc.insecure_channel(address) as fresh:
        stub = order_service_pb2_grpc.OrderServiceStub(fresh)  # type: ignore[no-untyped-call]
        request = s.SubmitOrderRequest(order=memory.draft("still-here"))
        answer = stub.SubmitOrder(request, metadata=memory.AUTH, timeout=10)
        assert answer.order_id == "still-here"


@st.composite
def mutated(draw: st.DrawFn, raw: bytes) -> bytes:
    """Flip, cut, double and insert bytes of a valid request."""
    changed = bytearray(raw)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, max(0, len(changed) - 1)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert"])):
            case "flip" if changed:
                changed[place] ^= draw(st.integers(1, 255))
            case "cut":
                del changed[place : place + draw(st.integers(1, 20))]
            case "double":
                changed[place:place] = changed[place : place + draw(st.integers(1, 20))]
            case _:
                changed[place:place] = draw(st.binary(min_size=1, max_size=12))
    return bytes(changed)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_mutated_requests(channel: grpc.Channel, data: st.DataObject) -> None:
    method, request = data.draw(st.sampled_from(VALID))
    send(channel, method, data.draw(mutated(request.SerializeToString())))


@settings(max_examples=200, deadline=None)
@given(method=st.sampled_from([method for method, _ in VALID]), raw=st.binary(max_size=300))
def test_random_requests(channel: grpc.Channel, method: str, raw: bytes) -> None:
    send(channel, method, raw)


texts = st.text(max_size=80) | st.sampled_from(["o-1", "s-1", "EUR", "JPY", "XXX"])
moneys: st.SearchStrategy[dict[str, object]] = st.builds(
    dict,
    currency_code=texts,
    units=st.integers(-(2**63), 2**63 - 1),
    nanos=st.integers(-(2**31), 2**31 - 1),
)
orders = st.builds(
    o.OrderDraft,
    order_id=texts,
    store_id=texts,
    terminal_id=texts,
    currency=texts,
    note=texts,
    lines=st.lists(
        st.builds(
            o.DraftLine,
            sku=texts,
            quantity_milli=st.integers(-(2**63), 2**63 - 1),
            expected_price=st.none() | moneys,
        ),
        max_size=4,
    ),
    adjustments=st.lists(
        st.builds(o.Adjustment, amount=moneys)
        | st.builds(o.Adjustment, basis_points=st.integers(-1, 10_001)),
        max_size=3,
    ),
    tenders=st.lists(
        st.builds(o.Tender, cash=st.just(o.CashTender()), amount=st.none() | moneys)
        | st.builds(o.Tender, card=st.builds(o.CardTender, token=texts), amount=moneys),
        max_size=3,
    ),
)


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(orders, min_size=1, max_size=3))
def test_any_values_in_the_right_places(channel: grpc.Channel, batch: list[o.OrderDraft]) -> None:
    send(channel, "SubmitOrder", s.SubmitOrderRequest(order=batch[0]).SerializeToString())
    send(channel, "SubmitOrders", s.SubmitOrdersRequest(orders=batch).SerializeToString())


def test_unknown_methods(channel: grpc.Channel) -> None:
    for path in (PATH + "Nothing", "/no.Such/Service", "/"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(path)(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_noise_on_the_port(address: str) -> None:
    """Random bytes, alone and after a proper HTTP/2 preface."""
    noise = random.Random(4)
    host, port = address.split(":")
    for lead in (b"", PREFACE, PREFACE + SETTINGS, b"GET / HTTP/1.1\r\n\r\n"):
        for size in (0, 1, 100, 10_000):
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                try:
                    connection.sendall(lead + noise.randbytes(size))
                    connection.settimeout(0.05)
                    connection.recv(1_000)
                except OSError:
                    pass  # hung up on, as noise deserves
    assert_still_answers(address)


def test_still_answers_after_all_that(address: str) -> None:
    assert_still_answers(address)
