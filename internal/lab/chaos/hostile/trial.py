"""A trial: an attack on an embedded engine of its own, while a good client works.

The good client's answers, the engine's memory and its standard error are compared with those of the
seconds before. The functions and the broker have no part in it, so no stack is needed.
"""

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path

import msgspec

from internal.auth import rules, store
from internal.auth.messages import Merchant
from internal.checks import findings
from internal.client import client
from internal.client.access import Access
from internal.infra import backends, clock, settings
from internal.kernel import errors, ids
from internal.lab import engine_process
from internal.lab.chaos import trial as chaos_trial
from internal.lab.chaos.hostile import attacks, costly_requests, good_client

INVARIANT = "door"
SLOWER_TIMES_MAX = 3.0
P99_FLOOR_MS = 100.0
"""A calm p99 below this counts as this: on 2 cores, the burst alone costs up to 208 ms."""
MEMORY_MB_MAX = 100
STANDARD_ERROR_BYTES_MAX = 64 * 1024
CALM_S = 4.0
SAMPLE_EVERY_S = 0.1
MB = 1_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Scenario(msgspec.Struct, frozen=True):
    """An attack, and what a good client may notice of it."""

    name: str
    attack: attacks.Attack


SCENARIOS = (
    Scenario("hostile: long texts", costly_requests.long_text),
    Scenario("hostile: many elements", costly_requests.many_elements),
    Scenario("hostile: headers only", attacks.headers_only),
    Scenario("hostile: all watches", costly_requests.watches),
    Scenario("hostile: long pages", costly_requests.long_pages),
    Scenario("hostile: wrong headers", attacks.wrong_headers),
    Scenario("hostile: burst", attacks.burst),
    Scenario("hostile: unread answers", attacks.unread_answers),
)


def chosen(only: Sequence[str]) -> list[Scenario]:
    """Return the scenarios whose names contain one of `only`; all of them if it is empty."""
    return [one for one in SCENARIOS if not only or any(word in one.name for word in only)]


class Observed(msgspec.Struct, frozen=True):
    """The figures of a trial."""

    before: good_client.Figures
    during: good_client.Figures
    memory_mb: float
    """The most that the engine's memory grew."""
    standard_error_bytes: int
    answers: Mapping[str, int]
    untyped: int
    others_refused: Sequence[str]


def harm(seen: Observed) -> list[findings.Finding]:
    """Return what a good client, another merchant or the machine suffered."""
    allowed_ms = SLOWER_TIMES_MAX * max(seen.before.p99_ms, P99_FLOOR_MS)
    is_slow = seen.during.p99_ms > allowed_ms
    slow = f"p99 {seen.before.p99_ms:.0f} ms before, {seen.during.p99_ms:.0f} ms during"
    refused = [f"{count} {name}" for name, count in seen.during.failed.items()]
    memory = f"{seen.memory_mb:.0f} MB more"
    noise = f"{seen.standard_error_bytes} bytes"
    found = [
        (SLOW, [slow] if is_slow else []),
        (REFUSED, refused),
        (UNTYPED, [str(dict(seen.answers))] if seen.untyped else []),
        (KEPT_OUT, list(seen.others_refused)),
        (MEMORY, [memory] if seen.memory_mb > MEMORY_MB_MAX else []),
        (NOISE, [noise] if seen.standard_error_bytes > STANDARD_ERROR_BYTES_MAX else []),
    ]
    return [
        findings.Finding(INVARIANT, sentence, len(examples), tuple(examples))
        for sentence, examples in found
        if examples
    ]


SLOW = "a good client's p99 stays within 3 times"
REFUSED = "a good client is served"
UNTYPED = "every refusal has a reason"
KEPT_OUT = "other merchants get in"
MEMORY = f"memory grows by no more than {MEMORY_MB_MAX} MB"
NOISE = "standard error stays small"


