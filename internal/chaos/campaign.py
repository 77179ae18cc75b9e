"""Which faults are tried, in which order, and what is broken on purpose to see that it is found."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from internal.chaos import faults, ground, injected, trial
from internal.pipeline import flow

QUICK_KILLS, CAMPAIGN_KILLS = 3, 50
DOOR_PLACES = ("bus.before_publish", "bus.after_publish")

Done = Callable[[trial.Result], None]


class Size(NamedTuple):
    """How often."""

    kills: int
    """At each failpoint."""
    times: int
    """Each of the other faults."""


QUICK, CAMPAIGN = Size(QUICK_KILLS, 1), Size(CAMPAIGN_KILLS, 5)


def all_faults(size: Size, seed: int) -> list[faults.Fault]:
    """Return every fault, the hardest last."""
    return [
        *faults.failpoint_rounds(size.kills, seed),
        *(
            faults.DoorFailpoint(f"intake: kill at {place}", size.kills, place, seed)
            for place in DOOR_PLACES
        ),
        faults.KillDoor("intake: kill -9", size.kills),
        *(
            faults.KillFunction(f"{stage.name}: kill -9", size.times, stage.name, seed)
            for stage in flow.STAGES
        ),
        injected.Poison("poison and oversize", seed),
        injected.Copies("copies in any order, old versions", seed),
        faults.KillPart("database: kill -9", size.times, ground.MYSQL),
        faults.PauseDatabase("database: paused 30 s", size.times),
        faults.KillPart("broker: kill -9", size.times, ground.PULSAR),
        faults.Twins("broker: kill -9, old instances live on", size.times),
    ]


def chosen(size: Size, seed: int, only: Sequence[str]) -> Iterator[faults.Fault]:
    """Yield the faults whose names hold one of `only`; all of them without."""
    for fault in all_faults(size, seed):
        if not only or any(word in fault.name for word in only):
            yield fault


async def run(
    at: ground.Ground, wanted: Sequence[faults.Fault], seed: int
) -> AsyncIterator[trial.Result]:
    """Try one fault after the other on the same ground."""
    for fault in wanted:
        yield await trial.run(at, trial.Plan(fault, seed))
