"""The scenarios that show the effect of more orders in the tables, and of more instances."""

import asyncio
import functools

import sqlalchemy as sa

from internal.kernel import errors
from internal.lab.bench import check_growth, clone_orders, submission
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, throughput
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.submission import Load
from internal.lab.workload import progress
from internal.payments.gateways import port, registry

GROWTH_ORDERS = 10_000
TIMES = (1, 10, 100)
"""How full the tables are, in drains: 10,000, 100,000 and 1,000,000 orders."""
INSTANCES = (1, 2, 4, 8)


async def measure_growth(tools: throughput.Tools) -> list[Figure]:
    """Measure the same drain with more and more orders in the tables.

    Raises:
        Misconfigured: the stack was not made for this run, so its tables must not be filled.
    """
    name, orders = "full_growth", tools.size.orders or GROWTH_ORDERS
    _require_own(tools, name)
    figures: list[Figure] = []
    async with throughput.warm(tools, name, drain.FILLING) as at_work:
        filler = await _filled(at_work, orders)
        for times in TIMES:
            with tools.reporter.showing(f"{name}: filling", times * orders) as tell:
                there = await filler.fill(times * orders, tell)
            with tools.reporter.showing(f"{name}: {there} orders in the tables", orders) as tell:
                drained = await drain.fill_and_drain(at_work, orders, tell)
            figures += _at_size(name, drained, times * orders, there)
        tools.reporter.say(f"{name}: verifying all orders in the tables")
        await at_work.verify()
    return figures


def _at_size(name: str, drained: drain.Drained, size: int, there: int) -> list[Figure]:
    suffix = f"_at_{size}"
    per_s = drained.orders_per_s_from_first
    return [
        Figure(name, f"orders_in_tables{suffix}", there),
        Figure(name, f"orders_per_s{suffix}", per_s, more_is_better=True),
        *drain.cost_figures(name, drained.before, drained.after, drained.orders, suffix),
    ]


class _Filler:
    """Fills the tables with copies of orders."""

    def __init__(
        self,
        at_work: full_lab.FullLab,
        of: clone_orders.Template,
        gateway: port.GatewayLedger | None,
    ) -> None:
        self._lab, self._template, self._gateway = at_work, of, gateway
        self._copies = 0

    async def fill(self, orders: int, tell: progress.Tell) -> int:
        """Copy until there are at least `orders` orders; return how many there are."""
        while (there := await self._lab.count()) < orders:
            tell(there)
            self._copies += 1
            what = self._template, self._copies
            await self._lab.database.write(functools.partial(_copy, what))
            if self._gateway is not None:
                await asyncio.to_thread(clone_orders.copy_captures, self._gateway, *what)
        return there


def _copy(what: tuple[clone_orders.Template, int], connection: sa.Connection) -> None:
    clone_orders.copy(connection, *what)


async def _filled(at_work: full_lab.FullLab, orders: int) -> _Filler:
    """Process the first orders; all others will be copies of them."""
    after = (await at_work.look()).recorded
    await submission.Submission(at_work, Load(orders, 100, 4), None, lambda _: None).run()
    await at_work.until_finished(after, orders, lambda _: None)
    gateway = registry.find_ledger(at_work.options)
    template = await at_work.database.read(lambda c: clone_orders.template(c, gateway))
    return _Filler(at_work, template, gateway)


async def measure_check(tools: throughput.Tools) -> list[Figure]:
    """Measure `souk check` with more and more sealed orders in the tables.

    Raises:
        Misconfigured: the stack was not made for this run, so its tables must not be filled.
    """
    name = "full_check"
    _require_own(tools, name)
    async with full_lab.opened(tools.site, name) as at_work:
        environment = {"SOUK_CONFIG": str(tools.site.config)}
        at = check_growth.Installation(at_work.options, at_work.database, environment)
        found = await check_growth.measure(name, at_work, at, tools.reporter, tools.size.orders)
    return [Figure(name, metric, value) for metric, value in found.items()]


def _require_own(tools: throughput.Tools, name: str) -> None:
    if not tools.site.is_own:
        raise errors.Misconfigured(f"{name} fills the tables: it needs a stack of its own")


async def measure_parallelism(tools: throughput.Tools) -> list[Figure]:
    """Measure the same drain with one to eight instances of each function."""
    name, orders = "full_parallelism", tools.size.orders or throughput.DRAIN_ORDERS
    figures: list[Figure] = []
    try:
        for instances in INSTANCES:
            await tools.site.deploy(instances)
            async with throughput.warm(tools, name, drain.FILLING) as at_work:
                with tools.reporter.showing(f"{name}: {instances}", orders) as tell:
                    drained = await drain.fill_and_drain(at_work, orders, tell)
                await at_work.ends()
            figures += _with_instances(name, drained, instances)
    finally:
        if not tools.site.is_own:
            await tools.site.deploy(1)
    return figures


def _with_instances(name: str, drained: drain.Drained, instances: int) -> list[Figure]:
    suffix = f"_by_{instances}"
    per_s = drained.orders_per_s_from_first
    return [
        Figure(name, f"orders_per_s{suffix}", per_s, more_is_better=True),
        *drain.cost_figures(name, drained.before, drained.after, drained.orders, suffix),
    ]
