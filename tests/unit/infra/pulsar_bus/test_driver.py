"""The official client: its log, its threads, and its messages one by one."""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from internal.infra.pulsar_bus import driver
from internal.kernel import errors
from tests.support import no_pulsar


def test_the_client_writes_nothing_to_standard_output(tmp_path: Path) -> None:
    """Its own words are in the file that is named, or nowhere."""
    program = f"""
import pathlib
from internal.infra import settings
from internal.infra.pulsar_bus import driver

options = settings.PulsarSettings(**{no_pulsar.NOWHERE.model_dump()!r})
client = driver.open_client(options, pathlib.Path({str(tmp_path / "log")!r}))
try:
    client.create_producer("t")
except driver.PulsarException:
    print("away")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"away\n", b"")
    assert "127.0.0.1:1" in (tmp_path / "log").read_text()


async def test_many_results_wake_the_loop_once() -> None:
    processed: list[list[object]] = []

    def process() -> None:
        processed.append(list(hand_over.results))
        hand_over.results.clear()

    hand_over = driver.HandOver(process)
    for number in range(5):
        hand_over.came(number)
    await asyncio.sleep(0)
    await asyncio.to_thread(hand_over.came, 5)
    await asyncio.sleep(0)
    assert processed == [[0, 1, 2, 3, 4], [5]]


async def test_a_result_after_the_loop_is_closed_is_dropped() -> None:
    """An exception in a callback would end the process."""

    async def make() -> driver.HandOver:
        return driver.HandOver(lambda: None)

    made = await asyncio.to_thread(lambda: asyncio.run(make()))
    made.came("too late")


class Source:
    """Answers a pull on the spot while it has messages; the last asker waits."""

    def __init__(self, *messages: str) -> None:
        self.messages = deque[str](messages)
        self.waiting: list[Callable[[Any, Any], None]] = []

    def ask(self, answer: Callable[[Any, Any], None]) -> None:
        if self.messages:
            answer(driver.Result.Ok, self.messages.popleft())
        else:
            self.waiting.append(answer)


async def test_a_pull_asks_for_one_message_at_a_time() -> None:
    woken = asyncio.Event()
    source = Source("a", "b")
    pull = driver.Pull(source.ask, driver.HandOver(woken.set))
    assert [pull.take() for _ in range(4)] == ["a", "b", None, None]
    assert len(source.waiting) == 1
    assert not woken.is_set()
    await asyncio.to_thread(source.waiting.pop(), driver.Result.Ok, "c")
    await asyncio.wait_for(woken.wait(), no_pulsar.TIMEOUT_S)
    assert [pull.take(), pull.take()] == ["c", None]
    source.waiting.pop()(driver.Result.AlreadyClosed, None)
    with pytest.raises(errors.BusAway, match="AlreadyClosed"):
        pull.take()
