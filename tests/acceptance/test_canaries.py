"""Card numbers and API keys that are sent in every field must not be found anywhere afterwards.

Each field gets a number of its own, so that a leaked number identifies its field.
"""

import asyncio
import shutil
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from internal.auth import rules as auth_rules
from internal.checks import invariants
from internal.flow import topics
from internal.infra import bus
from internal.infra.data_folder import files
from internal.kernel import cards, ids
from internal.lab import engine_process
from internal.pipeline import dead_letters
from internal.wire.souk.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc
from tests.acceptance import audit, raw_topics
from tests.support import card_numbers

pytestmark = pytest.mark.slow

MARK = "a-note-that-must-be-found"
TIMEOUT_S = 30.0
Stub = Any
"""The generated stub has no types."""
Field = Callable[[order_pb2.OrderDraft, str], None]


def card_number(no: int) -> str:
    """Return a valid card number, a different one for each `no`."""
    digits = f"42424242424{no:04d}"
    return next(digits + last for last in "0123456789" if cards.passes_luhn(digits + last))


def draft(order_id: str, note: str = "") -> order_pb2.OrderDraft:
    return order_pb2.OrderDraft(
        order_id=order_id,
        store_id="berlin",
        currency="EUR",
        lines=[order_pb2.DraftLine(sku="COFFEE-250", quantity_milli=1_000)],
        tenders=[order_pb2.Tender(card=order_pb2.CardTender(token="tok_ok"))],
        note=note,
    )


def in_order_id(order: order_pb2.OrderDraft, number: str) -> None:
    order.order_id = number


def in_store_id(order: order_pb2.OrderDraft, number: str) -> None:
    order.store_id = number


def in_terminal_id(order: order_pb2.OrderDraft, number: str) -> None:
    order.terminal_id = number


def in_currency(order: order_pb2.OrderDraft, number: str) -> None:
    order.currency = number


def in_sku(order: order_pb2.OrderDraft, number: str) -> None:
    order.lines.add(sku=number, quantity_milli=1_000)


def in_expected_price(order: order_pb2.OrderDraft, number: str) -> None:
    order.lines[0].expected_price.currency_code = number


def in_token(order: order_pb2.OrderDraft, number: str) -> None:
    order.tenders[0].card.token = number


def in_note(order: order_pb2.OrderDraft, number: str) -> None:
    order.note = f"card {number} of the customer"


def in_note_with_blanks(order: order_pb2.OrderDraft, number: str) -> None:
    order.note = " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def in_note_with_dashes(order: order_pb2.OrderDraft, number: str) -> None:
    order.note = "-".join(number[at : at + 4] for at in range(0, len(number), 4))


def in_token_with_dashes(order: order_pb2.OrderDraft, number: str) -> None:
    order.tenders[0].card.token = "-".join(number[at : at + 4] for at in range(0, len(number), 4))


FIELDS: tuple[Field, ...] = (
    in_order_id,
    in_store_id,
    in_terminal_id,
    in_currency,
    in_sku,
    in_expected_price,
    in_token,
    in_note,
    in_note_with_blanks,
    in_note_with_dashes,
    in_token_with_dashes,
)


