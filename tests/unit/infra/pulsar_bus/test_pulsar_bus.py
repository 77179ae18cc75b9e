"""The bus over Pulsar where there is no broker, or one that refuses."""

import asyncio
import contextlib
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from internal.infra import bus, settings
from internal.infra.pulsar_bus import admin, driver, publisher
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.kernel import errors

NOWHERE = settings.PulsarSettings(
    service_url="pulsar://127.0.0.1:1",
    admin_url="http://127.0.0.1:1",
    operation_timeout_s=0.5,
    send_timeout_s=1,
)
"""Nobody listens on that port."""

PATIENCE_S = 10.0


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[settings.PulsarSettings]:
    """An admin API that gives one and the same answer to everything."""
    head = f"HTTP/1.1 {status} What\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield NOWHERE.model_copy(update={"admin_url": f"http://127.0.0.1:{port}"})


async def test_a_broker_that_is_not_there() -> None:
    opened = pulsar_bus.PulsarBus(NOWHERE)
    with pytest.raises(errors.BusAway, match=r"127\.0\.0\.1:1"):
        await asyncio.wait_for(opened.open(), PATIENCE_S)
    with pytest.raises(errors.BusAway, match="not open"):
        await opened.publish([])
    await opened.close()


async def test_a_broker_whose_admin_api_alone_is_there() -> None:
    async with answering(404, b"no such topic") as options:
        opened = pulsar_bus.PulsarBus(options)
        with pytest.raises(errors.BusAway, match=r"pulsar://127\.0\.0\.1:1"):
            await asyncio.wait_for(opened.open(), PATIENCE_S)


async def test_a_broker_that_refuses_us() -> None:
    async with answering(401, b"") as options:
        opened = pulsar_bus.PulsarBus(options)
        with pytest.raises(errors.Misconfigured, match=r"TOKEN_FILE.*401"):
            await asyncio.wait_for(opened.open(), PATIENCE_S)


@pytest.mark.parametrize("address", ["nonsense", "pulsar://", "ftp://127.0.0.1"])
async def test_an_address_that_is_none(address: str) -> None:
    opened = pulsar_bus.PulsarBus(NOWHERE.model_copy(update={"service_url": address}))
    with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__SERVICE_URL"):
        await asyncio.wait_for(opened.open(), PATIENCE_S)


async def test_publishing_while_the_broker_is_away() -> None:
    """Who waits behind somebody who is refused is refused with him, not after another timeout."""
    client = await asyncio.to_thread(driver.open_client, NOWHERE, None)
    ours = publisher.PulsarPublisher(client, NOWHERE)
    calls = [ours.publish([bus.Outgoing("t", "k", b"x")]) for _ in range(9)]
    waiting = asyncio.gather(*calls, return_exceptions=True)
    answers = await asyncio.wait_for(waiting, 2 * NOWHERE.operation_timeout_s + 1)
    assert [type(answer) for answer in answers] == [errors.BusAway] * 9
    await ours.close()
    with pytest.raises(errors.BusAway, match="closed"):
        await ours.publish([bus.Outgoing("t", "k", b"x")])
    await asyncio.to_thread(driver.close_quietly, client)


@pytest.mark.parametrize(
    "message",
    [
        bus.Outgoing("t", "k", b"x" * 6 * 1024 * 1024),
        bus.Outgoing("t", "k" * 6 * 1024 * 1024, b""),
        bus.Outgoing("t", "k", b"", {"name": "v" * 6 * 1024 * 1024}),
        bus.Outgoing("t", "half of a pair: \ud800", b""),
        bus.Outgoing("t", "k", b"", {"name": "\udc00"}),
        bus.Outgoing("t", "k", b"", {"name": 1}),  # type: ignore[dict-item] # what it is about
        bus.Outgoing("t", b"k", b""),  # type: ignore[arg-type] # what it is about
        bus.Outgoing("\ud800", "k", b""),
        bus.Outgoing("a/b", "k", b""),
        bus.Outgoing("", "k", b""),
    ],
    ids=lambda message: repr(message)[:40],
)
async def test_poison_is_seen_before_anything_is_sent(message: bus.Outgoing) -> None:
    client = await asyncio.to_thread(driver.open_client, NOWHERE, None)
    ours = publisher.PulsarPublisher(client, NOWHERE)
    with pytest.raises(errors.Poison):
        await ours.publish([bus.Outgoing("t", "k", b"x"), message])
    await asyncio.to_thread(driver.close_quietly, client)


