"""The closed loop keeps N calls open, the open loop keeps to its clock."""

import asyncio
import itertools
import time

import pytest

from internal.lab.workload import pacing


async def test_closed_loop_sends_all_and_never_more_at_once() -> None:
    sent: list[int] = []
    now_open = most_open = 0

    async def send(number: int, _: float) -> None:
        nonlocal now_open, most_open
        now_open += 1
        most_open = max(most_open, now_open)
        await asyncio.sleep(0.001)
        now_open -= 1
        sent.append(number)

    await pacing.closed_loop(range(50), send, 7)
    assert sorted(sent) == list(range(50))
    assert most_open == 7


async def test_open_loop_passes_due_times_however_long_calls_take() -> None:
    due_s: list[float] = []
    started_s = time.perf_counter()

    async def send(_: int, due: float) -> None:
        due_s.append(due - started_s)
        await asyncio.sleep(0.05)

    await pacing.open_loop(range(20), send, 200, 100)
    steps = [after - before for before, after in itertools.pairwise(due_s)]
    assert steps == pytest.approx([0.005] * 19)


async def test_open_loop_waits_for_a_place_but_counts_from_the_due_time() -> None:
    late_s: list[float] = []

    async def send(_: int, due: float) -> None:
        late_s.append(time.perf_counter() - due)
        await asyncio.sleep(0.02)

    await pacing.open_loop(range(5), send, 10_000, 1)
    assert late_s == sorted(late_s)
    assert late_s[-1] > 0.07


async def fail_third(number: int, _: float) -> None:
    await asyncio.sleep(0)
    if number == 3:
        raise TimeoutError("the third")


async def test_first_error_ends_the_open_loop() -> None:
    with pytest.raises(TimeoutError, match="the third"):
        await pacing.open_loop(range(10**9), fail_third, 1_000, 5)


async def test_first_error_ends_the_closed_loop() -> None:
    with pytest.raises(TimeoutError, match="the third"):
        await pacing.closed_loop(range(10**9), fail_third, 2)
