"""The embedded bus keeps the contract of every bus, and guarantees of its own."""

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from internal.infra import bus, db, failpoints
from internal.infra.embedded_bus import bus as embedded_bus
from internal.infra.embedded_bus import values
from internal.infra.sqlite import database as sqlite
from internal.kernel import clock, errors
from tests.contract import bus_contract

SMALL = values.Limits(
    ready_messages_max=4,
    ready_bytes_max=200,
    tail_messages_max=3,
    batch_messages_max=3,
    batch_bytes_max=200,
    queue_messages_max=5,
    trim_messages=2,
    acknowledge_after_s=0.001,
    try_again_after_s=0.01,
    notice_every_s=0.02,
)
"""So small that every test reaches every limit."""


class FileHome:
    """A database file and the connections to it."""

    def __init__(self, path: Path, limits: values.Limits | None = None) -> None:
        self.path = path
        self.database: db.Database = sqlite.SqliteDatabase(path)
        self.clock = clock.ManualClock()
        self._limits = limits

    async def open(self) -> embedded_bus.EmbeddedBus:
        opened = embedded_bus.EmbeddedBus(self.database, self.clock, self._limits)
        await opened.open()
        return opened

    async def close(self) -> None:
        await self.database.close()

    async def count_kept(self) -> int:
        query = sa.text("SELECT count(*) FROM bus_messages")
        return int(await self.database.read(lambda it: it.execute(query).scalar_one()))


