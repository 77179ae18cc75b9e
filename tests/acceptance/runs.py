"""A run: clients that send, an engine that dies again and again and is restarted, and the audit.

Orders and faults are drawn from a seed. The timing of processes cannot be controlled, so a seed
repeats the orders and the faults exactly, and their moments approximately.
"""

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from internal.checks import findings
from internal.infra import settings
from internal.lab import engine_process
from internal.lab.chaos import clients, trial
from internal.lab.workload import generator, scenarios, verification
from internal.lab.workload.scenarios import Kind
from tests.acceptance import audit

RUN_S = 60.0
"""A failpoint that did not fire for this long is not on the path of these orders."""
WORK_S = 120.0
"""All orders are answered long before."""
QUIET_WITHIN_S = 60.0
"""Nothing may wait longer than this after the last fault."""
LAST_ORDERS = 30
"""How many orders are sent to the last engine, which is not killed."""

SLOW_MIX: scenarios.Mix = {**trial.MIX, Kind.LOST_ANSWER: 40}
"""With payments that are UNKNOWN for a while. Faults that the simulator repeats in each process are
left out: after three of them the pause before the next try is as long as all may take."""


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL, `delay_s` after the clients have had `after_answers` answers."""

    after_answers: int
    delay_s: float

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing prepares it."""
        return {}

    async def happens(self, engine: engine_process.Engine, pool: clients.ClientPool) -> None:
        """Let it happen."""
        await pool.answered(self.after_answers)
        await asyncio.sleep(self.delay_s)
        engine.kill()


class Stop(msgspec.Struct, frozen=True):
    """A graceful stop: the engine is asked to stop while the clients go on sending."""

    after_answers: int

    @property
    def settings(self) -> Mapping[str, str]:
        """No settings are needed."""
        return {}

    async def happens(self, engine: engine_process.Engine, pool: clients.ClientPool) -> None:
        """Stop the engine."""
        await pool.answered(self.after_answers)
        engine.terminate()


class Trouble(msgspec.Struct, frozen=True):
    """No crash: failpoints raise or block for a while; at the end the engine is asked to stop."""

    failpoints: str
    after_answers: int

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings that arm the failpoints."""
        return engine_process.armed(self.failpoints)

    async def happens(self, engine: engine_process.Engine, pool: clients.ClientPool) -> None:
        """Stop the engine."""
        await pool.answered(self.after_answers)
        engine.terminate()


class Failpoint(msgspec.Struct, frozen=True):
    """A crash from within, at the n-th passage of a failpoint."""

    name: str
    passage: int

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings that arm the failpoint."""
        return engine_process.armed(f"{self.name}=kill@{self.passage}")

    async def happens(self, engine: engine_process.Engine, pool: clients.ClientPool) -> None:
        """Do nothing: the clients keep the engine busy until the failpoint fires."""
        del engine, pool


Ending = Kill | Stop | Trouble | Failpoint


class Options(msgspec.Struct, frozen=True):
    """The options of a run."""

    name: str
    seed: int
    endings: tuple[Ending, ...]
    orders_max: int
    """Limit of the orders sent while the engine is ended again and again."""
    orders_all: bool = False
    """Send all of them in any case."""
    mix: scenarios.Mix = msgspec.field(default_factory=lambda: trial.MIX)
    script: Path = engine_process.SCRIPT
    settings: Mapping[str, str] = {}
    quiet_within_s: float = QUIET_WITHIN_S


class RunResult(msgspec.Struct, frozen=True):
    """The result of a run."""

    options: Options
    folder: Path
    log: clients.Log
    exits: tuple[int, ...]
    """The exit codes of all engines but the last."""
    last_exit: int
    quiet_after_s: float
    findings: Sequence[findings.Finding]

    def sentences(self, invariant: str) -> set[str]:
        """Return the sentences of one invariant that do not hold."""
        return {finding.sentence for finding in self.findings if finding.invariant == invariant}

    def told(self) -> str:
        """Describe the result in a few lines, with everything that is needed to repeat the run."""
        log, options = self.log, self.options
        lines = [
            f"{options.name}: seed {options.seed}, commit {trial.commit()},"
            f" {options.orders_max} orders at most,"
            f" endings: {'; '.join(map(str, options.endings)) or 'none'}",
            f"{len(log.placed)} orders OK, {len(log.refused)} refused, {len(log.unsure)} unsure,"
            f" {log.retries.total()} repeated; {len(log.cancelled)} cancelled,"
            f" {len(log.not_cancelled)} too late; {len(log.ends)} waited for;"
            f" exits {self.exits} and {self.last_exit};"
            f" quiet {self.quiet_after_s:.1f} s after the last answer",
        ]
        lines += [f"{f.invariant}: {f.sentence}: {f.count} {f.examples}" for f in self.findings]
        return "\n".join(lines)


