"""Noise on the port and poison on the topics of a real engine: it keeps processing good orders."""

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from internal.flow import topics
from internal.infra import bus
from internal.lab import engine_process
from internal.lab.chaos import clients
from internal.pipeline import dead_letters, envelope, handler
from internal.wire.souk.v1 import order_pb2, order_service_pb2, payment_service_pb2
from tests.acceptance import audit, raw_topics, runs
from tests.support import facts

pytestmark = pytest.mark.slow

SEED = 11
TIMEOUT_S = 30.0
METHODS = [
    f"/{service.full_name}/{name}"
    for file in (order_service_pb2.DESCRIPTOR, payment_service_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for name in service.methods_by_name
]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
LEADS = (b"", PREFACE, PREFACE + SETTINGS, b"GET /metrics HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02")
UNTYPED = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
DEEP = 50_000


@asynccontextmanager
async def opened(
    shop_folder: Path, folder: Path
) -> AsyncIterator[tuple[engine_process.Engine, str]]:
    """Start an engine on a copy of the shop; yield it with its address; it must stop cleanly."""
    shutil.copytree(shop_folder, folder)
    async with engine_process.isolated(folder) as engine:
        address = await engine.address()
        yield engine, address
        assert await engine.stop() == 0, engine.output


async def good_orders_go_on(folder: Path, address: str) -> clients.Log:
    """Send good orders; wait until no work is left."""
    pool = await runs.pool_of(folder, runs.Options("good", SEED, (), runs.LAST_ORDERS))
    async with clients.working(pool) as work:
        pool.connect(engine_process.access_to(address, folder))
        async with asyncio.timeout(TIMEOUT_S):
            await work
        remaining, _ = await audit.quiet(folder, pool.log, TIMEOUT_S)
    assert remaining.is_quiet, remaining
    assert len(pool.log.placed) > runs.LAST_ORDERS // 2
    return pool.log


class TestPort:
    async def test_noise(self, shop_folder: Path, tmp_path: Path) -> None:
        noise = random.Random(SEED)
        async with opened(shop_folder, tmp_path / "data") as (_, address):
            for lead in LEADS:
                for size in (0, 1, 30, 3_000, 100_000):
                    await shout(address, lead + noise.randbytes(size))
            log = await good_orders_go_on(tmp_path / "data", address)
        assert not await audit.check(tmp_path / "data", log)

    async def test_bytes_for_messages(self, shop_folder: Path, tmp_path: Path) -> None:
        """Other tests cover the API server's validation; this one covers the whole engine."""
        noise, folder = random.Random(SEED), tmp_path / "data"
        request = order_service_pb2.SubmitOrderRequest(order=draft()).SerializeToString()
        codes = set()
        async with opened(shop_folder, folder) as (_, address):
            metadata = (("x-api-key", engine_process.access_to(address, folder).api_key),)
            async with grpc.aio.insecure_channel(address) as channel:
                for number in range(300):
                    method = METHODS[number % len(METHODS)]
                    body = damaged(noise, request) if number % 2 else noise.randbytes(number)
                    codes.add(await send(channel, method, body, metadata))
            await good_orders_go_on(folder, address)
        assert not codes & UNTYPED
        assert {grpc.StatusCode.INVALID_ARGUMENT} < codes


async def shout(address: str, content: bytes) -> None:
    """Send bytes to a port, read for a moment, close the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(content)
        async with asyncio.timeout(0.05):
            await writer.drain()
            await reader.read(1_000)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def send(
    channel: grpc.aio.Channel, path: str, body: bytes, metadata: Sequence[tuple[str, str]]
) -> grpc.StatusCode:
    try:
        if path.endswith("/WatchOrder"):
            async for _ in channel.unary_stream(path)(body, metadata=metadata, timeout=TIMEOUT_S):
                pass
        else:
            await channel.unary_unary(path)(body, metadata=metadata, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def draft() -> order_pb2.OrderDraft:
    return order_pb2.OrderDraft(
        order_id="damaged",
        store_id="berlin",
        currency="EUR",
        lines=[order_pb2.DraftLine(sku="COFFEE-250", quantity_milli=2_000)],
        tenders=[order_pb2.Tender(card=order_pb2.CardTender(token="tok_ok"))],
        note="as it was",
    )


def damaged(noise: random.Random, body: bytes) -> bytes:
    """Change a few bytes; often remove or insert some."""
    changed = bytearray(body)
    for _ in range(noise.randint(1, 4)):
        start = noise.randrange(len(changed))
        end = start + noise.randrange(4)
        changed[start:end] = noise.randbytes(noise.randrange(4))
    return bytes(changed)


class TestTopics:
    async def test_only_poison_becomes_dead_letters(
        self, shop_folder: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "data"
        async with opened(shop_folder, folder) as (_, address):
            poison = [of for stage in topics.STAGES for of in poison_for(stage)]
            await raw_topics.publish(folder, poison)
            log = await good_orders_go_on(folder, address)
            letters = await raw_topics.letters(folder, len(poison))
        assert len(letters) == len(poison)
        assert {letter.topic for letter in letters} == {
            topic for stage in topics.STAGES for topic in stage.topics
        }
        found = await audit.check(folder, log)
        assert [finding.sentence for finding in found] == [audit.NO_LETTERS]

    async def test_senseless_facts_do_not_stop_other_orders(
        self, shop_folder: Path, tmp_path: Path
    ) -> None:
        """Readable facts that make no sense, also for orders in the database."""
        folder = tmp_path / "data"
        async with opened(shop_folder, folder) as (engine, address):
            await good_orders_go_on(folder, address)
            senseless = [
                bus.Outgoing(topic, "07", envelope.encode([fact]), {})
                for fact in facts.EXAMPLES
                for stage in topics.STAGES
                for topic in stage.topics
            ]
            await raw_topics.publish(folder, senseless * 3)
            pool = await runs.pool_of(folder, runs.Options("after", SEED, (), 50))
            async with clients.working(pool) as work:
                pool.connect(engine_process.access_to(address, folder))
                await work
                remaining, _ = await audit.quiet(folder, pool.log, TIMEOUT_S)
            assert remaining.is_quiet, (remaining, engine.output)

    async def test_poison_survives_a_kill(self, shop_folder: Path, tmp_path: Path) -> None:
        """Each becomes one dead letter, however often the engine dies meanwhile."""
        folder = tmp_path / "data"
        shutil.copytree(shop_folder, folder)
        poison = [bus.Outgoing(topics.PLACED, "03", b"poison %d" % n, {}) for n in range(50)]
        async with engine_process.isolated(folder) as engine:
            assert await engine.address()
            assert await engine.stop() == 0
        await raw_topics.publish(folder, poison)
        for passage in (20, 33, 60):
            settings = engine_process.armed(f"db.after_commit=kill@{passage}")
            async with engine_process.isolated(folder, settings=settings) as engine:
                async with asyncio.timeout(TIMEOUT_S):
                    assert await engine.ended() == engine_process.KILLED
        async with engine_process.isolated(folder) as engine:
            address = await engine.address()
            await good_orders_go_on(folder, address)
            letters = await raw_topics.letters(folder, len(poison))
            assert await engine.stop() == 0
        stored = sorted(letter.payload for letter in letters)
        assert stored == sorted(dead_letters.stand_in(message.payload) for message in poison)


def poison_for(stage: handler.Stage) -> list[bus.Outgoing]:
    """Return messages that a stage can only store as dead letters, each exactly one."""
    noise = random.Random(f"{SEED}/{stage.name}")
    deep = b"[" * DEEP
    foreign = next(fact for fact in facts.EXAMPLES if not isinstance(fact, stage.takes))
    many = b'{"v":2,"facts":[' + b",".join([b"{}"] * (envelope.FACTS_MAX + 1)) + b"]}"
    payloads = [
        b"",
        b"null",
        b"{}",
        b'{"v":1,"facts":[]}',
        b'{"v":2,"facts":[{}]}',
        b'{"v":2,"facts":[{"type":"OrderPlaced"}]}',
        b'{"v":2,"facts":[{"type":"OrderPlaced","merchant_id":"\xff"}]}',
        b'{"v":2,"facts":' + deep,
        b'{"v":2,"facts":[{"type":"OrderPlaced","note":' + deep,
        many,
        envelope.encode([foreign]),
        *(noise.randbytes(size) for size in (1, 100, 10_000)),
    ]
    return [
        bus.Outgoing(topic, "05", payload, {}) for topic in stage.topics for payload in payloads
    ]
