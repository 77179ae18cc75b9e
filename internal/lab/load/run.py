"""A load run: so many orders at such a pace, how long the answers took, and a verdict.

The verdict: every order that was answered OK came to exactly one end.
"""

import time
from collections.abc import Iterator

import msgspec

from internal.client import client, sender
from internal.kernel import ids
from internal.lab.workload import generator, latency, progress, scenarios, shop
from internal.lab.workload import run as workload_run

SETTLE_S = 300.0


class Profile(msgspec.Struct, frozen=True):
    """What a run does unless it is told otherwise."""

    orders: int
    pace: workload_run.Pace
    mix: scenarios.Mix


PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        200,
        workload_run.Pace(concurrency=8),
        scenarios.DEMO_MIX,
    ),
    "load": Profile(
        20_000,
        workload_run.Pace(concurrency=1_000, orders_per_s=200.0),
        scenarios.DAY_MIX,
    ),
    "stress": Profile(
        100_000,
        workload_run.Pace(concurrency=64, batch=20),
        scenarios.DAY_MIX,
    ),
}


class Plan(msgspec.Struct, frozen=True):
    """What a run is to do."""

    profile: str
    sells: shop.Shop
    orders: int
    pace: workload_run.Pace
    seed: int
    settle_s: float = SETTLE_S


class Figures(msgspec.Struct, frozen=True):
    """What came of it."""

    profile: str
    orders: int
    """Submitted."""
    seconds: float
    """From the first call until all ends were known."""
    accepted: int
    replayed: int
    conflicts: int
    invalid: int
    errors: dict[str, int]
    """Not placed after all retries, by code and reason."""
    retries: dict[str, int]
    """Answers that put an order off, so that it was sent again, by code and reason."""
    finalized: int
    rejected: int
    rejected_by_reason: dict[str, int]
    orders_per_s: float
    """Accepted orders by the time from the first OK to the last end, without those slow on
    purpose; by the server's clock."""
    answer_ms: dict[str, float]
    """From the instant a call was due to its answer, retries included; by our clock."""
    end_ms: dict[str, float]
    """From an order's OK to its end, without those slow on purpose; by the server's clock."""
    hanging: list[str]
    """Accepted orders without an end."""
    astray: list[str]
    """Accepted orders with more than one end."""
    surprises: int
    surprising: list[str]
    """Answers and ends other than the orders were made for. No part of the verdict."""
    verdict_ok: bool


class Outcome(msgspec.Struct, frozen=True):
    """The figures, and the histogram for people."""

    figures: Figures
    answer_ms: latency.Histogram


async def run(connection: client.Client, plan: Plan, reporter: progress.Reporter) -> Outcome:
    """Submit the orders, wait for all that were taken, judge."""
    started_s = time.perf_counter()
    doing = workload_run.Campaign(connection, reporter, sender.Patience())
    await doing.send(_calls(plan), plan.orders, plan.pace)
    await doing.settle(plan.settle_s)
    seconds = time.perf_counter() - started_s
    return Outcome(figures_of(doing, plan.profile, seconds), doing.tally.answer_ms)


def _calls(plan: Plan) -> Iterator[workload_run.Call]:
    name = f"{plan.profile}-{ids.random_token(4)}"
    what = generator.Run(name, plan.seed, PROFILES[plan.profile].mix)
    return workload_run.batches(generator.stream(plan.sells, what, plan.orders), plan.pace.batch)


def figures_of(doing: workload_run.Campaign, profile: str, seconds: float) -> Figures:
    """Add up a campaign."""
    told, speed, rejected = doing.tally, doing.speed(), doing.rejected()
    return Figures(
        profile=profile,
        orders=told.submissions,
        seconds=round(seconds, 2),
        accepted=len(told.placed),
        replayed=told.replayed,
        conflicts=told.conflicts,
        invalid=told.invalid.total(),
        errors=dict(told.errors),
        retries=dict(doing.sender.retries),
        finalized=doing.finalized(),
        rejected=rejected.total(),
        rejected_by_reason=dict(rejected.most_common()),
        orders_per_s=round(speed.orders_per_s, 1),
        answer_ms=told.answer_ms.summary(),
        end_ms=speed.took_ms.summary(),
        hanging=doing.hanging,
        astray=doing.astray,
        surprises=told.surprises,
        surprising=told.surprising,
        verdict_ok=bool(told.placed) and not doing.hanging and not doing.astray,
    )
