"""The many orders of the demo: varied, sent through the gRPC API, and followed to their ends.

It is not a benchmark: everything that can go wrong with an order goes wrong here on purpose.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from internal.client import client, sender
from internal.lab.demo import scene_run
from internal.lab.workload import generator, progress, scenarios, shop, verification
from internal.lab.workload import run as workload_run

PACE = workload_run.Pace(concurrency=32, batch=25)
ENDS_WITHIN_S = 120.0
"""The gateway is asked about an UNKNOWN payment after 5 s, then 30 s later."""

Check = Callable[[Iterable[str]], Awaitable[verification.Checked]]
"""Takes the orders that must have ended; does what `souk check` does."""


class Plan(msgspec.Struct, frozen=True):
    """The parameters of a demo."""

    sells: shop.Shop
    orders: int
    seed: int = 1
    name: str = "demo"
    """New to the server: the ids of all orders begin with it."""
    ends_within_s: float = ENDS_WITHIN_S
    scenes: Sequence[scene_run.Played] = ()
    """The scenes that were played before the orders."""


class Figures(msgspec.Struct, frozen=True):
    """The results: `orders` = accepted + replayed + conflicts + invalid + errors."""

    orders: int
    """Submitted orders."""
    accepted: int
    """Answered OK, each order once."""
    finalized: int
    rejected: int
    replayed: int
    """Answered OK although they had been placed before."""
    invalid: int
    """Refused by the API server as invalid."""
    orders_per_s: float
    """Accepted orders per second from the first OK to the last end, by the server's clock, without
    the orders whose gateway is slow on purpose."""
    p50_ms: float
    """From an order's OK to its end, by the server's clock, for the same orders."""
    p99_ms: float
    check_ok: bool
    """Every invariant of `souk check` holds."""
    conflicts: int
    """Refused because the id belongs to another order."""
    errors: dict[str, int]
    """Not placed after all retries, by code and reason."""
    rejected_by_reason: dict[str, int]
    invalid_by_reason: dict[str, int]
    slow: int
    """Accepted orders whose gateway lost answers, timed out or was unavailable, on purpose."""
    slow_max_ms: float
    retries: dict[str, int]
    hanging: list[str]
    """Accepted orders without an end."""
    astray: list[str]
    """Accepted orders with more than one end."""
    surprises: int
    """Unexpected answers and ends."""
    surprising: list[str]
    findings: list[str]
    """The findings of the check."""
    ledger: Mapping[str, verification.Sums]
    """By currency."""
    stock_ok: bool
    stock_on_hand: int
    scenes: Sequence[scene_run.Played]
    """They are not among the orders that are counted above."""

    @property
    def is_ok(self) -> bool:
        """Tell whether the demo went as it should."""
        clean = not (self.hanging or self.astray or self.surprises or self.errors)
        return self.check_ok and clean and not any(scene.wrong for scene in self.scenes)


async def run(
    connection: client.Client, plan: Plan, check: Check, reporter: progress.Reporter
) -> Figures:
    """Submit the orders, wait for the ends of all of them, and check every invariant."""
    work = workload_run.Run(connection, reporter, sender.Patience())
    spec = generator.RunSpec(plan.name, plan.seed, scenarios.DEMO_MIX)
    later: list[generator.Submission] = []
    first = _first_of(generator.chunks(plan.sells, spec, plan.orders), later)
    await work.send(workload_run.mixture(first, PACE.batch), plan.orders, PACE)
    await work.send(workload_run.mixture(later, PACE.batch), plan.orders, PACE)
    await work.wait_for_ends(plan.ends_within_s)
    played = [scene.order_id for scene in plan.scenes if scene.values]
    checked = await check([*work.results.placed, *played])
    return figures_of(work, checked, plan.scenes)


def _first_of(
    chunks: Iterable[generator.Chunk], later: list[generator.Submission]
) -> Iterator[generator.Submission]:
    """Yield the orders that go first, and append the others to `later`."""
    for chunk in chunks:
        later.extend(chunk.later)
        yield from chunk.first


def figures_of(
    work: workload_run.Run, checked: verification.Checked, scenes: Sequence[scene_run.Played]
) -> Figures:
    """Return the figures of a run and of the check."""
    results, speed, rejected = work.results, work.speed(), work.rejected()
    return Figures(
        orders=results.submissions,
        accepted=len(results.placed),
        finalized=work.finalized(),
        rejected=rejected.total(),
        replayed=results.replayed,
        invalid=results.invalid.total(),
        orders_per_s=round(speed.orders_per_s, 1),
        p50_ms=round(speed.took_ms.percentile_ms(50), 2),
        p99_ms=round(speed.took_ms.percentile_ms(99), 2),
        check_ok=checked.is_ok,
        conflicts=results.conflicts,
        errors=dict(results.errors),
        rejected_by_reason=dict(rejected.most_common()),
        invalid_by_reason=dict(results.invalid.most_common()),
        slow=speed.slow_ms.count,
        slow_max_ms=round(speed.slow_ms.max_ms, 1),
        retries=dict(work.sender.retries),
        hanging=work.hanging,
        astray=work.astray,
        surprises=results.surprises,
        surprising=results.surprising,
        findings=checked.texts(),
        ledger=checked.ledger,
        stock_ok=checked.broken("I5") == 0,
        stock_on_hand=checked.on_hand,
        scenes=scenes,
    )
