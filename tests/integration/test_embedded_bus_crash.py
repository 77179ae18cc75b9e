"""`kill -9` of a process that publishes and consumes: nothing that had its receipt is lost.

Run as a script, this file is that process. What it says on standard output, one line at a time, is
the truth that the file is compared with afterwards.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from internal.infra import bus, failpoints
from internal.infra.embedded_bus.bus import EmbeddedBus
from internal.infra.sqlite import database as sqlite

TOPIC, SUBSCRIPTION = "orders.placed", "order_processing"
PUBLISHERS = 4
ROOT = Path(__file__).resolve().parents[2]
NOTICED_WITHIN_S = 1.5


# The process that dies


def say(what: str, number: int) -> None:
    """Write without a buffer: a killed process has said what it has said."""
    os.write(1, f"{what} {number}\n".encode())


async def publish_numbers(opened: bus.Bus, key: int, first: int, *, lies: bool) -> None:
    """Publish numbers of one key for ever, each after the receipt of the one before."""
    for number in range(first + key, sys.maxsize, PUBLISHERS):
        say("sent", number)
        if lies:
            say("receipt", number)
        await opened.publish([bus.Outgoing(TOPIC, str(key), str(number).encode())])
        say("receipt", number)


async def consume(opened: bus.Bus) -> None:
    """Acknowledge two of three messages, the others never."""
    subscription = await opened.subscribe([TOPIC], SUBSCRIPTION, unacked_messages_max=100_000)
    while True:
        got = await subscription.receive(7)
        done = [delivery for delivery in got if int(delivery.payload) % 3]
        await subscription.acknowledge(done)
        for delivery in done:
            say("acknowledged", int(delivery.payload))


async def live(path: Path, first: int, *, lies: bool) -> None:
    """Work until something kills us."""
    opened = EmbeddedBus(sqlite.SqliteDatabase(path))
    await opened.open()
    await opened.ensure({TOPIC: [SUBSCRIPTION]})
    publishers = (publish_numbers(opened, key, first, lies=lies) for key in range(PUBLISHERS))
    await asyncio.gather(consume(opened), *publishers)


async def publish_one(path: Path, number: int) -> None:
    """Do what the command line does: publish into a file that another process serves."""
    database = sqlite.SqliteDatabase(path)
    opened = EmbeddedBus(database)
    await opened.open()
    await opened.publish([bus.Outgoing(TOPIC, "0", str(number).encode())])
    await opened.close()
    await database.close()


def main(mode: str, path: Path, number: int) -> None:
    failpoints.arm(failpoints.from_environment())
    if mode == "publish-one":
        asyncio.run(publish_one(path, number))
    else:
        asyncio.run(live(path, number, lies=mode == "lie"))


# The test that watches it


class Witness(msgspec.Struct):
    """What the processes said before they died."""

    sent: set[int] = set()
    receipt: set[int] = set()
    acknowledged: set[int] = set()

    def note(self, line: bytes) -> None:
        what, number = line.decode().split()
        getattr(self, what).add(int(number))


def start(mode: str, path: Path, number: int, armed: str = "") -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SOUK_TESTING": "1",
        "SOUK_FAILPOINTS": armed,
    }
    command = [sys.executable, __file__, mode, str(path), str(number)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None
    yield from process.stdout


def die(process: subprocess.Popen[bytes], witness: Witness, after_lines: int) -> None:
    """Listen, kill it after so many lines (if it has not killed itself), and hear it out."""
    with process:
        for count, line in enumerate(lines_of(process)):
            if line.endswith(b"\n"):
                witness.note(line)
            if count == after_lines:
                process.kill()
    assert process.returncode == -signal.SIGKILL


async def drain(path: Path) -> list[bus.Delivery]:
    """Take everything that is left, acknowledge it, and see that then nothing is left."""
    database = sqlite.SqliteDatabase(path)
    opened = EmbeddedBus(database)
    await opened.open()
    left = await opened.backlog(TOPIC, SUBSCRIPTION)
    subscription = await opened.subscribe([TOPIC], SUBSCRIPTION, unacked_messages_max=100_000)
    got: list[bus.Delivery] = []
    async with asyncio.timeout(30):
        while len(got) < left:
            got += await subscription.receive(1_000)
    await subscription.acknowledge(got)
    await opened.close()
    again = EmbeddedBus(database)
    await again.open()
    assert await again.backlog(TOPIC, SUBSCRIPTION) == 0
    await again.close()
    await database.close()
    return got


def check(witness: Witness, left: list[bus.Delivery]) -> None:
    """Compare what is left in the file with what was said."""
    numbers = [int(delivery.payload) for delivery in left]
    missing = witness.receipt - witness.acknowledged - set(numbers)
    assert not missing, f"lost although their receipts were given: {sorted(missing)[:20]}"
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= witness.sent
    by_key = [(delivery.key, int(delivery.payload)) for delivery in left]
    assert sorted(by_key, key=lambda pair: pair[0]) == sorted(by_key)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "souk.db"


@pytest.mark.parametrize("lines", [(40, 500, 2_000), (3_000, 150, 20), (700, 701, 702)])
async def test_killed_three_times(path: Path, lines: tuple[int, ...]) -> None:
    witness = Witness()
    for turn, after_lines in enumerate(lines):
        die(start("live", path, turn * 1_000_000), witness, after_lines)
    assert len(witness.receipt) > 100
    assert len(witness.acknowledged) > 50
    check(witness, await drain(path))


@pytest.mark.parametrize(
    "place",
    [
        "bus.before_publish",
        "bus.after_publish",
        "bus.before_ack",
        "db.before_commit",
        "db.after_commit",
    ],
)
async def test_killed_at(path: Path, place: str) -> None:
    witness = Witness()
    for turn, passage in enumerate((60, 25)):
        process = start("live", path, turn * 1_000_000, f"{place}=kill@{passage}")
        die(process, witness, after_lines=100_000)
    assert len(witness.receipt) > 50
    check(witness, await drain(path))


async def test_the_check_sees_a_loss(path: Path) -> None:
    """The control: a process that gives receipts too early must be found out."""
    witness = Witness()
    die(start("lie", path, 0, "bus.before_publish=kill@30"), witness, after_lines=100_000)
    left = await drain(path)
    with pytest.raises(AssertionError, match="lost although"):
        check(witness, left)


async def test_another_process_publishes_what_this_one_serves(path: Path) -> None:
    database = sqlite.SqliteDatabase(path)
    opened = EmbeddedBus(database)
    await opened.open()
    subscription = await opened.subscribe([TOPIC], SUBSCRIPTION)
    process = start("publish-one", path, 42)
    await asyncio.to_thread(process.communicate)
    published_at = time.perf_counter()
    async with asyncio.timeout(NOTICED_WITHIN_S):
        [delivery] = await subscription.receive(1)
    assert time.perf_counter() - published_at < NOTICED_WITHIN_S
    assert (process.returncode, delivery.payload) == (0, b"42")
    await opened.close()
    await database.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
