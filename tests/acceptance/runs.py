"""A run: tills that send, an engine that dies again and again and is started again, and the audit.

What happens is drawn from a seed. Processes and their timing are not in anybody's hand, so a seed
repeats the orders and the faults, and only about the moment.
"""

import asyncio
import contextlib
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from internal.checks import findings
from internal.client.access import Access
from internal.infra import settings
from internal.lab.chaos import clients, engine_process
from internal.lab.workload import generator, scenarios, verification
from internal.lab.workload.scenarios import Kind
from tests.acceptance import audit

KEY_FILE = "demo-api-key"
LIFE_S = 60.0
"""A failpoint that did not fire for so long is not on the way of these orders."""
WORK_S = 120.0
"""All orders are answered long before."""
QUIET_WITHIN_S = 60.0
"""Nothing may wait longer than this after the last fault."""
LAST_ORDERS = 30
"""So many are sent to an engine that was started for good."""

QUICK_MIX: scenarios.Mix = {
    Kind.AGAIN: 60,
    Kind.DECLINED: 60,
    Kind.SPLIT_DECLINED: 60,
    Kind.INVALID: 20,
    Kind.SCARCE: 20,
    Kind.REUSED: 15,
    Kind.SOLD_OUT: 20,
    Kind.PRICE_CHANGED: 10,
}
"""All that needs no waiting for the gateway."""
SLOW_MIX: scenarios.Mix = {**QUICK_MIX, Kind.LOST_ANSWER: 40}
"""With payments that are UNKNOWN for a while. What a gateway does once in each of our lives is left
out: after three of them the pause before the next try is as long as all may take."""


class Kill(msgspec.Struct, frozen=True):
    """A death from outside, so long after the tills have had so many answers."""

    after_answers: int
    delay_s: float

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing prepares it."""
        return {}

    async def happens(self, engine: engine_process.Engine, crew: clients.Crew) -> None:
        """Let it happen."""
        await crew.answered(self.after_answers)
        await asyncio.sleep(self.delay_s)
        engine.kill()


class Stop(msgspec.Struct, frozen=True):
    """An end in order: it is asked to stop while the tills go on sending."""

    after_answers: int

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing prepares it."""
        return {}

    async def happens(self, engine: engine_process.Engine, crew: clients.Crew) -> None:
        """Let it happen."""
        await crew.answered(self.after_answers)
        engine.terminate()


class Trouble(msgspec.Struct, frozen=True):
    """No death: named places raise or stand still for a while; in the end it is asked to stop."""

    failpoints: str
    after_answers: int

    @property
    def settings(self) -> Mapping[str, str]:
        """What arms them."""
        return engine_process.failing_at(self.failpoints)

    async def happens(self, engine: engine_process.Engine, crew: clients.Crew) -> None:
        """Let it happen."""
        await crew.answered(self.after_answers)
        engine.terminate()


class Failpoint(msgspec.Struct, frozen=True):
    """A death from within, at the n-th passage of a named place."""

    name: str
    passage: int

    @property
    def settings(self) -> Mapping[str, str]:
        """What arms it."""
        return engine_process.failing_at(f"{self.name}=kill@{self.passage}")

    async def happens(self, engine: engine_process.Engine, crew: clients.Crew) -> None:
        """Wait for it; the tills keep the engine busy meanwhile."""
        del engine, crew


Death = Kill | Stop | Trouble | Failpoint


class Options(msgspec.Struct, frozen=True):
    """What makes a run."""

    name: str
    seed: int
    deaths: tuple[Death, ...]
    orders_max: int
    """Sent at most while it dies."""
    orders_all: bool = False
    """Send all of them in any case."""
    mix: scenarios.Mix = msgspec.field(default_factory=lambda: QUICK_MIX)
    script: Path = engine_process.START
    settings: Mapping[str, str] = {}
    quiet_within_s: float = QUIET_WITHIN_S


