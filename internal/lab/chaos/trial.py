"""A trial: orders flow, a fault strikes and is healed, all orders end, everything is compared.

The clients' log, the database, the broker and the gateway's own ledger must agree, and nothing may
wait for longer than a minute after the fault is healed.
"""

import asyncio
import functools
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from internal.checks import findings, invariants
from internal.infra.data_folder import files
from internal.kernel import errors, ids, states
from internal.lab import engine_process
from internal.lab.chaos import audit, bad_messages, clients, faults, target, terminations
from internal.lab.workload import generator, scenarios, special_drafts, verification
from internal.lab.workload.scenarios import Kind
from internal.orders import store
from internal.payments.gateways import registry
from internal.pipeline import dead_letters
from internal.seeds import demo_shop

ORDERS_PER_S = 150.0
LOOK_EVERY_S = 0.05
FLOWS_AFTER = 60
"""Orders flow once the clients have had this many answers."""
FLOWS_WITHIN_S = 90.0
GOES_ON_S = 2.0
"""How long orders go on after the fault is healed."""
LAST_ORDERS = 60
ANSWERED_WITHIN_S = 120.0
QUIET_WITHIN_S = 60.0
"""Nothing may wait longer than this after the fault is healed."""
POLL_EVERY_S = 0.2
ORDERS_MAX = 10_000_000
ORDERS_MIN = 100
"""Fewer OK answers than this prove nothing."""
LOST, DOUBLED = frozenset({"I1", "I2"}), frozenset({"I3"})
MIX: scenarios.Mix = {
    Kind.AGAIN: 60,
    Kind.DECLINED: 60,
    Kind.SPLIT_DECLINED: 60,
    Kind.INVALID: 20,
    Kind.SCARCE: 20,
    Kind.REUSED: 15,
    Kind.SOLD_OUT: 20,
    Kind.PRICE_CHANGED: 10,
    Kind.OPEN: 40,
}
"""Only kinds that do not wait for the gateway: with the simulator's random faults an order waits
longer than a minute if its instance dies again and again.
"""


Finding = findings.Finding  # in Result, its field `findings` hides the module


class Plan(msgspec.Struct, frozen=True):
    """The parameters of a trial."""

    fault: faults.Fault
    seed: int
    quiet_within_s: float = QUIET_WITHIN_S
    mix: scenarios.Mix = msgspec.field(default_factory=lambda: MIX)
    title: str = ""
    """Its name, if it is not the fault's."""

    @property
    def name(self) -> str:
        """Its title, or the name of its fault."""
        return self.title or self.fault.name


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a trial."""

    fault: str
    seed: int
    commit: str
    took_s: float
    fired: Mapping[str, int] = {}
    missing: Sequence[str] = ()
    """Failpoints or faults that should have fired and did not."""
    ok: int = 0
    """Orders that were answered OK."""
    repeated: int = 0
    """Calls that were retried."""
    lost: int = 0
    doubled: int = 0
    quiet_after_s: float = 0.0
    """From healing until no work was left."""
    is_quiet: bool = False
    waiting: Sequence[str] = ()
    """Where messages waited when it should have been quiet."""
    findings: Sequence[Finding] = ()
    note: str = ""
    """A figure of the fault's own, for people."""
    broke_off: str = ""
    """Why the trial could not be completed."""

    @property
    def is_good(self) -> bool:
        """Tell whether the fault fired and did no harm."""
        is_sound = not (self.broke_off or self.missing or self.findings)
        return is_sound and self.is_quiet and self.ok >= ORDERS_MIN

    def sentences(self, invariant: str) -> set[str]:
        """Return the sentences of one invariant that do not hold."""
        return {finding.sentence for finding in self.findings if finding.invariant == invariant}

    def told(self) -> str:
        """Describe the result with everything that is needed to repeat the trial."""
        lines = [
            f"{self.fault}: seed {self.seed}, commit {self.commit}, fired {dict(self.fired)},"
            f" {self.ok} OK, {self.repeated} repeated, lost {self.lost}, doubled {self.doubled},"
            f" {'quiet' if self.is_quiet else 'NOT QUIET'} after {self.quiet_after_s:.1f} s"
            f"{self.note and f'; {self.note}'}"
        ]
        lines += [f"broke off: {self.broke_off}"] if self.broke_off else []
        lines += [f"did not fire: {what}" for what in self.missing]
        lines += [f"waiting: {where}" for where in self.waiting]
        lines += [f"{f.invariant}: {f.sentence}: {f.count} {f.examples}" for f in self.findings]
        return "\n".join(lines)


async def run(at: target.Target, plan: Plan) -> Result:
    """Run a trial; if it cannot be completed, the result says why."""
    began_s = time.perf_counter()
    try:
        return await _run(at, plan)
    except (errors.Temporary, TimeoutError) as error:
        return Result(
            fault=plan.name,
            seed=plan.seed,
            commit=commit(),
            took_s=time.perf_counter() - began_s,
            broke_off=str(error) or "orders were not answered in time",
        )