class Canaries:
    """Every card number that was sent, and where."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}

    def next(self, where: str) -> str:
        """Return a number that was not used before."""
        number = card_number(len(self.sent))
        self.sent[number] = where
        return number

    def found_in(self, content: bytes) -> list[str]:
        """Return the fields whose numbers appear in `content`, with or without separators."""
        bare = content.translate(None, b" -")
        return [
            where
            for number, where in self.sent.items()
            if number.encode() in content or number.encode() in bare
        ]


class Subject:
    """An engine with all logging on, and a client of it."""

    def __init__(
        self, folder: Path, engine: engine_process.Engine, api_key: str, address: str
    ) -> None:
        self.folder, self.engine, self.api_key = folder, engine, api_key
        self.metrics = ""
        self._channel = grpc.aio.insecure_channel(address)
        self.stub: Stub = order_service_pb2_grpc.OrderServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self.metadata = (("authorization", f"Bearer {api_key}"),)

    async def call(self, method: str, request: Any, *metadata: tuple[str, str]) -> Any:  # noqa: ANN401
        """Call a method with the right key, or with other metadata."""
        call = getattr(self.stub, method)
        return await call(request, metadata=metadata or self.metadata, timeout=TIMEOUT_S)

    async def refused(self, method: str, request: Any, *metadata: tuple[str, str]) -> str:  # noqa: ANN401
        """Call a method that must refuse; return its whole answer: text, details and trailers."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, *metadata)
        error = caught.value
        return f"{error.code().name} {error.details()} {error.trailing_metadata()}"

    async def aclose(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def traces(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything the engine has written: all files but the key's own, and its output."""
        for path in self.folder.iterdir():
            if path.name != files.DEMO_KEY:
                yield path.name, path.read_bytes()
        yield "terminal", self.engine.output.encode()
        yield "metrics", self.metrics.encode()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Subject]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    settings = {"SOUK_LOG__LEVEL": "DEBUG", "SOUK_METRICS__PORT": str(port)}
    api_key = (folder / files.DEMO_KEY).read_text()
    async with engine_process.isolated(folder, settings=settings) as engine:
        subject = Subject(folder, engine, api_key, await engine.address())
        try:
            yield subject
            subject.metrics = await asyncio.to_thread(_read, f"http://127.0.0.1:{port}/metrics")
        finally:
            await subject.aclose()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own server
        content: bytes = answer.read()
        return content.decode()


@pytest.fixture
def folder(shop_folder: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "data"
    shutil.copytree(shop_folder, copied)
    return copied


async def place_good_order(subject: Subject, order_id: str) -> None:
    request = order_service_pb2.SubmitOrderRequest(
        order=draft(order_id, MARK), wait_for="WAIT_FOR_FINALIZED"
    )
    reply = await subject.call("SubmitOrder", request)
    assert reply.state == order_pb2.ORDER_STATE_FINALIZED


async def test_no_card_number_is_found_anywhere(folder: Path) -> None:
    canaries = Canaries()
    said: list[str] = []
    async with opened(folder) as subject:
        said += [await submit_one(subject, canaries, field) for field in FIELDS]
        said += await submit_batch(subject, canaries)
        said += [answer async for answer in ask_for_everything_else(subject, canaries)]
        await place_good_order(subject, "good")
    assert not canaries.found_in("\n".join(said).encode())
    places = dict(subject.traces())
    assert {"souk.db", "souk.db-wal", "souk.log", "terminal", "metrics"} <= places.keys()
    assert any(MARK.encode() in content for content in places.values())
    assert "souk_" in subject.metrics
    assert not {where: found for where, it in places.items() if (found := canaries.found_in(it))}
    async with audit.database_of(folder) as database:
        numbers = list(canaries.sent)
        assert not await database.read(lambda c: invariants.canaries(c, numbers))


async def test_no_test_number_of_any_scheme_is_found_anywhere(folder: Path) -> None:
    """Each scheme's numbers in each field: refused one by one, and kept nowhere."""
    canaries = Canaries()
    request = order_service_pb2.SubmitOrdersRequest()
    for scheme, number in card_numbers.OF_SCHEMES.items():
        canaries.sent[number] = scheme
        for field in FIELDS:
            order = draft(f"{field.__name__}-{len(request.orders)}")
            field(order, number)
            request.orders.append(order)
    async with opened(folder) as subject:
        reply = await subject.call("SubmitOrders", request)
        await place_good_order(subject, "good")
    refused = [str(verdict.refused) for verdict in reply.verdicts]
    assert len(refused) == len(FIELDS) * len(card_numbers.OF_SCHEMES)
    assert all("CARD_NUMBER_REFUSED" in text for text in refused)
    assert not canaries.found_in("\n".join(refused).encode())
    places = dict(subject.traces())
    assert not {where: found for where, it in places.items() if (found := canaries.found_in(it))}


async def test_other_long_numbers_are_sold_and_shown_as_they_are(folder: Path) -> None:
    """Shops' own order ids, IMEIs and IBANs; and a label of a scale is no product, not a card."""
    note = "IMEI 490154203237518, IMEI 35-209900-176148-1, IBAN DE44 5001 0517 5407 3249 31"
    async with opened(folder) as subject:
        for order_id in ("820982911946154508", "shopify-820982911946154508"):
            order = draft(order_id, note)
            request = order_service_pb2.SubmitOrderRequest(
                order=order, wait_for="WAIT_FOR_FINALIZED"
            )
            reply = await subject.call("SubmitOrder", request)
            assert (reply.state, reply.order.note) == (order_pb2.ORDER_STATE_FINALIZED, note)
        line = order_pb2.DraftLine(sku="2611008003214", quantity_milli=1_000)
        quote = order_service_pb2.QuoteOrderRequest(store_id="berlin", currency="EUR", lines=[line])
        answer = await subject.refused("QuoteOrder", quote)
    assert answer.startswith("FAILED_PRECONDITION")
    assert "UNKNOWN_SKU" in answer
    assert "2611008003214" in answer


async def submit_one(subject: Subject, canaries: Canaries, field: Field) -> str:
    order = draft(f"one-{field.__name__}")
    field(order, canaries.next(field.__name__))
    request = order_service_pb2.SubmitOrderRequest(order=order)
    answer = await subject.refused("SubmitOrder", request)
    assert answer.startswith("INVALID_ARGUMENT"), field
    assert "CARD_NUMBER_REFUSED" in answer, field
    return answer


async def submit_batch(subject: Subject, canaries: Canaries) -> list[str]:
    """Send one bad order for each field between good ones; the good ones must be accepted."""
    request = order_service_pb2.SubmitOrdersRequest()
    for field in FIELDS:
        order = draft(f"many-{field.__name__}")
        field(order, canaries.next(f"batch {field.__name__}"))
        request.orders.extend([draft(f"beside-{field.__name__}"), order])
    reply = await subject.call("SubmitOrders", request)
    assert [v.WhichOneof("verdict") for v in reply.verdicts] == ["accepted", "refused"] * len(
        FIELDS
    )
    # An order id that is a card number is returned as it was sent: the caller knows it already.
    return [str(verdict.refused) for verdict in reply.verdicts]


async def ask_for_everything_else(subject: Subject, canaries: Canaries) -> AsyncIterator[str]:
    """Send numbers in every other text field of the contract, and in the calls' metadata."""
    s, new = order_service_pb2, canaries.next
    yield await subject.refused("GetOrder", s.GetOrderRequest(order_id=new("get")))
    cancel = s.CancelOrderRequest(order_id="x", request_id="y", reason=new("cancel reason"))
    yield await subject.refused("CancelOrder", cancel)
    cancel = s.CancelOrderRequest(order_id=new("cancel order"), request_id="y")
    yield await subject.refused("CancelOrder", cancel)
    cancel = s.CancelOrderRequest(order_id="x", request_id=new("cancel request"))
    yield await subject.refused("CancelOrder", cancel)
    yield await subject.refused("ListOrders", s.ListOrdersRequest(store_id=new("list store")))
    yield await subject.refused("ListOrders", s.ListOrdersRequest(page_token=new("list token")))
    line = order_pb2.DraftLine(sku=new("quote sku"), quantity_milli=1_000)
    quote = s.QuoteOrderRequest(store_id="berlin", currency="EUR", lines=[line])
    yield await subject.refused("QuoteOrder", quote)
    anything = s.ListOrdersRequest()
    yield await subject.refused("ListOrders", anything, ("x-api-key", new("key")))
    yield await subject.refused(
        "ListOrders", anything, ("authorization", f"Bearer {new('bearer')}")
    )
    await subject.call("ListOrders", anything, *subject.metadata, ("user-agent", new("agent")))


async def test_dead_letter_of_a_poisoned_message_has_no_card_number(folder: Path) -> None:
    """The API server never saw a message that another program has published."""
    canaries = Canaries()
    payload = b'{"v": 2, "facts": [{"type": "OrderPlaced", "note": "%s"}]}'
    async with opened(folder) as subject:
        text = payload % canaries.next("poison").encode()
        await raw_topics.publish(folder, [bus.Outgoing(topics.PLACED, "00", text, {})])
        [letter] = await raw_topics.letters(folder, 1)
        await place_good_order(subject, "good")
    async with audit.database_of(folder) as database:
        held = await database.read(lambda c: dead_letters.contents_of(c, [letter]))
    assert cards.REDACTED in held[letter.letter_key]
    assert not canaries.found_in(f"{letter} {held}".encode())
    places = dict(subject.traces())
    assert not canaries.found_in(places["souk.log"] + places["terminal"] + places["metrics"])


async def test_api_keys_are_kept_as_hashes_only(folder: Path) -> None:
    wrong = auth_rules.issue("0123456789ab", "c" * 64).secret
    async with opened(folder) as subject:
        await place_good_order(subject, "good")
        answer = await subject.refused(
            "ListOrders", order_service_pb2.ListOrdersRequest(), ("x-api-key", wrong)
        )
        assert answer.startswith("UNAUTHENTICATED")
    secret = subject.api_key.rpartition("_")[2].encode()
    places = dict(subject.traces())
    del places["terminal"]  # it may show the key that is in its file
    assert any(ids.digest(subject.api_key.encode()).encode() in it for it in places.values())
    assert not [where for where, it in places.items() if secret in it or wrong.encode() in it]
    assert wrong not in answer
    assert (folder / files.DEMO_KEY).stat().st_mode & 0o077 == 0