async def test_an_admin_api_that_is_not_there() -> None:
    async with admin.PulsarAdmin(NOWHERE) as api:
        with pytest.raises(errors.BusAway, match=r"127\.0\.0\.1:1"):
            await api.list_functions()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, errors.BusAway),
        (503, errors.BusAway),
        (429, errors.BusAway),
        (401, errors.Misconfigured),
        (403, errors.Misconfigured),
        (400, errors.Misconfigured),
        (412, errors.Misconfigured),
    ],
)
async def test_what_the_admin_api_says_is_passed_on(status: int, kind: type[Exception]) -> None:
    body = b'{"reason": "because of the rain"}'
    async with answering(status, body) as options, admin.PulsarAdmin(options) as api:
        with pytest.raises(kind, match=f"{status}.*because of the rain"):
            await api.get("/admin/v2/tenants")


async def test_what_is_missing_or_there_already() -> None:
    async with answering(404, b"not found") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") is None
        assert await api.delete("/x") is False
        assert await api.function_status("x") is None
        assert await api.topic_stats("x") is None
        for call in (api.put("/x"), api.post("/x")):
            with pytest.raises(errors.Misconfigured, match="not found"):
                await call
    async with answering(409, b"there") as options, admin.PulsarAdmin(options) as api:
        assert await api.put("/x") is False
        with pytest.raises(errors.Misconfigured, match="there"):
            await api.post("/x")


async def test_an_answer_without_words() -> None:
    async with answering(204, b"") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") is None
        assert await api.put("/x") is True
        assert await api.post("/x") is None
    async with answering(200, b"ok") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") == "ok"


async def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    options = NOWHERE.model_copy(update={"token_file": tmp_path / "token"})
    async with admin.PulsarAdmin(options) as api:
        with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__TOKEN_FILE"):
            await api.get("/x")


def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    wrong = {"admin_url": "https://127.0.0.1:1", "tls_ca_file": tmp_path / "ca.pem"}
    with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__TLS_CA_FILE"):
        admin.PulsarAdmin(NOWHERE.model_copy(update=wrong))


def test_the_client_writes_nothing_to_our_commands_output(tmp_path: Path) -> None:
    """Its own words are in the file that is named, or nowhere."""
    program = f"""
import pathlib
from internal.infra import settings
from internal.infra.pulsar_bus import driver

options = settings.PulsarSettings(**{NOWHERE.model_dump()!r})
client = driver.open_client(options, pathlib.Path({str(tmp_path / "log")!r}))
try:
    client.create_producer("t")
except driver.PulsarException:
    print("away")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"away\n", b"")
    assert "127.0.0.1:1" in (tmp_path / "log").read_text()


async def test_many_results_wake_the_loop_once() -> None:
    processed: list[list[object]] = []

    def process() -> None:
        processed.append(list(hand_over.results))
        hand_over.results.clear()

    hand_over = driver.HandOver(process)
    for number in range(5):
        hand_over.came(number)
    await asyncio.sleep(0)
    await asyncio.to_thread(hand_over.came, 5)
    await asyncio.sleep(0)
    assert processed == [[0, 1, 2, 3, 4], [5]]


async def test_what_comes_after_the_loop_is_closed_harms_nobody() -> None:
    """An exception in a callback would end the process."""

    async def make() -> driver.HandOver:
        return driver.HandOver(lambda: None)

    made = await asyncio.to_thread(lambda: asyncio.run(make()))
    made.came("too late")


class Source:
    """Answers a pull on the spot while it has messages; the last asker waits."""

    def __init__(self, *messages: str) -> None:
        self.messages = deque[str](messages)
        self.waiting: list[Callable[[Any, Any], None]] = []

    def ask(self, answer: Callable[[Any, Any], None]) -> None:
        if self.messages:
            answer(driver.Result.Ok, self.messages.popleft())
        else:
            self.waiting.append(answer)


async def test_a_pull_asks_for_one_message_at_a_time() -> None:
    woken = asyncio.Event()
    source = Source("a", "b")
    pull = driver.Pull(source.ask, driver.HandOver(woken.set))
    assert [pull.take() for _ in range(4)] == ["a", "b", None, None]
    assert len(source.waiting) == 1
    assert not woken.is_set()
    await asyncio.to_thread(source.waiting.pop(), driver.Result.Ok, "c")
    await asyncio.wait_for(woken.wait(), PATIENCE_S)
    assert [pull.take(), pull.take()] == ["c", None]
    source.waiting.pop()(driver.Result.AlreadyClosed, None)
    with pytest.raises(errors.BusAway, match="AlreadyClosed"):
        pull.take()
