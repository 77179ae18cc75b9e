"""Which faults are tried, in which order and how often."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from internal.checks import findings
from internal.deploy import wheel
from internal.lab.chaos import bad_messages, faults, target, terminations, trial
from internal.stack import stack

INSTANCES_EACH = 3
"""While one instance dies the others keep working; and each failpoint fires sooner."""
QUICK_KILLS, CAMPAIGN_KILLS = 3, 50
INTAKE_PLACES = ("bus.before_publish", "bus.after_publish")


Done = Callable[[trial.Result], None]


class Plan(NamedTuple):
    """The faults to try, and the number of instances of each function."""

    wanted: Sequence[faults.Fault]
    seed: int
    instances_each: int = INSTANCES_EACH


class Size(NamedTuple):
    """How often faults are repeated."""

    kills: int
    """Kills at each failpoint."""
    times: int
    """Repetitions of each other fault."""
    terminations: int
    """SIGTERMs to instances of functions."""


QUICK, CAMPAIGN = Size(QUICK_KILLS, 1, 20), Size(CAMPAIGN_KILLS, 5, 100)
SAMPLE = QUICK._replace(kills=2, terminations=6)
"""For tests."""


def all_faults(size: Size, seed: int) -> list[faults.Fault]:
    """Return every fault, the hardest ones last."""
    return [
        *faults.failpoint_rounds(size.kills, seed),
        *(
            faults.IntakeFailpoint(f"intake: kill at {place}", size.kills, place, seed)
            for place in INTAKE_PLACES
        ),
        faults.KillIntake("intake: kill -9", size.kills),
        faults.KillFunctions("functions: kill -9", size.times, seed),
        terminations.Terminate("functions: SIGTERM", size.terminations),
        bad_messages.Poison("poison and oversize", seed),
        bad_messages.Copies("copies in any order, old versions", seed),
        faults.KillPart("database: kill -9", size.times, target.MYSQL),
        faults.PauseDatabase("database: paused 30 s", size.times),
        faults.KillPart("broker: kill -9", size.times, target.PULSAR),
        faults.TwoInstances("broker: kill -9, old instances live on", size.times),
    ]


def chosen(size: Size, seed: int, only: Sequence[str]) -> Iterator[faults.Fault]:
    """Yield the faults whose names contain one of `only`; all faults if it is empty."""
    for fault in all_faults(size, seed):
        if not only or any(word in fault.name for word in only):
            yield fault


async def run(
    of: stack.Stack, package: wheel.Wheel, plan: Plan, done: Done
) -> list[findings.Finding]:
    """Try one fault after the other; return where card numbers were found.

    All use the same database, so each must leave the orders of the others alone. After a bad result
    everything starts from scratch, so that its damage is not reported a second time.
    """
    leaks: list[findings.Finding] = []
    left = deque(plan.wanted)
    while left:
        await asyncio.to_thread(of.up)
        await target.clear(of)
        async with target.opened(of, package, plan.instances_each) as at:
            is_good = True
            while left and is_good:
                result = await trial.run(at, trial.Plan(left.popleft(), plan.seed))
                done(result)
                is_good = result.is_good
            leaks += await trial.canaries(at)
    return leaks