async def run(
    scenario: Scenario,
    seed: int,
    *,
    script: Path = engine_process.SCRIPT,
    variables: Mapping[str, str] | None = None,
    title: str = "",
) -> chaos_trial.Result:
    """Run a trial on an engine of its own; if it cannot be completed, the result says why.

    Args:
        scenario: the attack.
        seed: only told with the result: attacks are always the same.
        script: starts the engine.
        variables: added to the engine's environment.
        title: the result's name, if it is not the scenario's.
    """
    began_s = time.perf_counter()
    name = title or scenario.name
    try:
        with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
            seen = await _observe(scenario, Path(folder) / "data", script, variables or {})
    except (errors.SoukError, TimeoutError, OSError) as error:
        broke_off = str(error) or "no answer in time"
        return chaos_trial.Result(
            fault=name, seed=seed, commit=chaos_trial.commit(), took_s=0.0, broke_off=broke_off
        )
    return chaos_trial.Result(
        fault=name,
        seed=seed,
        commit=chaos_trial.commit(),
        took_s=time.perf_counter() - began_s,
        fired=_fired(seen),
        ok=seen.before.ok + seen.during.ok,
        is_quiet=True,
        findings=harm(seen),
    )


def _fired(seen: Observed) -> dict[str, int]:
    """Return the attack's answers, and the figures with them."""
    figures = {
        "p99 before, ms": round(seen.before.p99_ms),
        "p99 during, ms": round(seen.during.p99_ms),
        "memory, MB": round(seen.memory_mb),
    }
    return {**seen.answers, **figures}


async def _observe(
    scenario: Scenario, folder: Path, script: Path, variables: Mapping[str, str]
) -> Observed:
    async with engine_process.isolated(folder, settings=variables, script=script) as engine:
        address = await engine.address()
        if not address:
            raise errors.Misconfigured(f"the engine does not start: {engine.output.strip()}")
        attacker = engine_process.access_to(address, folder)
        victim = attacks.Victim(attacker, await _other(address, folder), "hostile")
        async with contextlib.aclosing(client.Client(attacker)) as connection:
            good = good_client.GoodClient(connection, await _order(connection))
            async with good.working():
                await asyncio.sleep(CALM_S)
            return await _attacked(scenario, engine, victim, good)


async def _attacked(
    scenario: Scenario,
    engine: engine_process.Engine,
    victim: attacks.Victim,
    good: good_client.GoodClient,
) -> Observed:
    before, said = good.figures(), len(engine.output)
    loop = asyncio.get_running_loop()
    with futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        # Started before it is measured.
        await loop.run_in_executor(apart, _nothing)
        async with _memory_of(engine.pid) as grown, good.working():
            tally = await loop.run_in_executor(apart, _attack, scenario.attack, victim)
    during = good.figures()
    return Observed(
        before=before,
        during=during,
        memory_mb=max(grown),
        standard_error_bytes=len(engine.output) - said,
        answers=dict(tally.answers),
        untyped=tally.untyped + during.untyped,
        others_refused=tally.others_refused,
    )


def _nothing() -> None:
    """Have the process import everything."""


def _attack(attack: attacks.Attack, victim: attacks.Victim) -> attacks.Tally:
    """Attack from a process apart, so that only the server can make the good client slow."""
    tally = attacks.Tally()
    asyncio.run(attack(victim, tally))
    return tally


async def _order(connection: client.Client) -> str:
    """Place the order that the good client reads; return its id."""
    order_id = "hostile.good"
    request = attacks.order_request(attacks.draft(order_id))
    reply = await connection.submit_order(request, attacks.CALL_S)
    if isinstance(reply, client.Failure):
        raise errors.Misconfigured(f"no order is accepted: {reply.code} {reply.text}")
    return order_id


async def _other(address: str, folder: Path) -> Access:
    """Make another merchant; return its way in."""
    key = rules.issue(ids.random_token(6), ids.random_token(32))
    merchant, now_us = Merchant("other", "Another shop"), clock.SystemClock().now_us()
    database = backends.open_database(settings.load(storage={"data_dir": folder}))
    try:
        await database.write(lambda c: store.add_merchant(c, merchant, key, now_us))
    finally:
        await database.close()
    return Access(address, key.secret)


@contextlib.asynccontextmanager
async def _memory_of(pid: int) -> AsyncIterator[list[float]]:
    """Yield a list that gets the growth of a process's memory, in MB, again and again."""
    began = _resident_bytes(pid)
    grown = [0.0]

    async def sample() -> None:
        while True:
            grown.append((_resident_bytes(pid) - began) / MB)
            await asyncio.sleep(SAMPLE_EVERY_S)

    sampling = asyncio.create_task(sample())
    try:
        yield grown
    finally:
        sampling.cancel()


def _resident_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * PAGE_BYTES
