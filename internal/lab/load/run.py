"""A load run: orders at a given pace, the latency of the answers, and a verdict.

The verdict is OK if every order that was answered OK came to exactly one end.
"""

import time
from collections.abc import Iterator

import msgspec

from internal.client import client, sender
from internal.kernel import ids
from internal.lab.workload import generator, latency, progress, scenarios, shop
from internal.lab.workload import run as workload_run

ENDS_WITHIN_S = 300.0


class Profile(msgspec.Struct, frozen=True):
    """The defaults of a run."""

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
    """The parameters of a run."""

    profile: str
    sells: shop.Shop
    orders: int
    pace: workload_run.Pace
    seed: int
    ends_within_s: float = ENDS_WITHIN_S


class Figures(msgspec.Struct, frozen=True):
    """The results of a run."""

    profile: str
    orders: int
    """Submitted orders."""
    seconds: float
    """From the first call until all ends were known."""
    accepted: int
    replayed: int
    conflicts: int
    invalid: int
    errors: dict[str, int]
    """Not placed after all retries, by code and reason."""
    retries: dict[str, int]
    """Answers after which an order was sent again, by code and reason."""
    causes: dict[str, str]
    """The server's words with the last of them, by code and reason."""
    finalized: int
    rejected: int
    rejected_by_reason: dict[str, int]
    orders_per_s: float
    """Accepted orders per second from the first OK to the last end, without those that are slow on
    purpose; by the server's clock."""
    answer_ms: dict[str, float]
    """From the instant a call was due until its answer, retries included; by our clock."""
    end_ms: dict[str, float]
    """From an order's OK to its end, without those slow on purpose; by the server's clock."""
    hanging: list[str]
    """Accepted orders without an end."""
    astray: list[str]
    """Accepted orders with more than one end."""
    surprises: int
    surprising: list[str]
    """Unexpected answers and ends. They do not count for the verdict."""
    verdict_ok: bool


class Result(msgspec.Struct, frozen=True):
    """The figures, and the histogram of answers for the view."""

    figures: Figures
    answer_ms: latency.Histogram


async def run(connection: client.Client, plan: Plan, reporter: progress.Reporter) -> Result:
    """Submit the orders, wait for the ends of all that were accepted, and judge."""
    started_s = time.perf_counter()
    work = workload_run.Run(connection, reporter, sender.Patience())
    await work.send(_calls(plan), plan.orders, plan.pace)
    await work.wait_for_ends(plan.ends_within_s)
    seconds = time.perf_counter() - started_s
    return Result(figures_of(work, plan.profile, seconds), work.results.answer_ms)


def _calls(plan: Plan) -> Iterator[workload_run.Call]:
    name = f"{plan.profile}-{ids.random_token(4)}"
    spec = generator.RunSpec(name, plan.seed, PROFILES[plan.profile].mix)
    return workload_run.batches(generator.stream(plan.sells, spec, plan.orders), plan.pace.batch)


def figures_of(work: workload_run.Run, profile: str, seconds: float) -> Figures:
    """Return the figures of a run."""
    results, speed, rejected = work.results, work.speed(), work.rejected()
    return Figures(
        profile=profile,
        orders=results.submissions,
        seconds=round(seconds, 2),
        accepted=len(results.placed),
        replayed=results.replayed,
        conflicts=results.conflicts,
        invalid=results.invalid.total(),
        errors=dict(results.errors),
        retries=dict(work.sender.retries),
        causes=dict(work.sender.causes),
        finalized=work.finalized(),
        rejected=rejected.total(),
        rejected_by_reason=dict(rejected.most_common()),
        orders_per_s=round(speed.orders_per_s, 1),
        answer_ms=results.answer_ms.summary(),
        end_ms=speed.took_ms.summary(),
        hanging=work.hanging,
        astray=work.astray,
        surprises=results.surprises,
        surprising=results.surprising,
        verdict_ok=bool(results.placed) and not work.hanging and not work.astray,
    )
