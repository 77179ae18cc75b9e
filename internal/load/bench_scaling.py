"""The scenarios that show what more orders in the tables cost, and what more instances bring."""

import asyncio
import functools
from pathlib import Path

import sqlalchemy as sa

from internal.infra import files
from internal.kernel import errors
from internal.load import bench_full, bench_load, cloning, drains, full_lab, progress
from internal.load.bench import Figure
from internal.load.bench_load import Load

GROWTH_ORDERS = 10_000
TIMES = (1, 10, 100)
"""How full the tables are, in drains: 10,000, 100,000 and 1,000,000 orders."""
INSTANCES = (1, 2, 4)


async def growth(tools: bench_full.Tools) -> list[Figure]:
    """The same drain on ever fuller tables.

    Raises:
        Misconfigured: the tables are not ours to fill.
    """
    name, orders = "full_growth", tools.size.orders or GROWTH_ORDERS
    if not tools.site.is_own:
        raise errors.Misconfigured(f"{name} fills the tables: it takes a stack of its own")
    figures: list[Figure] = []
    async with bench_full.warm(tools, name, drains.FILLING) as at_work:
        filler = await _filled(at_work, orders)
        for times in TIMES:
            with tools.reporter.showing(f"{name}: filling", times * orders) as tell:
                there = await filler.fill(times * orders, tell)
            with tools.reporter.showing(f"{name}: {there} orders in the tables", orders) as tell:
                drained = await drains.fill_and_drain(at_work, orders, tell)
            figures += _at_size(name, drained, times * orders, there)
        tools.reporter.say(f"{name}: verifying all orders in the tables")
        await at_work.verify()
    return figures


def _at_size(name: str, drained: drains.Drained, size: int, there: int) -> list[Figure]:
    suffix = f"_at_{size}"
    per_s = drained.orders_per_s_from_first
    return [
        Figure(name, f"orders_in_tables{suffix}", there),
        Figure(name, f"orders_per_s{suffix}", per_s, more_is_better=True),
        *drains.cost_figures(name, drained.before, drained.after, drained.orders, suffix),
    ]


class _Filler:
    """Fills the tables with copies."""

    def __init__(self, at_work: full_lab.FullLab, of: cloning.Template, gateway: Path) -> None:
        self._lab, self._template, self._gateway = at_work, of, gateway
        self._copies = 0

    async def fill(self, orders: int, tell: progress.Tell) -> int:
        """Copy until there are so many orders; return how many there are."""
        while (there := await self._lab.count()) < orders:
            tell(there)
            self._copies += 1
            what = self._template, self._copies
            await self._lab.database.write(functools.partial(_copy, what))
            await asyncio.to_thread(cloning.copy_captures, self._gateway, *what)
        return there


def _copy(what: tuple[cloning.Template, int], connection: sa.Connection) -> None:
    cloning.copy(connection, *what)


async def _filled(at_work: full_lab.FullLab, orders: int) -> _Filler:
    """Put the first orders through, of which the others will be copies."""
    after = (await at_work.look()).recorded
    await bench_load.Submission(at_work, Load(orders, 100, 4), None, lambda _: None).run()
    await at_work.until_finished(after, orders, lambda _: None)
    gateway = at_work.engine.folder / files.GATEWAY
    template = await at_work.database.read(lambda c: cloning.template(c, gateway))
    return _Filler(at_work, template, gateway)


async def parallelism(tools: bench_full.Tools) -> list[Figure]:
    """The same drain by one, two and four instances of each function."""
    name, orders = "full_parallelism", tools.size.orders or bench_full.DRAIN_ORDERS
    figures: list[Figure] = []
    try:
        for instances in INSTANCES:
            await tools.site.deploy(instances)
            async with bench_full.warm(tools, name, drains.FILLING) as at_work:
                with tools.reporter.showing(f"{name}: {instances}", orders) as tell:
                    drained = await drains.fill_and_drain(at_work, orders, tell)
                await at_work.ends()
            figures += _with_instances(name, drained, instances)
    finally:
        if not tools.site.is_own:
            await tools.site.deploy(1)
    return figures


def _with_instances(name: str, drained: drains.Drained, instances: int) -> list[Figure]:
    suffix = f"_by_{instances}"
    per_s = drained.orders_per_s_from_first
    return [
        Figure(name, f"orders_per_s{suffix}", per_s, more_is_better=True),
        *drains.cost_figures(name, drained.before, drained.after, drained.orders, suffix),
    ]
