"""The scenario of many callers with one order per call, answered once the broker has stored it."""

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from internal.kernel import errors
from internal.lab.bench import ghz, lab, submission
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, throughput
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.submission import Load
from internal.wire.souk.v1 import order_service_pb2

ORDERS = 20_000
ORDERS_PER_S = 1_200
"""The goal; this many orders are submitted for each requested second."""
CALLERS = 64
METHOD = "souk.v1.OrderService/SubmitOrder"


class Called(NamedTuple):
    """The results of the calls."""

    answered_ok: int
    seconds: float
    p50_ms: float
    p99_ms: float


async def measure_unary(tools: throughput.Tools) -> list[Figure]:
    """Measure single orders with 64 open calls; a call waits only for the broker's receipt."""
    name, size = "full_unary", tools.size
    orders = size.orders or int((size.seconds or 0) * ORDERS_PER_S) or ORDERS
    program = await ghz.find(tools.site.folder.parent / "bin")
    client = "ghz" if program else "our own client: there is neither ghz nor Go"
    tools.reporter.say(f"{name}: called by {client}")
    async with throughput.warm(tools, name) as at_work:
        before = at_work.costs()
        if program:
            called, client_cpu_s = await _by_ghz(program, at_work, orders, tools.site.folder)
        else:
            called, client_cpu_s = await _by_own_client(at_work, orders), 0.0
        after = at_work.costs()
        await at_work.ends()
    return [
        Figure(
            name,
            "orders_per_s",
            called.answered_ok / called.seconds,
            ORDERS_PER_S,
            more_is_better=True,
        ),
        Figure(name, "p50_ms", called.p50_ms),
        Figure(name, "p99_ms", called.p99_ms),
        Figure(name, "not_answered_ok", orders - called.answered_ok),
        Figure(name, "called_by_ghz", program is not None),
        *drain.cost_figures(name, before, after, called.answered_ok),
        Figure(
            name, "cpu_s_per_1000_orders_ghz", client_cpu_s * 1_000 / max(1, called.answered_ok)
        ),
    ]


async def _by_ghz(
    program: Path, at_work: full_lab.FullLab, orders: int, folder: Path
) -> tuple[Called, float]:
    """Let ghz call, and wait for the orders. It counts answers but does not name the orders."""
    recorded, first = (await at_work.look()).recorded, at_work.reserve(orders)
    numbers = range(first, first + orders)
    requests = (at_work.templates.single(number, lab.NO_WAIT) for number in numbers)
    declared = order_service_pb2.DESCRIPTOR
    calls = ghz.Calls(at_work.engine.access, declared, METHOD, requests, orders, CALLERS)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        report, cpu_s = await ghz.run(program, calls, Path(place))
    await at_work.until_finished(recorded, report.answered_ok, lambda _: None)
    found = await at_work.records.ends()
    names = [at_work.templates.order_id(number) for number in numbers]
    at_work.placed += [name for name in names if name in found]
    if len(at_work.placed) < report.answered_ok:
        what = f"{report.answered_ok} were answered OK, {len(at_work.placed)} are in the database"
        raise errors.Temporary(what)
    p50_ms, p99_ms = report.percentile_ms(50), report.percentile_ms(99)
    return Called(report.answered_ok, report.seconds, p50_ms, p99_ms), cpu_s


async def _by_own_client(at_work: full_lab.FullLab, orders: int) -> Called:
    load_on_engine = submission.Submission(at_work, Load(orders, 1, CALLERS), None, lambda _: None)
    started_s = time.perf_counter()
    await load_on_engine.run()
    seconds, took_ms = time.perf_counter() - started_s, load_on_engine.answer_ms
    return Called(orders, seconds, took_ms.percentile_ms(50), took_ms.percentile_ms(99))