RunResults = Mapping[str, RunResult | BaseException]
ResultOf = Callable[[str], RunResult]


async def pool_of(folder: Path, options: Options) -> clients.ClientPool:
    """Return clients that order from the shop in this folder."""
    api_key = engine_process.access_to("", folder).api_key
    sells = await verification.Records(settings.of_folder(folder), api_key).shop()
    spec = generator.RunSpec(options.name, options.seed, options.mix)
    return clients.ClientPool(generator.stream(sells, spec, options.orders_max), options.seed)


async def run(shop_folder: Path, folder: Path, options: Options) -> RunResult:
    """Do a run on a copy of a folder with a shop.

    Raises:
        TimeoutError: the last engine did not accept all orders in time.
    """
    shutil.copytree(shop_folder, folder)
    pool = await pool_of(folder, options)
    engines = _Engines(folder, options, pool)
    async with clients.working(pool) as work:
        exits = [await engines.end_by(ending) for ending in options.endings]
        if not options.orders_all:
            pool.finish(LAST_ORDERS)
        quiet_after_s, last_exit = await engines.end_well(work)
    found = await audit.check(folder, pool.log)
    return RunResult(options, folder, pool.log, tuple(exits), last_exit, quiet_after_s, found)


class _Engines:
    """The engines of a run: one after the other, on one folder."""

    def __init__(self, folder: Path, options: Options, pool: clients.ClientPool) -> None:
        self._folder, self._options, self._pool = folder, options, pool

    async def end_by(self, ending: Ending) -> int:
        """Start an engine and return its exit code; 0 if it did not end."""
        async with self._engine(ending.settings) as engine:
            try:
                async with asyncio.timeout(RUN_S):
                    await ending.happens(engine, self._pool)
                    return await engine.ended()
            except TimeoutError:
                return 0
            finally:
                self._pool.disconnect()

    async def end_well(self, work: asyncio.Task[None]) -> tuple[float, int]:
        """Start the last engine, wait until no work is left; return the time and the exit code."""
        async with self._engine({}) as engine:
            async with asyncio.timeout(WORK_S):
                await work
            within_s = self._options.quiet_within_s
            _, quiet_after_s = await audit.quiet(self._folder, self._pool.log, within_s)
            return quiet_after_s, await engine.stop()

    @contextlib.asynccontextmanager
    async def _engine(self, settings: Mapping[str, str]) -> AsyncIterator[engine_process.Engine]:
        """Start an engine and let the clients send to it, unless it dies during its start."""
        settings = {**self._options.settings, **settings}
        script = self._options.script
        async with engine_process.isolated(
            self._folder, script=script, settings=settings
        ) as engine:
            if address := await engine.address():
                self._pool.connect(engine_process.access_to(address, self._folder))
            yield engine


async def run_all(
    shop_folder: Path, folder: Path, wanted: Sequence[Options], at_once: int
) -> RunResults:
    """Do several runs, a few at a time. One that fails does not stop the others."""
    places = asyncio.Semaphore(at_once)

    async def one(options: Options) -> RunResult:
        async with places:
            return await run(shop_folder, folder / options.name, options)

    done = await asyncio.gather(*map(one, wanted), return_exceptions=True)
    return dict(zip((options.name for options in wanted), done, strict=True))


def random_kills(seed: int, orders_all: int, kills: int) -> tuple[Kill, ...]:
    """Draw moments for kills, spread over a run of `orders_all` orders."""
    rng = random.Random(seed)
    moments = sorted(rng.sample(range(orders_all // 20, orders_all * 9 // 10), kills))
    return tuple(Kill(moment, rng.uniform(0, 0.05)) for moment in moments)