@pytest.fixture(params=[values.Limits(), SMALL], ids=["limits", "small-limits"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileHome]:
    made = FileHome(tmp_path / "souk.db", request.param)
    yield made
    await made.close()


@pytest.fixture
async def neighbour(home: FileHome) -> AsyncIterator[embedded_bus.EmbeddedBus]:
    """A bus as another process would open it: same file, other connections."""
    other = FileHome(home.path)
    opened = await other.open()
    yield opened
    await opened.close()
    await other.close()


@pytest.fixture
async def the_bus(home: FileHome) -> AsyncIterator[embedded_bus.EmbeddedBus]:
    opened = await home.open()
    yield opened
    await opened.close()


@pytest.fixture
def failing() -> Iterator[None]:
    """Disarm what a test arms."""
    yield
    failpoints.arm({})


def arm(text: str) -> None:
    failpoints.arm(failpoints.parse(text))


class TestContract(bus_contract.BusContract):
    """With the default limits, and with small ones."""


class EmbeddedMachine(bus_contract.BusMachine):
    """Also lets another process publish, and the database fail after a commit."""

    def new_home(self) -> bus_contract.Home:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "souk.db"
        self.neighbour = FileHome(path)
        return FileHome(path, SMALL)

    @rule(keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    def neighbour_publishes(self, keys: list[str]) -> None:
        async def publish() -> None:
            opened = await self.neighbour.open()
            await opened.publish(self.messages(keys))
            await opened.close()

        self.run(publish())

    @rule(keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=2))
    def publish_without_receipt(self, keys: list[str]) -> None:
        arm("bus.after_publish=raise")
        with pytest.raises(errors.BusAway):
            self.run(self.bus.publish(self.messages(keys)))
        failpoints.arm({})

    @invariant()
    def orders_are_counted_too(self) -> None:
        async def orders(name: str) -> int:
            told = await self.bus.subscriptions([self.topic])
            return next(it.orders for it in told if it.name == name)

        for name, owed in self.unacked.items():
            self.run(bus_contract.becomes(functools.partial(orders, name), len(owed)))

    def teardown(self) -> None:
        super().teardown()
        asyncio.run(self.neighbour.close())
        self.directory.cleanup()


TestMachine = EmbeddedMachine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


async def test_a_bus_that_is_not_open_does_nothing(home: FileHome) -> None:
    closed = embedded_bus.EmbeddedBus(home.database)
    with pytest.raises(errors.BusAway):
        await closed.publish(bus_contract.outgoing("t", 1))
    with pytest.raises(errors.BusAway):
        await closed.tail(["t"])
    await closed.close()


async def test_a_newer_file_is_refused(home: FileHome) -> None:
    await (await home.open()).close()
    newer = sa.text("UPDATE bus_schema SET version = 99")
    await home.database.write(lambda it: it.execute(newer))
    with pytest.raises(errors.Misconfigured, match="99"):
        await home.open()


@pytest.mark.parametrize(
    "message",
    [
        bus.Outgoing("t", "nul\0", b""),
        bus.Outgoing("half\ud800", "k", b""),
        bus.Outgoing("t", "k", b"", {"half": "\udfff"}),
        bus.Outgoing("t", "k", b"", {"number": 1}),  # type: ignore[dict-item] # that is the point
    ],
)
async def test_invalid_text_is_poison_for_its_publisher_only(
    the_bus: embedded_bus.EmbeddedBus, message: bus.Outgoing
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    good = asyncio.create_task(the_bus.publish(bus_contract.outgoing("t", 1)))
    with pytest.raises(errors.Poison):
        await the_bus.publish([*bus_contract.outgoing("t", 2), message])
    await good
    assert bus_contract.numbers_of(await bus_contract.take(subscription, 1)) == [1]
    assert await bus_contract.comes_nothing(subscription)


async def test_orders_and_ages_are_counted_with_and_without_a_consumer(
    home: FileHome, the_bus: embedded_bus.EmbeddedBus
) -> None:
    await the_bus.ensure({"t": ["stage"]})

    async def standing() -> tuple[int, int, int]:
        (told,) = await the_bus.subscriptions(["t"])
        assert told.messages == await the_bus.backlog("t", "stage")
        return told.messages, told.orders, told.oldest_age_us

    assert await standing() == (0, 0, 0)
    for orders in ("5", "70", "nonsense", "9" * 5_000):
        await the_bus.publish([bus.Outgoing("t", "k", b"x" * 100, {"orders": orders})])
        home.clock.advance_us(10)
    assert await standing() == (4, 77, 40)
    subscription = await the_bus.subscribe(["t"], "stage")
    assert await standing() == (4, 77, 40)
    got = await bus_contract.take(subscription, 4)
    await subscription.acknowledge([got[0], got[2]])
    assert await standing() == (2, 71, 30)
    await subscription.acknowledge(got)
    assert await standing() == (0, 0, 0)


async def test_a_message_that_is_not_out_cannot_be_acknowledged(
    the_bus: embedded_bus.EmbeddedBus,
) -> None:
    one, two = [await the_bus.subscribe(["t"], name) for name in ("one", "two")]
    await the_bus.publish(bus_contract.outgoing("t", 1))
    tail = await the_bus.tail(["elsewhere"])
    await the_bus.publish(bus_contract.outgoing("elsewhere", 2))
    await two.acknowledge(await bus_contract.take(one, 1) + await tail.receive(1))
    assert await the_bus.backlog("t", "one") == 1
    assert await the_bus.backlog("t", "two") == 1


async def test_redeliveries_are_counted(the_bus: embedded_bus.EmbeddedBus) -> None:
    for expected in range(3):
        subscription = await the_bus.subscribe(["t"], "stage")
        if expected == 0:
            await the_bus.publish(bus_contract.outgoing("t", 1))
        [delivery] = await bus_contract.take(subscription, 1)
        assert delivery.redeliveries == expected
        await subscription.close()


async def test_messages_that_all_acknowledged_are_deleted(
    home: FileHome, the_bus: embedded_bus.EmbeddedBus
) -> None:
    fast = await the_bus.subscribe(["t"], "fast")
    slow = await the_bus.subscribe(["t"], "slow")
    for start in range(0, 2_000, 100):
        await the_bus.publish(bus_contract.outgoing("t", *range(start, start + 100)))
        await fast.acknowledge(await bus_contract.take(fast, 100))
    assert await home.count_kept() == 2_000
    await slow.acknowledge(await bus_contract.take(slow, 1_000))
    await bus_contract.becomes(home.count_kept, 1_000)
    await slow.acknowledge(await bus_contract.take(slow, 1_000))
    await bus_contract.becomes(home.count_kept, 0)


async def test_messages_that_only_a_dropped_subscription_kept_are_deleted(
    home: FileHome, the_bus: embedded_bus.EmbeddedBus
) -> None:
    reader = await the_bus.subscribe(["t"], "stage")
    await the_bus.ensure({"t": ["forgotten"]})
    await the_bus.publish(bus_contract.outgoing("t", *range(1_000)))
    home.clock.advance_us(7)
    (forgotten, _) = sorted(await the_bus.subscriptions(["t"]), key=lambda it: it.name)
    assert (forgotten.messages, forgotten.oldest_age_us, forgotten.consumers) == (1_000, 7, 0)
    await reader.acknowledge(await bus_contract.take(reader, 700))
    await the_bus.drop("t", "forgotten")
    await bus_contract.becomes(home.count_kept, 300)
    await the_bus.drop("t", "stage")
    await bus_contract.becomes(home.count_kept, 0)
    with pytest.raises(errors.BusAway, match="stage was dropped"):
        await reader.receive(1)


async def test_the_file_stops_growing(home: FileHome, the_bus: embedded_bus.EmbeddedBus) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    most = 0
    for start in range(0, 3_000, 30):
        await the_bus.publish(bus_contract.outgoing("t", *range(start, start + 30)))
        await subscription.acknowledge(await bus_contract.take(subscription, 30))
        most = max(most, await home.count_kept())
    assert most <= 600


async def test_leftovers_of_an_earlier_run_are_deleted(home: FileHome) -> None:
    first = await home.open()
    subscription = await first.subscribe(["t"], "stage")
    await first.publish(bus_contract.outgoing("t", *range(20)))
    await subscription.acknowledge(await bus_contract.take(subscription, 20))
    await first.close()
    second = await home.open()
    await bus_contract.becomes(home.count_kept, 0)
    await second.close()


async def test_acknowledgements_are_written_without_publications(
    the_bus: embedded_bus.EmbeddedBus, neighbour: embedded_bus.EmbeddedBus
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    await the_bus.publish(bus_contract.outgoing("t", 1, 2))
    await neighbour.ensure({"t": ["stage"]})
    got = await bus_contract.take(subscription, 2)
    assert await neighbour.backlog("t", "stage") == 2
    await subscription.acknowledge(got[1:])
    await bus_contract.becomes(lambda: neighbour.backlog("t", "stage"), 1)


async def test_messages_of_another_process_are_noticed(
    the_bus: embedded_bus.EmbeddedBus, neighbour: embedded_bus.EmbeddedBus
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    await the_bus.publish(bus_contract.outgoing("t", 1, keys=1))
    await neighbour.publish(bus_contract.outgoing("t", 2, keys=1))
    async with asyncio.timeout(1.5):
        assert bus_contract.numbers_of(await bus_contract.take(subscription, 2)) == [1, 2]
    await neighbour.publish(bus_contract.outgoing("t", 3, keys=1))
    await the_bus.publish(bus_contract.outgoing("t", 4, keys=1))
    assert bus_contract.numbers_of(await bus_contract.take(subscription, 2)) == [3, 4]
    assert await the_bus.backlog("t", "stage") == 4


async def test_a_subscription_that_another_process_made_is_kept_for(
    the_bus: embedded_bus.EmbeddedBus, neighbour: embedded_bus.EmbeddedBus
) -> None:
    await neighbour.ensure({"t": ["stage"]})
    await the_bus.publish(bus_contract.outgoing("t", 1))
    assert await neighbour.backlog("t", "stage") == 1


async def test_a_slow_tail_loses_the_oldest(home: FileHome) -> None:
    opened = embedded_bus.EmbeddedBus(home.database, limits=SMALL)
    await opened.open()
    tail = await opened.tail(["t"])
    await opened.publish(bus_contract.outgoing("t", *range(10)))
    assert bus_contract.numbers_of(await tail.receive(10)) == [7, 8, 9]
    assert tail.dropped_messages == 7
    await opened.close()


@pytest.mark.usefixtures("failing")
async def test_no_receipt_while_the_database_is_away(
    the_bus: embedded_bus.EmbeddedBus,
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    arm("db.before_commit=raise@1-1000")
    calls = [the_bus.publish(bus_contract.outgoing("t", n)) for n in range(5)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [errors.BusAway] * 5
    failpoints.arm({})
    await the_bus.publish(bus_contract.outgoing("t", 9))
    assert bus_contract.numbers_of(await bus_contract.take(subscription, 1)) == [9]
    assert await bus_contract.comes_nothing(subscription)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("place", "copies_max"),
    [("bus.after_publish=raise", 1), ("db.after_commit=raise@1-1000", 100)],
)
async def test_a_lost_receipt_is_not_a_lost_message(
    the_bus: embedded_bus.EmbeddedBus, place: str, copies_max: int
) -> None:
    """If the database's receipt is lost, the database itself retries."""
    subscription = await the_bus.subscribe(["t"], "stage")
    arm(place)
    with pytest.raises(errors.BusAway):
        await the_bus.publish(bus_contract.outgoing("t", 1))
    failpoints.arm({})
    await the_bus.publish(bus_contract.outgoing("t", 2))
    copies = await the_bus.backlog("t", "stage") - 1
    assert 1 <= copies <= copies_max
    got = bus_contract.numbers_of(await bus_contract.take(subscription, copies + 1))
    assert got == [1] * copies + [2]


@pytest.mark.usefixtures("failing")
async def test_an_acknowledgement_not_taken_can_be_repeated(
    the_bus: embedded_bus.EmbeddedBus,
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    await the_bus.publish(bus_contract.outgoing("t", 1))
    got = await bus_contract.take(subscription, 1)
    arm("bus.before_ack=raise")
    with pytest.raises(errors.BusAway):
        await subscription.acknowledge(got)
    assert await the_bus.backlog("t", "stage") == 1
    await subscription.acknowledge(got)
    assert await the_bus.backlog("t", "stage") == 0


@pytest.mark.usefixtures("failing")
async def test_acknowledgements_survive_a_database_that_is_away_for_a_while(
    the_bus: embedded_bus.EmbeddedBus, neighbour: embedded_bus.EmbeddedBus
) -> None:
    subscription = await the_bus.subscribe(["t"], "stage")
    await the_bus.publish(bus_contract.outgoing("t", 1))
    await neighbour.ensure({"t": ["stage"]})
    got = await bus_contract.take(subscription, 1)
    arm("db.before_commit=raise@1-7")
    await subscription.acknowledge(got)
    await bus_contract.becomes(lambda: neighbour.backlog("t", "stage"), 0)


class WatchedDatabase:
    """A database whose transactions are counted, and can be delayed or broken."""

    def __init__(self, database: db.Database) -> None:
        self._database = database
        self.writes = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.bug: Exception | None = None

    async def write(self, work: db.Work[db.T], *, is_quick: bool = False) -> db.T:
        self.writes += 1
        await self.gate.wait()
        if self.bug is not None:
            raise self.bug
        return await self._database.write(work, is_quick=is_quick)

    async def read(
        self, work: db.Work[db.T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> db.T:
        return await self._database.read(work, is_quick=is_quick, limit_s=limit_s)

    async def close(self) -> None:
        await self._database.close()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[WatchedDatabase]:
    made = WatchedDatabase(sqlite.SqliteDatabase(tmp_path / "souk.db"))
    yield made
    await made.close()


async def test_concurrent_publishers_share_a_transaction(watched: WatchedDatabase) -> None:
    opened = embedded_bus.EmbeddedBus(watched)
    await opened.open()
    await opened.ensure({"t": ["stage"]})
    watched.writes = 0
    calls = [opened.publish(bus_contract.outgoing("t", n)) for n in range(100)]
    await asyncio.gather(*calls)
    assert watched.writes == 1
    assert await opened.backlog("t", "stage") == 100
    await opened.close()


async def test_publishers_wait_while_the_queue_is_full(watched: WatchedDatabase) -> None:
    limits = values.Limits(queue_messages_max=10, batch_messages_max=4)
    opened = embedded_bus.EmbeddedBus(watched, limits=limits)
    await opened.open()
    await opened.ensure({"t": ["stage"]})
    watched.gate.clear()
    calls = [asyncio.create_task(opened.publish(bus_contract.outgoing("t", n))) for n in range(50)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert opened._writer._queued_messages <= limits.queue_messages_max
    watched.gate.set()
    await asyncio.gather(*calls)
    assert await opened.backlog("t", "stage") == 50
    await opened.close()


async def test_a_long_publication_is_cut_into_transactions(watched: WatchedDatabase) -> None:
    opened = embedded_bus.EmbeddedBus(watched, limits=SMALL)
    await opened.open()
    subscription = await opened.subscribe(["t"], "stage")
    watched.writes = 0
    await opened.publish(bus_contract.outgoing("t", *range(10)))
    assert watched.writes >= 4
    assert bus_contract.numbers_of(await bus_contract.take(subscription, 10)) == list(range(10))
    await opened.close()


async def test_waiting_messages_are_written_before_the_bus_closes(watched: WatchedDatabase) -> None:
    opened = embedded_bus.EmbeddedBus(watched)
    await opened.open()
    await opened.ensure({"t": ["stage"]})
    watched.gate.clear()
    calls = [asyncio.create_task(opened.publish(bus_contract.outgoing("t", n))) for n in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(opened.close())
    await asyncio.sleep(0)
    watched.gate.set()
    await closing
    await asyncio.gather(*calls)
    again = embedded_bus.EmbeddedBus(watched)
    await again.open()
    assert await again.backlog("t", "stage") == 3
    await again.close()


async def test_a_bug_ends_the_bus_for_every_caller(watched: WatchedDatabase) -> None:
    opened = embedded_bus.EmbeddedBus(watched)
    await opened.open()
    subscription = await opened.subscribe(["t"], "stage")
    waiting = asyncio.create_task(subscription.receive(1))
    watched.bug = ZeroDivisionError("a bug")
    with pytest.raises(errors.BusAway):
        await opened.publish(bus_contract.outgoing("t", 1))
    with pytest.raises(errors.BusAway, match="a bug"):
        await waiting
    with pytest.raises(errors.BusAway, match="a bug"):
        await opened.publish(bus_contract.outgoing("t", 2))
    await opened.close()
