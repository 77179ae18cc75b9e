"""A client sends orders again that were put off, and only those, under the same id."""

import contextlib
import time

import grpc

from internal.client import client, sender
from internal.client.access import Access
from internal.lab import engine_process
from internal.wire.souk.v1 import order_pb2
from tests.unit.client import fake_server

BUSY = fake_server.refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_TOO_DEEP", retry_after_ms=150
)
AWAY = fake_server.refusal(grpc.StatusCode.UNAVAILABLE, "BROKER_UNAVAILABLE", retry_after_ms=1)
INVALID = fake_server.refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_MONEY")


def drafts(count: int) -> list[order_pb2.OrderDraft]:
    return [order_pb2.OrderDraft(order_id=f"o-{number}") for number in range(count)]


async def test_order_comes_through_when_the_server_is_back() -> None:
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([AWAY, AWAY, None])
        patient = sender.Sender(connection, sender.Patience())
        (answer,) = await patient.send(drafts(1))
    assert answer.is_ok
    assert server.calls == [1, 1, 1]
    assert patient.retries == {"UNAVAILABLE BROKER_UNAVAILABLE": 2}


async def test_client_waits_as_long_as_it_is_asked_to() -> None:
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([BUSY])
        started_s = time.perf_counter()
        (answer,) = await sender.Sender(connection, sender.Patience()).send(drafts(1))
    assert answer.is_ok
    assert time.perf_counter() - started_s >= 0.15


async def test_of_a_batch_only_those_put_off_go_again() -> None:
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([None, AWAY, INVALID, AWAY, None, None, None])
        answers = await sender.Sender(connection, sender.Patience()).send(drafts(5))
    assert server.calls == [5, 2]
    assert [answer.code for answer in answers] == ["OK", "OK", "INVALID_ARGUMENT", "OK", "OK"]
    assert [answer.order_id for answer in answers] == [f"o-{number}" for number in range(5)]
    assert answers[2].reason == "INVALID_MONEY"


async def test_refusal_for_good_is_taken_as_it_is() -> None:
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([INVALID])
        (answer,) = await sender.Sender(connection, sender.Patience()).send(drafts(1))
    assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_MONEY")
    assert server.calls == [1]


async def test_client_gives_up_in_the_end() -> None:
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([BUSY] * 100)
        patient = sender.Sender(connection, sender.Patience(order_s=0.3))
        (answer,) = await patient.send(drafts(1))
    assert sender.name_of(answer) == "RESOURCE_EXHAUSTED BACKLOG_TOO_DEEP"
    assert answer.retry_after_s == 0.15
    assert len(server.calls) <= 3


async def test_server_that_is_not_there_is_an_answer_too() -> None:
    absent = client.Client(Access(f"127.0.0.1:{engine_process.free_port()}", fake_server.KEY))
    async with contextlib.aclosing(absent) as connection:
        patient = sender.Sender(connection, sender.Patience(order_s=0.0))
        (alone,) = await patient.send(drafts(1))
        together = await patient.send(drafts(2))
    assert {alone.code, *(answer.code for answer in together)} == {"UNAVAILABLE"}
