"""Which faults are tried, in which order and how often, and the trials on one stack."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from internal.checks import findings
from internal.deploy import wheel
from internal.lab.chaos import bad_messages, faults, target, terminations, trial
from internal.stack import stack

INSTANCES_EACH = 3
"""While one instance dies the others keep working; and each failpoint fires sooner."""
QUICK_KILLS, CAMPAIGN_KILLS = 3, 50
INTAKE_PLACES = ("bus.before_publish", "bus.after_publish")


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


class Campaign:
    """Trials on one stack, one after the other; an async context manager.

    All use the same database, so each must leave the orders of the others alone. After a bad result
    everything starts from scratch, so that its damage is not reported a second time.
    """

    def __init__(
        self,
        of: stack.Stack,
        package: wheel.Wheel,
        seed: int,
        instances_each: int = INSTANCES_EACH,
    ) -> None:
        """Take a stack without functions; `package` are the functions."""
        self.leaks: list[findings.Finding] = []
        """Where card numbers were found; complete when the campaign has ended."""
        self._stack, self._package, self._seed = of, package, seed
        self._instances_each = instances_each
        self._target: target.Target | None = None
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin; the first trial opens what it needs."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `close`."""
        await self.close()

    async def tried(self, fault: faults.Fault) -> trial.Result:
        """Try a fault.

        Raises:
            Misconfigured: something is missing on this machine.
            Temporary: the stack or what runs on it does not start.
        """
        if self._target is None:
            await asyncio.to_thread(self._stack.up)
            await target.clear(self._stack)
            opened = target.opened(self._stack, self._package, self._instances_each)
            self._target = await self._exits.enter_async_context(opened)
        result = await trial.run(self._target, trial.Plan(fault, self._seed))
        if not result.is_good:
            await self.close()
        return result

    async def close(self) -> None:
        """Leave the stack without functions; a further trial would deploy them again."""
        if self._target is not None:
            at, self._target = self._target, None
            async with self._exits:
                self.leaks += await trial.canaries(at)
