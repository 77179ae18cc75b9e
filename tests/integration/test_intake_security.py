"""Access and secrets, over a real server: keys, card numbers, TLS, reflection."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor, message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from loguru import logger

from internal.api import grpc_adapter, options
from internal.kernel import errors
from internal.lab.chaos.hostile import http2
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import grpc_fixture, memory

CARD = "4111111111111111"
REQUESTS = {
    "SubmitOrder": s.SubmitOrderRequest(
        order=memory.draft(
            terminal_id="t",
            note="n",
            adjustments=[o.Adjustment(amount={"currency_code": "EUR", "units": 1})],
            tenders=[o.Tender(card=o.CardTender(token="tok"), amount={"currency_code": "EUR"})],
        )
    ),
    "GetOrder": s.GetOrderRequest(order_id="o-1"),
    "ListOrders": s.ListOrdersRequest(store_id="s-1", page_token="x"),
    "WatchOrder": s.WatchOrderRequest(order_id="o-1"),
    "CancelOrder": s.CancelOrderRequest(order_id="o-1", request_id="r-1", reason="r"),
    "UpdateOrder": s.UpdateOrderRequest(
        order_id="o-1",
        request_id="r-1",
        currency="EUR",
        lines=[o.DraftLine(sku="tea", quantity_milli=1_000)],
    ),
    "QuoteOrder": s.QuoteOrderRequest(
        store_id="s-1", currency="EUR", lines=[o.DraftLine(sku="tea", quantity_milli=1_000)]
    ),
}


def with_card_in_each_field(
    request: message.Message, path: str = ""
) -> Iterator[tuple[str, message.Message]]:
    """Yield (path, copy of `request`) with a card number in one string field after another."""
    for field, value in request.ListFields():
        is_text = field.type == descriptor.FieldDescriptor.TYPE_STRING
        if is_text:
            copy = type(request)()
            copy.CopyFrom(request)
            setattr(copy, field.name, CARD)
            yield path + field.name, copy
        elif field.type == descriptor.FieldDescriptor.TYPE_MESSAGE:
            inner = value[0] if field.is_repeated else value
            place = f"{field.name}[0]" if field.is_repeated else field.name
            for deeper, changed in with_card_in_each_field(inner, f"{path}{place}."):
                copy = type(request)()
                copy.CopyFrom(request)
                target = getattr(copy, field.name)
                (target[0] if field.is_repeated else target).CopyFrom(changed)
                yield deeper, copy


CARD_CASES = [
    pytest.param(method, path, request, id=f"{method} {path}")
    for method, whole in REQUESTS.items()
    for path, request in with_card_in_each_field(whole)
]


class TestKeys:
    @pytest.mark.parametrize(
        ("metadata", "reason"),
        [
            ((), "API_KEY_MISSING"),
            ((("authorization", "Basic key-of-m1"),), "API_KEY_MISSING"),
            ((("authorization", "Bearer "),), "API_KEY_MISSING"),
            ((("x-api-key", ""),), "API_KEY_MISSING"),
            ((("x-api-key", "x" * 300),), "API_KEY_MISSING"),
            ((("authorization", "Bearer wrong"),), "API_KEY_INVALID"),
            ((("x-api-key", "wrong"),), "API_KEY_INVALID"),
        ],
    )
    async def test_refused(self, metadata: memory.Metadata, reason: str) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server, metadata) as client,
        ):
            for call in (
                client.submit(),
                client.GetOrder(s.GetOrderRequest()),
                client.WatchOrder(s.WatchOrderRequest()).read(),
            ):
                failure = await grpc_fixture.failure_of(call)
                assert (failure.code, failure.reason) == ("UNAUTHENTICATED", reason)

    @pytest.mark.parametrize(
        "metadata",
        [
            (("authorization", "Bearer key-of-m1"),),
            (("authorization", "bearer  key-of-m1 "),),
            (("x-api-key", "key-of-m1"),),
            (("authorization", "Basic abc"), ("x-api-key", "key-of-m1")),
        ],
    )
    async def test_let_in(self, metadata: memory.Metadata) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server, metadata) as client,
        ):
            await client.submit()

    @pytest.mark.parametrize(
        "metadata",
        [
            (("x-api-key", "key-of-m1"), ("x-api-key", "key-of-m2")),
            (("x-api-key", "key-of-m2"), ("authorization", "Bearer key-of-m1")),
            (("x-api-key", "wrong"), ("x-api-key", "key-of-m1"), ("x-api-key", "wrong")),
            (("authorization", "Bearer key-of-m1"), ("authorization", "Bearer key-of-m2")),
        ],
    )
    async def test_two_different_keys_are_refused(self, metadata: memory.Metadata) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server, metadata) as client,
        ):
            failure = await grpc_fixture.failure_of(client.submit())
            assert (failure.code, failure.reason) == ("UNAUTHENTICATED", "API_KEY_AMBIGUOUS")
            assert not server.bus.messages

    async def test_one_key_may_come_twice(self) -> None:
        key = (("x-api-key", "key-of-m1"), ("authorization", "Bearer key-of-m1"))
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server, (*key, key[0])) as client,
        ):
            await client.submit()

    async def test_unknown_keys_while_the_database_is_away(self) -> None:
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            server.keys.is_away = True
            failure = await grpc_fixture.failure_of(client.submit())
            assert (failure.code, failure.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")


class TestCardNumbers:
    @pytest.mark.parametrize(("method", "path", "request_"), CARD_CASES)
    async def test_refused_in_every_field(
        self, method: str, path: str, request_: message.Message
    ) -> None:
        lines: list[str] = []
        sink = logger.add(lines.append, format="{message} {extra}")
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            call = getattr(client, method)(request_)
            failure = await grpc_fixture.failure_of(call.read() if method == "WatchOrder" else call)
            assert not server.bus.messages
        logger.remove(sink)
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "CARD_NUMBER_REFUSED")
        assert failure.fields == (path,)
        assert CARD not in failure.text + "".join(lines)

    def test_every_string_field_is_tried(self) -> None:
        tried = {case.values[1] for case in CARD_CASES}
        assert {"order.lines[0].sku", "order.tenders[0].card.token", "order.note"} <= tried
        assert len(CARD_CASES) > 15


class TestOurMistakes:
    async def test_an_id_goes_out_and_the_rest_into_the_logs(self) -> None:
        lines: list[str] = []
        async with (
            grpc_fixture.running_server() as server,
            grpc_fixture.client_of(server) as client,
        ):
            server.orders.views = {(memory.MERCHANT, "o-1"): "secret"}  # type: ignore[dict-item]
            sink = logger.add(lines.append, format="{message} {extra} {exception}")
            failure = await grpc_fixture.failure_of(
                client.GetOrder(s.GetOrderRequest(order_id="o-1"))
            )
            logger.remove(sink)
            assert (failure.code, failure.reason) == ("INTERNAL", "INTERNAL_ERROR")
            assert "secret" not in failure.text
            assert "attribute" not in failure.text
            assert failure.metadata["error_id"] in "".join(lines)
            assert "AttributeError" in "".join(lines)


class TestCallersThatGo:
    async def test_a_watcher_that_vanishes_is_told_at_debug(self) -> None:
        lines: list[str] = []
        async with (
            grpc_fixture.running_server(stages=True) as server,
            grpc_fixture.client_of(server) as client,
        ):
            sink = logger.add(lines.append, level="DEBUG", format="{level} {message}")
            for number in range(30):
                order_id = f"o-{number}"
                await client.submit(memory.draft(order_id))
                body = s.WatchOrderRequest(order_id=order_id).SerializeToString()
                async with http2.connected(server.address) as connection:
                    headers = http2.call_headers("WatchOrder", ("x-api-key", "key-of-m1"))
                    connection.open_stream(headers, body=body)
                    await connection.drain()
            await client.submit(memory.draft("last"))
        logger.remove(sink)
        assert not [line for line in lines if line.startswith(("ERROR", "WARNING"))]

    async def test_an_answer_that_cannot_be_sent_is_no_mistake_of_ours(self) -> None:
        lines: list[str] = []
        sink = logger.add(lines.append, level="DEBUG", format="{level} {message}")
        with (
            pytest.raises(asyncio.CancelledError),
            grpc_adapter.ended_if_gone(),
        ):
            raise grpc.aio.BaseError("ExecuteBatch failed")
        logger.remove(sink)
        assert lines == ["DEBUG the caller has gone: ExecuteBatch failed\n"]


class TestTls:
    async def test_server_certificate(self, certificates: Path) -> None:
        tls = options.Tls(certificates / "server.pem", certificates / "server.key")
        async with grpc_fixture.running_server(tls=tls) as server:
            ca = (certificates / "ca.pem").read_bytes()
            await submit_over(server, grpc.ssl_channel_credentials(ca))
            with pytest.raises(grpc.aio.AioRpcError):
                await submit_over(server, None)

    async def test_client_certificate(self, certificates: Path) -> None:
        ca = (certificates / "ca.pem").read_bytes()
        tls = options.Tls(
            certificates / "server.pem", certificates / "server.key", certificates / "ca.pem"
        )
        client = [(certificates / f"client.{part}").read_bytes() for part in ("key", "pem")]
        foreign = [(certificates / f"foreign.{part}").read_bytes() for part in ("key", "pem")]
        async with grpc_fixture.running_server(tls=tls) as server:
            await submit_over(server, grpc.ssl_channel_credentials(ca, *client))
            for credentials in (
                grpc.ssl_channel_credentials(ca),
                grpc.ssl_channel_credentials(ca, *foreign),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await submit_over(server, credentials)
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    async def test_a_missing_file_stops_the_start(self, tmp_path: Path) -> None:
        tls = options.Tls(tmp_path / "none.pem", tmp_path / "none.key")
        with pytest.raises(errors.Misconfigured, match=r"none\.key"):
            async with grpc_fixture.running_server(tls=tls):
                pass

    async def test_a_taken_port_stops_the_start(self) -> None:
        async with grpc_fixture.running_server() as server:
            second = grpc_fixture.Server(options.Options(port=server.port))
            with pytest.raises(errors.Misconfigured, match="SOUK_INTAKE__PORT"):
                await second.grpc.open()


class TestReflection:
    @pytest.mark.parametrize("is_on", [True, False])
    async def test_lists_services_and_files(self, *, is_on: bool) -> None:
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="souk.v1.OrderService"),
        ]
        async with (
            grpc_fixture.running_server(reflection=is_on) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            if not is_on:
                code = await stub.ServerReflectionInfo().code()
                assert code is grpc.StatusCode.UNIMPLEMENTED
                return
            stream = stub.ServerReflectionInfo(iter(asked))
            listed, described = [await stream.read() for _ in asked]
            names = {found.name for found in listed.list_services_response.service}
            assert {"souk.v1.OrderService", "grpc.health.v1.Health"} <= names
            assert described.file_descriptor_response.file_descriptor_proto


async def submit_over(server: grpc_fixture.Server, credentials: object) -> None:
    """Submit an order over TLS with these credentials, or without TLS."""
    channel = (
        grpc.aio.insecure_channel(server.address)
        if credentials is None
        else grpc.aio.secure_channel(f"localhost:{server.port}", credentials)
    )
    async with channel:
        request = s.SubmitOrderRequest(order=memory.draft())
        await grpc_fixture.Client(channel, memory.AUTH).SubmitOrder(request, timeout=5)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority with a server's and a client's certificate, and a stranger's own one."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("ca", "foreign"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        _openssl(folder, "req", "-x509", *key, *files, "-subj", f"/CN={name}")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.csr"]
        _openssl(folder, "req", *key, *files, "-subj", f"/CN={name}")
        signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
        files = ["-in", f"{name}.csr", "-out", f"{name}.pem"]
        _openssl(folder, "x509", "-req", *files, *signer, "-days", "2")
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