async def _run(at: target.Target, plan: Plan) -> Result:
    began_s = time.perf_counter()
    await at.all_instances()
    name = f"{_slug(plan.name)}.{round(time.time()):x}"  # noqa: TID251 - unique on each target
    letters_before = await at.database.read(_last_letter)
    pool = await _pool(at, name, plan)
    at.pool = pool
    try:
        async with clients.working(pool) as work:
            pool.connect(at.access())
            async with asyncio.timeout(FLOWS_WITHIN_S):
                await pool.answered(FLOWS_AFTER)
            fired = await plan.fault.strike(at)
            healed_s = time.perf_counter()
            await asyncio.sleep(GOES_ON_S)
            pool.finish(LAST_ORDERS)
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await work
            is_quiet = await _quiet(at, pool.log, name, healed_s + plan.quiet_within_s)
            quiet_after_s = time.perf_counter() - healed_s
            waiting = [] if is_quiet else await at.waiting()
    finally:
        at.pool = None
    wanted = plan.fault.letters if isinstance(plan.fault, bad_messages.Poison) else []
    found = await check(at, pool.log, name, wanted, letters_before)
    note = ""
    if isinstance(plan.fault, terminations.Terminate):
        still_counted = await at.database.read(lambda c: list(terminations.counted(c, name)))
        found += [*plan.fault.judged(), *still_counted]
        note = plan.fault.note
    return Result(
        fault=plan.name,
        seed=plan.seed,
        commit=commit(),
        took_s=time.perf_counter() - began_s,
        fired=fired,
        missing=plan.fault.missing(fired),
        ok=len(pool.log.placed),
        repeated=pool.log.retries.total(),
        lost=sum(f.count for f in found if f.invariant in LOST),
        doubled=sum(f.count for f in found if f.invariant in DOUBLED),
        quiet_after_s=quiet_after_s,
        is_quiet=is_quiet,
        waiting=waiting,
        findings=found,
        note=note,
    )


async def check(
    at: target.Target,
    log: clients.Log,
    run: str,
    letters_wanted: Sequence[audit.Letter],
    letters_before: int,
) -> list[findings.Finding]:
    """Return all findings."""
    captured = registry.captured_by_key(at.options) or {}
    backlog = await at.backlog()

    def look(connection: sa.Connection) -> list[findings.Finding]:
        found = invariants.check(
            connection,
            captured_at_gateway=captured,
            backlog=backlog,
            acknowledged=[ids.OrderRef(demo_shop.MERCHANT_ID, order_id) for order_id in log.placed],
        )
        return [
            *found,
            *audit.compared(audit.recorded(connection, f"{run}."), log),
            *audit.letters(connection, letters_wanted, letters_before),
        ]

    return await at.database.read(look)


async def canaries(at: target.Target) -> list[findings.Finding]:
    """Search for the card number that the clients have sent: it must be stored nowhere."""
    number = special_drafts.TEST_CARD
    found = await at.database.read(lambda c: invariants.canaries(c, [number]))
    logs = [*at.stack.folder.logs.rglob("*"), at.options.storage.data_dir / files.LOG]
    leaks = await asyncio.to_thread(
        lambda: [str(file) for file in logs if file.is_file() and _holds(file, number)]
    )
    return [*found, *audit.found("I10", "a card number is in no log", leaks)]


@functools.cache
def commit() -> str:
    """Return the commit that is tested."""
    command = ["git", "-C", str(engine_process.ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def _holds(file: Path, number: str) -> bool:
    with file.open("rb") as lines:
        return any(number.encode() in line for line in lines)


async def _pool(at: target.Target, name: str, plan: Plan) -> clients.ClientPool:
    sells = await verification.Records(at.options, at.access().api_key).shop()
    orders = generator.stream(sells, generator.RunSpec(name, plan.seed, plan.mix), ORDERS_MAX)
    return clients.ClientPool(orders, plan.seed, clients.Pace(ORDERS_PER_S, LOOK_EVERY_S))


async def _quiet(at: target.Target, log: clients.Log, run: str, until_s: float) -> bool:
    """Wait until no work is left; tell whether that was in time."""
    while True:
        try:
            left = await at.database.read(lambda c: _count_left(c, log, run))
            if not left and not any((await at.backlog()).values()):
                return True
        except errors.Temporary:
            pass  # a part is not back yet
        if time.perf_counter() > until_s:
            return False
        await asyncio.sleep(POLL_EVERY_S)


def _count_left(connection: sa.Connection, log: clients.Log, run: str) -> int:
    """Count the orders that work waits for; if there are none, those of this run without an end.

    An order that was left open, and whose client never got an answer, ends with its hold.
    """
    o = store.ORDERS.c
    due = sa.select(sa.func.count()).where(o.due_at_us.is_not(None))
    left: int = connection.execute(due).scalar_one()
    if left:
        return left
    mine = sa.select(o.order_id, o.state).where(o.order_id.startswith(f"{run}.", autoescape=True))
    recorded = {order_id: states.OrderState(state) for order_id, state in connection.execute(mine)}
    open_orders = [
        order_id for order_id, state in recorded.items() if not states.is_terminal(state)
    ]
    return len(open_orders) + len(log.placed.keys() - recorded.keys())


def _last_letter(connection: sa.Connection) -> int:
    newest = sa.select(sa.func.max(dead_letters.DEAD_LETTERS.c.letter_key))
    return connection.execute(newest).scalar() or 0


def _slug(name: str) -> str:
    """Return a name that may begin an order's id."""
    return "".join(char if char.isalnum() else "." for char in name)[:NAME_CHARS_MAX]


NAME_CHARS_MAX = 30