class Story(msgspec.Struct, frozen=True):
    """What happened."""

    options: Options
    folder: Path
    log: clients.Log
    exits: tuple[int, ...]
    """How every life but the last one ended."""
    last_exit: int
    quiet_after_s: float
    findings: Sequence[findings.Finding]

    def sentences(self, invariant: str) -> set[str]:
        """Return what was found to be wrong with one invariant."""
        return {finding.sentence for finding in self.findings if finding.invariant == invariant}

    def told(self) -> str:
        """Tell it in a few lines, with all that is needed to repeat it."""
        log, options = self.log, self.options
        lines = [
            f"{options.name}: seed {options.seed}, commit {_commit()}, {options.orders_max} orders"
            f" at most, deaths: {'; '.join(map(str, options.deaths)) or 'none'}",
            f"{len(log.placed)} orders OK, {len(log.refused)} refused, {len(log.unsure)} unsure,"
            f" {log.retries.total()} repeated; {len(log.cancelled)} cancelled,"
            f" {len(log.not_cancelled)} too late; {len(log.told)} waited for;"
            f" exits {self.exits} and {self.last_exit};"
            f" quiet {self.quiet_after_s:.1f} s after the last answer",
        ]
        lines += [f"{f.invariant}: {f.sentence}: {f.count} {f.examples}" for f in self.findings]
        return "\n".join(lines)


Stories = Mapping[str, Story | BaseException]
StoryOf = Callable[[str], Story]


def access(folder: Path, address: str) -> Access:
    """Return what opens the door of an engine on this folder."""
    return Access(address, (folder / KEY_FILE).read_text())


async def crew_of(folder: Path, options: Options) -> clients.Crew:
    """Return tills that order from the shop in this folder."""
    sells = await verification.Books(settings.of_folder(folder), access(folder, "").api_key).shop()
    called = generator.Run(options.name, options.seed, options.mix)
    return clients.Crew(generator.stream(sells, called, options.orders_max), options.seed)


async def run(shop_folder: Path, folder: Path, options: Options) -> Story:
    """Run it, on a copy of a folder with a shop.

    Raises:
        TimeoutError: the engine that was started for good did not take all orders.
    """
    shutil.copytree(shop_folder, folder)
    crew = await crew_of(folder, options)
    lives = _Lives(folder, options, crew)
    async with clients.working(crew) as work:
        exits = [await lives.end_by(death) for death in options.deaths]
        if not options.orders_all:
            crew.finish(LAST_ORDERS)
        quiet_after_s, last_exit = await lives.end_well(work)
    found = await audit.check(folder, crew.log)
    return Story(options, folder, crew.log, tuple(exits), last_exit, quiet_after_s, found)


class _Lives:
    """The lives of one engine: one after the other, on one folder."""

    def __init__(self, folder: Path, options: Options, crew: clients.Crew) -> None:
        self._folder, self._options, self._crew = folder, options, crew

    async def end_by(self, death: Death) -> int:
        """Start an engine and return how it ended; 0 if it did not."""
        async with self._life(death.settings) as engine:
            try:
                async with asyncio.timeout(LIFE_S):
                    await death.happens(engine, self._crew)
                    return await engine.ended()
            except TimeoutError:
                return 0
            finally:
                self._crew.disconnect()

    async def end_well(self, work: asyncio.Task[None]) -> tuple[float, int]:
        """Start an engine, wait until all is done; return how long that took, and how it ended."""
        async with self._life({}) as engine:
            async with asyncio.timeout(WORK_S):
                await work
            within_s = self._options.quiet_within_s
            _, quiet_after_s = await audit.quiet(self._folder, self._crew.log, within_s)
            return quiet_after_s, await engine.stop()

    @contextlib.asynccontextmanager
    async def _life(self, settings: Mapping[str, str]) -> AsyncIterator[engine_process.Engine]:
        """Start an engine and let the tills send to it, unless it dies while it starts."""
        settings = {**self._options.settings, **settings}
        script = self._options.script
        async with engine_process.started(self._folder, script=script, settings=settings) as engine:
            if address := await engine.address():
                self._crew.connect(access(self._folder, address))
            yield engine


async def run_all(
    shop_folder: Path, folder: Path, wanted: Sequence[Options], at_once: int
) -> Stories:
    """Run several, a few at a time. One that breaks does not stop the others."""
    places = asyncio.Semaphore(at_once)

    async def one(options: Options) -> Story:
        async with places:
            return await run(shop_folder, folder / options.name, options)

    done = await asyncio.gather(*map(one, wanted), return_exceptions=True)
    return dict(zip((options.name for options in wanted), done, strict=True))


def random_kills(seed: int, orders_all: int, kills: int) -> tuple[Kill, ...]:
    """Draw moments all over a run of so many orders."""
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(orders_all // 20, orders_all * 9 // 10), kills))
    return tuple(Kill(moment, chance.uniform(0, 0.05)) for moment in moments)


def _commit() -> str:
    """Return the commit that is tested."""
    command = ["git", "-C", str(engine_process.ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
