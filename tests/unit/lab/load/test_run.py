"""A load run's verdict: every accepted order comes to exactly one end."""

import io

import grpc
from rich.console import Console

from internal.client import client
from internal.lab.load import run as load_run
from internal.lab.load import view
from internal.lab.workload import progress
from internal.lab.workload import run as workload_run
from internal.wire.souk.v1 import order_pb2
from tests.unit.client import fake_server
from tests.unit.lab.workload import shops

QUIET = progress.Reporter(Console(file=io.StringIO()))
FINALIZED = order_pb2.ORDER_STATE_FINALIZED
PAID = order_pb2.ORDER_STATE_PAID


def plan(profile: str = "load", orders: int = 60, **pace: float) -> load_run.Plan:
    at = workload_run.Pace(concurrency=8, **pace)  # type: ignore[arg-type]
    return load_run.Plan(profile, shops.small(), orders, at, 1, ends_within_s=0.3)


async def run(connection: client.Client, how: load_run.Plan) -> tuple[load_run.Figures, str]:
    outcome = await load_run.run(connection, how, QUIET)
    shown = io.StringIO()
    view.show(outcome, Console(file=shown, width=120))
    return outcome.figures, shown.getvalue()


async def test_all_is_well() -> None:
    async with fake_server.opened() as (server, connection):
        figures, shown = await run(connection, plan())
    assert figures.verdict_ok
    assert figures.orders == 60 == figures.accepted + figures.replayed
    assert figures.finalized == figures.accepted == len(server.orders)
    assert figures.end_ms["max"] == 20.0
    assert "exactly one end" in shown


async def test_batches_and_the_clock() -> None:
    async with fake_server.opened() as (server, connection):
        figures, _ = await run(connection, plan(batch=25, orders_per_s=1_000.0))
    assert figures.verdict_ok
    assert sorted(server.calls) == [10, 25, 25]
    assert 0.05 <= figures.seconds < 5


async def test_hanging_order_fails_the_run_and_is_named() -> None:
    async with fake_server.opened() as (server, connection):
        server.end_of = lambda draft: [PAID if draft.order_id.endswith("7") else FINALIZED]
        figures, shown = await run(connection, plan(orders=20))
    assert not figures.verdict_ok
    assert {name[-1] for name in figures.hanging} == {"7"}
    assert figures.hanging[0] in shown
    assert "FAILED" in shown


async def test_order_with_two_ends_fails_the_run() -> None:
    async with fake_server.opened() as (server, connection):
        both = [FINALIZED, order_pb2.ORDER_STATE_CANCELLED]
        server.end_of = lambda _: list(both)
        figures, _ = await run(connection, plan(orders=3))
    assert not figures.verdict_ok
    assert len(figures.astray) == 3


async def test_run_without_an_accepted_order_fails() -> None:
    no = fake_server.refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_YOU")
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([no] * 5)
        figures, shown = await run(connection, plan(orders=5))
    assert not figures.verdict_ok
    assert figures.errors == {"PERMISSION_DENIED NOT_YOU": 5}
    assert "no order was taken" in shown


async def test_retried_orders_are_counted_and_accepted_in_the_end() -> None:
    busy = fake_server.refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_TOO_DEEP", retry_after_ms=1
    )
    async with fake_server.opened() as (server, connection):
        server.verdicts = iter([busy] * 4)
        figures, _ = await run(connection, plan(orders=10))
    assert figures.verdict_ok
    assert figures.accepted + figures.replayed == 10
    assert figures.retries == {"RESOURCE_EXHAUSTED BACKLOG_TOO_DEEP": 4}


async def test_server_that_accepts_invalid_orders_is_a_surprise() -> None:
    async with fake_server.opened() as (_, connection):
        figures, _ = await run(connection, plan("smoke", orders=200))
    assert figures.invalid == 0
    assert figures.surprises > 0
    assert any("invalid" in what for what in figures.surprising)
