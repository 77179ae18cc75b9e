"""The cost of `souk check` with more and more sealed orders in the tables, as an operator runs it.

Some orders are processed by the engine, and copied for one business day after the other. Each check
is a process of its own, so its memory is that of the whole command.
"""

import asyncio
import datetime
import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from internal.checks import seals
from internal.infra import clock, db, settings
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.lab.bench import clone_orders, cost, lab, submission
from internal.lab.bench.submission import Load
from internal.lab.workload import progress, templates
from internal.payments.gateways import registry

SIZES = (10_000, 100_000, 1_000_000)
TEMPLATE_ORDERS = 1_000
COPIES_A_DAY = 10
DAYS_AGO = 400
"""The first business day; a million orders take a hundred days."""
SEED = 1
PROGRAM = "from internal.cli import main; main.main()"
SOUK = (sys.executable, "-c", PROGRAM)
LOOK_EVERY_S = 0.02
LATER_US = 3_600 * US_PER_SECOND
"""A seal leaves out what was recorded in the last minutes."""


class Installation(NamedTuple):
    """An engine's database, and how `souk` is pointed at it."""

    options: settings.Settings
    database: db.Database
    environment: Mapping[str, str]


class Check(NamedTuple):
    """The cost of one check."""

    seconds: float
    cpu_s: float
    mb: float
    """The highest resident memory, in millions of bytes."""


async def measure(
    name: str,
    at_work: lab.Lab,
    at: Installation,
    reporter: progress.Reporter,
    orders: int | None,
) -> dict[str, float]:
    """Measure checks since a seal, of everything, and the seal itself, at each size; by metric.

    Raises:
        Temporary: an order was not finalized, or a check failed.
    """
    days = _days()
    filler = await _filled(at_work, at, next(days))
    found: dict[str, float] = {}
    for size in SIZES:
        if orders is not None and size > orders:
            break
        with reporter.showing(f"{name}: filling", size) as tell:
            sealed_day = await filler.fill(size, days, tell)
        took_s = await _sealed(at.database, sealed_day)
        await filler.copy(next(days))
        reporter.say(f"{name}: checking {size} orders")
        since = await asyncio.to_thread(_checked, at, ())
        everything = await asyncio.to_thread(_checked, at, ("--all",))
        found |= {f"{what}_since_seal_at_{size}": it for what, it in since._asdict().items()}
        found |= {f"{what}_all_at_{size}": it for what, it in everything._asdict().items()}
        found[f"seconds_seal_at_{size}"] = took_s
    return found


def _days() -> Iterator[datetime.date]:
    at_s = clock.SystemClock().now_us() // US_PER_SECOND
    first = datetime.datetime.fromtimestamp(at_s, datetime.UTC).date()
    first -= datetime.timedelta(days=DAYS_AGO)
    return (first + datetime.timedelta(days=number) for number in range(DAYS_AGO))


class _Filler:
    """Fills the tables with copies of orders."""

    def __init__(self, at: Installation, of: clone_orders.Template) -> None:
        self._at, self._template = at, of
        self._gateway = registry.find_ledger(at.options)
        self._copies = 0

    async def fill(self, orders: int, days: Iterator[datetime.date], tell: progress.Tell) -> int:
        """Copy until there are at least `orders` orders; return the last business day."""
        day = next(days)
        while (there := (self._copies + 1) * self._template.orders) < orders:
            tell(there)
            await self.copy(day)
            if self._copies % COPIES_A_DAY == 0:
                day = next(days)
        tell(there)
        return _number(day)

    async def copy(self, day: datetime.date) -> None:
        """Copy the orders once, for this business day."""
        self._copies += 1
        what = self._template, self._copies
        copied = functools.partial(_copy, what, _number(day))
        await self._at.database.write(copied)
        if self._gateway is not None:
            await asyncio.to_thread(clone_orders.copy_captures, self._gateway, *what)


def _copy(what: tuple[clone_orders.Template, int], day: int, connection: sa.Connection) -> None:
    clone_orders.copy(connection, *what, day)


def _number(day: datetime.date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


async def _filled(at_work: lab.Lab, at: Installation, day: datetime.date) -> _Filler:
    """Process the first orders, sold on this day; all others will be copies of them."""
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    sold_at_us = round(noon.timestamp()) * US_PER_SECOND
    shop = await at_work.records.shop()
    at_work.templates = templates.Templates(shop, "check", SEED, sold_at_us)
    load = Load(TEMPLATE_ORDERS, 100, 1)
    await submission.Submission(at_work, load, None, lambda _: None).run()
    await at_work.wait_for_last()
    await at_work.ends()
    gateway = registry.find_ledger(at.options)
    template = await at.database.read(lambda c: clone_orders.template(c, gateway))
    return _Filler(at, template)


async def _sealed(database: db.Database, business_day: int) -> float:
    """Seal all days up to this one; return how long it took."""
    now_us, began_s = clock.SystemClock().now_us() + LATER_US, time.perf_counter()
    planned = await database.read(lambda c: seals.plan(c, business_day, now_us))
    await database.write(lambda c: seals.write(c, planned, now_us))
    return time.perf_counter() - began_s


def _checked(at: Installation, more: Sequence[str]) -> Check:
    """Run `souk check` once.

    Raises:
        Temporary: it failed.
    """
    environment = {name: it for name, it in os.environ.items() if not name.startswith("SOUK_")}
    command, began_s = (*SOUK, "check", *more), time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        env={**environment, **at.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        used = _watched(process)
        said = process.stdout.read().decode() if process.stdout else ""
    if process.returncode:
        raise errors.Temporary(f"the check failed: {said}")
    return Check(time.perf_counter() - began_s, used.cpu_s, used.rss_mb)


def _watched(process: subprocess.Popen[bytes]) -> cost.Cost:
    """Wait for the end of a process that says little; return the highest of its costs.

    The peak that the system reports for an ended process includes the memory of its parent.
    """
    highest = cost.NOTHING
    while process.poll() is None:
        now = cost.of(process.pid)
        highest = cost.Cost(max(now.cpu_s, highest.cpu_s), max(now.rss_mb, highest.rss_mb))
        time.sleep(LOOK_EVERY_S)  # noqa: TID251 - in a thread of its own
    return highest
