"""The demo: varied orders through the gRPC port, to their ends, and what came of them.

It is no benchmark: everything that can go wrong with an order goes wrong here on purpose.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator

import msgspec

from internal.client import client, sender
from internal.kernel import ids
from internal.lab.workload import generator, progress, scenarios, shop, verification
from internal.lab.workload import run as workload_run

PACE = workload_run.Pace(concurrency=32, batch=25)
SETTLE_S = 120.0
"""An order whose payment is UNKNOWN is asked about after 5 s, then 30 s later."""

Check = Callable[[Iterable[str]], Awaitable[verification.Checked]]
"""Takes the orders that must be at their end; `souk check` as a port."""


class Plan(msgspec.Struct, frozen=True):
    """What the demo is to do."""

    sells: shop.Shop
    orders: int
    seed: int = 1
    settle_s: float = SETTLE_S


class Figures(msgspec.Struct, frozen=True):
    """What came of it. `orders` = accepted + replayed + conflicts + invalid + errors."""

    orders: int
    """Submitted."""
    accepted: int
    """Answered OK, each order once."""
    finalized: int
    rejected: int
    replayed: int
    """Answered OK though they had been placed before."""
    invalid: int
    """Refused at the door for what is in them."""
    orders_per_s: float
    """Accepted orders by the time from the first OK to the last end, by the server's clock, both
    without the orders whose gateway is slow on purpose."""
    p50_ms: float
    """From an order's OK to its end, by the server's clock, of the same orders."""
    p99_ms: float
    check_ok: bool
    """Every invariant of `souk check` holds."""
    conflicts: int
    """Refused because another order stands under the id."""
    errors: dict[str, int]
    """Not placed after all retries, by code and reason."""
    rejected_by_reason: dict[str, int]
    invalid_by_reason: dict[str, int]
    slow: int
    """Accepted orders whose gateway lost answers, timed out or was away, on purpose."""
    slow_max_ms: float
    retries: dict[str, int]
    hanging: list[str]
    """Accepted orders without an end."""
    astray: list[str]
    """Accepted orders with more than one end."""
    surprises: int
    """Answers and ends other than the orders were made for."""
    surprising: list[str]
    findings: list[str]
    """What the check found."""
    ledger_debit_minor: int
    ledger_credit_minor: int
    stock_ok: bool
    stock_on_hand: int

    @property
    def is_ok(self) -> bool:
        """Tell whether the demo showed what it should."""
        clean = not (self.hanging or self.astray or self.surprises or self.errors)
        return self.check_ok and clean


async def run(
    connection: client.Client, plan: Plan, check: Check, reporter: progress.Reporter
) -> Figures:
    """Submit the orders, wait for all of them, check the books."""
    doing = workload_run.Campaign(connection, reporter, sender.Patience())
    what = generator.Run(f"demo-{ids.random_token(4)}", plan.seed, scenarios.DEMO_MIX)
    later: list[generator.Submission] = []
    first = _first_of(generator.decks(plan.sells, what, plan.orders), later)
    await doing.send(workload_run.mixture(first, PACE.batch), plan.orders, PACE)
    await doing.send(workload_run.mixture(later, PACE.batch), plan.orders, PACE)
    await doing.settle(plan.settle_s)
    checked = await check(doing.tally.placed)
    return figures_of(doing, checked)


def _first_of(
    decks: Iterable[generator.Deck], later: list[generator.Submission]
) -> Iterator[generator.Submission]:
    """Yield what goes first, and put the rest into `later`."""
    for deck in decks:
        later.extend(deck.later)
        yield from deck.first


def figures_of(doing: workload_run.Campaign, checked: verification.Checked) -> Figures:
    """Add up a campaign and what the check says."""
    told, speed, rejected = doing.tally, doing.speed(), doing.rejected()
    return Figures(
        orders=told.submissions,
        accepted=len(told.placed),
        finalized=doing.finalized(),
        rejected=rejected.total(),
        replayed=told.replayed,
        invalid=told.invalid.total(),
        orders_per_s=round(speed.orders_per_s, 1),
        p50_ms=round(speed.took_ms.percentile_ms(50), 2),
        p99_ms=round(speed.took_ms.percentile_ms(99), 2),
        check_ok=checked.is_ok,
        conflicts=told.conflicts,
        errors=dict(told.errors),
        rejected_by_reason=dict(rejected.most_common()),
        invalid_by_reason=dict(told.invalid.most_common()),
        slow=speed.slow_ms.count,
        slow_max_ms=round(speed.slow_ms.max_ms, 1),
        retries=dict(doing.sender.retries),
        hanging=doing.hanging,
        astray=doing.astray,
        surprises=told.surprises,
        surprising=told.surprising,
        findings=checked.texts(),
        ledger_debit_minor=checked.debit_minor,
        ledger_credit_minor=checked.credit_minor,
        stock_ok=checked.broken("I5") == 0,
        stock_on_hand=checked.on_hand,
    )
