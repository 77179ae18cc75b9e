"""SIGTERM to instances in turn, while orders flow: each must leave soon, by itself, unnoticed."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from itertools import islice

import msgspec
import sqlalchemy as sa

from internal.checks import findings
from internal.flow import topics
from internal.lab.chaos import audit, faults, target
from internal.pipeline import crash_counts
from internal.stack import processes

GONE_WITHIN_S = 10.0
"""The functions worker kills an instance that it has stopped after this long."""
LOOK_EVERY_S = 0.02
INVARIANT = "leaving"
STAYED = f"an instance is gone within {GONE_WITHIN_S:.0f} s of SIGTERM"
COUNTED = "no order is counted as one that crashed an instance"


class Leaving(msgspec.Struct, frozen=True):
    """An instance that was told to leave."""

    function: str
    took_s: float
    was_killed: bool


class Terminate(msgspec.Struct, frozen=True):
    """SIGTERM to one instance after the other, each of another function."""

    name: str
    times: int
    gone_within_s: float = GONE_WITHIN_S
    seen: list[Leaving] = msgspec.field(default_factory=list)
    """Filled by `strike`."""

    async def strike(self, at: target.Target) -> faults.Fired:
        """See faults.Fault."""
        names = [str(stage.name) for stage in topics.STAGES]
        for number in range(self.times):
            turn, place = divmod(number, len(names))
            if place == 0:
                there = await at.all_instances()
            mine = sorted(pid for pid, name in there.items() if name == names[place])
            self.seen.append(await self._terminate(mine[turn % len(mine)], names[place]))
        return {self.name: len(self.seen)}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        count = fired.get(self.name, 0)
        return [] if count >= self.times else [f"{self.name}: {count} of {self.times}"]

    @property
    def note(self) -> str:
        """The longest time that one took, for people."""
        longest_s = max((one.took_s for one in self.seen), default=0.0)
        killed = sum(one.was_killed for one in self.seen)
        return f"longest {longest_s:.1f} s, {killed} killed"

    def judged(self) -> Iterator[findings.Finding]:
        """Yield a finding if an instance did not leave in time."""
        late = (
            f"{one.function}: killed after {one.took_s:.1f} s"
            for one in self.seen
            if one.was_killed
        )
        yield from audit.found(INVARIANT, STAYED, late)

    async def _terminate(self, pid: int, function: str) -> Leaving:
        began_s = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        while processes.is_alive(pid):
            took_s = time.perf_counter() - began_s
            if took_s > self.gone_within_s:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return Leaving(function, took_s, was_killed=True)
            await asyncio.sleep(LOOK_EVERY_S)
        return Leaving(function, time.perf_counter() - began_s, was_killed=False)


def counted(connection: sa.Connection, run: str) -> Iterator[findings.Finding]:
    """Yield a finding if crashes of a run's order are still counted, when all orders have ended.

    The counts of earlier runs may stay: an order that crashed one instance is finished by another,
    which need not know.
    """
    t = crash_counts.STAGE_ATTEMPTS.c
    mine = t.subject.startswith(f"{run}.", autoescape=True)
    query = sa.select(t.stage, t.subject, t.attempts).where(mine)
    rows = islice(connection.execute(query), audit.LETTERS_MAX)
    yield from audit.found(INVARIANT, COUNTED, (f"{row[0]} {row[1]}: {row[2]}" for row in rows))
