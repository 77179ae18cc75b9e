"""The faults: each strikes while orders flow, is healed, and then returns how often it fired.

A fault that heals by itself (a process that its supervisor restarts) counts as healed once it has
fired for the last time: the time to come back counts as waiting.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from internal.flow import topics
from internal.lab.chaos import target

FIRES_S = 90.0
"""A failpoint that has not fired for this long is not on the path of these orders."""
INTAKE_FIRES_S = 30.0
LOOK_EVERY_S = 0.15
PASSAGE_MAX = 12
"""A process dies at one of its first N passages."""
PAUSE_S = 30.0
DOWN_S = 1.0
TOGETHER_S = 3.0
"""How long an old instance works beside the new one before the results are checked."""
EVERYWHERE = ("db.", "bus.")
"""Prefixes of failpoints that every function passes."""

Fired = Mapping[str, int]
"""How often each failpoint or fault fired."""


class Fault(Protocol):
    """Something that goes wrong."""

    @property
    def name(self) -> str:
        """Its name for people."""
        ...

    async def strike(self, at: target.Target) -> Fired:
        """Cause the fault and heal it."""
        ...

    def missing(self, fired: Fired) -> list[str]:
        """Return what should have fired and did not."""
        ...


class _Counted(msgspec.Struct, frozen=True):
    """A fault with a known number of times that it should fire."""

    name: str
    times: int

    @property
    def expected(self) -> dict[str, int]:
        """How often each failpoint or fault should fire, at least."""
        return {self.name: self.times}

    def missing(self, fired: Fired) -> list[str]:
        """See Fault."""
        return [
            f"{name}: {fired.get(name, 0)} of {times}"
            for name, times in self.expected.items()
            if fired.get(name, 0) < times
        ]


class Failpoints(_Counted, frozen=True):
    """Functions die at failpoints, again and again; each function passes one of them."""

    places: tuple[str, ...]
    seed: int

    @property
    def expected(self) -> dict[str, int]:
        """See _Counted."""
        return dict.fromkeys(self.places, self.times)

    async def strike(self, at: target.Target) -> Fired:
        """See Fault. Passages are drawn again after each death, until all fired often enough."""
        rng = random.Random(f"{self.seed}/{self.name}")  # noqa: S311 - no secrets
        fired: Counter[str] = Counter()
        give_up_at_s = time.perf_counter() + FIRES_S + self.times * 10.0
        last_s = time.perf_counter()
        try:
            self._arm(at, rng, fired)
            known = await asyncio.to_thread(at.instances)
            while self.missing(fired) and time.perf_counter() < min(give_up_at_s, last_s + FIRES_S):
                await asyncio.sleep(LOOK_EVERY_S)
                there = await asyncio.to_thread(at.instances)
                deaths = Counter(known[pid] for pid in known.keys() - there.keys())
                known = there
                if deaths:
                    last_s = time.perf_counter()
                    fired.update(self._places_of(deaths))
                    self._arm(at, rng, fired)
        finally:
            at.arm("")
        return fired

    def _places_of(self, deaths: Counter[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for place in self.places:
            mine = deaths.total() if place.startswith(EVERYWHERE) else deaths[_owner(place)]
            found[place] = mine
        return found

    def _arm(self, at: target.Target, rng: random.Random, fired: Fired) -> None:
        places = [place for place in self.places if fired.get(place, 0) < self.times]
        at.arm(",".join(f"{place}=kill@{rng.randint(1, PASSAGE_MAX)}" for place in places))


def _owner(place: str) -> str:
    """Return the function that passes a failpoint."""
    name = place.partition(".")[0]
    return topics.PAYMENT.name if name == "gateway" else name


class IntakeFailpoint(_Counted, frozen=True):
    """The intake dies at a failpoint, again and again, and is started again."""

    place: str
    seed: int

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        rng, fired = random.Random(f"{self.seed}/{self.name}"), 0  # noqa: S311 - no secrets
        for _ in range(self.times):
            at.arm(f"{self.place}=kill@{rng.randint(1, PASSAGE_MAX)}", target.INTAKE_FILE)
            died = await at.intake_ended(INTAKE_FIRES_S)
            at.arm("", target.INTAKE_FILE)
            if died:
                fired += 1
                await at.kill_intake()
                await at.start_intake()
        return {self.name: fired}


class KillIntake(_Counted, frozen=True):
    """`kill -9` of the intake, which is started again."""

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        for _ in range(self.times):
            await at.kill_intake()
            await at.start_intake()
            await asyncio.sleep(DOWN_S)
        return {self.name: self.times}


class KillFunctions(_Counted, frozen=True):
    """`kill -9` of an instance of each function; the functions worker starts it again."""

    seed: int

    @property
    def expected(self) -> dict[str, int]:
        """See _Counted."""
        return dict.fromkeys((str(stage.name) for stage in topics.STAGES), self.times)

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        rng = random.Random(f"{self.seed}/{self.name}")  # noqa: S311 - no secrets
        fired: Counter[str] = Counter()
        for _ in range(self.times):
            there = await at.all_instances()
            for function in self.expected:
                await asyncio.sleep(rng.uniform(0, 0.5))
                os.kill(rng.choice(_pids_of(there, function)), signal.SIGKILL)
                fired[function] += 1
        return fired


def _pids_of(there: target.Instances, function: str) -> list[int]:
    return sorted(pid for pid, name in there.items() if name == function)


class KillPart(_Counted, frozen=True):
    """`kill -9` of the broker or the database, which is started again."""

    part: str

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        for number in range(self.times):
            if number:
                await at.all_instances()
                await asyncio.sleep(DOWN_S)
            await at.kill(self.part)
            await asyncio.sleep(DOWN_S)
            await at.start(self.part)
        return {self.name: self.times}


class PauseDatabase(_Counted, frozen=True):
    """The database is paused, with every connection open."""

    seconds: float = PAUSE_S

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        for _ in range(self.times):
            pid = at.pid(target.MYSQL)
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(self.seconds)
            finally:
                os.kill(pid, signal.SIGCONT)
        return {self.name: self.times}


class TwoInstances(_Counted, frozen=True):
    """Two instances of one function write at once.

    The broker is killed while instances are paused; they go on once new instances work.
    """

    async def strike(self, at: target.Target) -> Fired:
        """See Fault."""
        fired = 0
        for _ in range(self.times):
            old = await at.all_instances()
            _signal(old, signal.SIGSTOP)
            try:
                await at.kill(target.PULSAR)
                await at.start(target.PULSAR)
                new = await self._new_ones(at, old)
            finally:
                _signal(old, signal.SIGCONT)
            await asyncio.sleep(TOGETHER_S)
            fired += bool(new)
        return {self.name: fired}

    async def _new_ones(self, at: target.Target, old: target.Instances) -> bool:
        """Wait until each function has a new instance beside a living old one."""
        give_up_at_s = time.perf_counter() + target.INSTANCES_S
        while time.perf_counter() < give_up_at_s:
            there = await asyncio.to_thread(at.instances)
            both = [
                {name for pid, name in there.items() if (pid in old) is is_old}
                for is_old in (True, False)
            ]
            if all(len(names) == len(topics.STAGES) for names in both):
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False


def _signal(pids: target.Instances, number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def failpoint_rounds(times: int, seed: int) -> Sequence[Failpoints]:
    """Return all failpoints of the functions, in groups whose deaths can be told apart."""
    inside = ("received", "after_begin", "after_claim", "before_commit", "after_commit")
    each = [
        Failpoints(
            f"kill at {place}",
            times,
            tuple(f"{stage.name}.{place}" for stage in topics.STAGES),
            seed,
        )
        for place in (*inside, "before_ack")
    ]
    alone = (
        "gateway.before_send",
        "gateway.after_send",
        "db.before_commit",
        "db.after_commit",
        "bus.before_publish",
        "bus.after_publish",
    )
    return [*each, *(Failpoints(f"kill at {place}", times, (place,), seed) for place in alone)]
