"""Orders that kill the process are counted out, and only they. A process is a runner that ends."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from internal.flow import topics
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.orders import messages
from internal.pipeline import crash_counts, crash_suspects, dead_letters, envelope, handler, runner
from internal.privacy.messages import Private
from tests.support import ports, shop, staged_orders

PATIENCE_S = 5.0
PATIENT = 1_000_000
BATCH = 100


class Died(BaseException):
    """What a test can do instead of a segfault."""


class NotedOrders:
    """Settles orders; a note says which of them kill the process, and where."""

    spec = topics.ORDER

    def __init__(self, database: ports.MemoryDatabase) -> None:
        self.database = database
        self.waiting: set[str] = set()
        self.batches: list[list[str]] = []
        self.abandoned: list[str] = []

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        del connection, now_us
        assert all(item.private == half_of(item.fact) for item in work), "a half went astray"
        self.batches.append([item.fact.order_id for item in work])
        if any(item.fact.trace_id == "kills" for item in work):
            self._die()
        return [self._outcome(item) for item in work]

    def _outcome(self, item: handler.Work) -> handler.Outcome:
        """Have an order wait once; a second message about it has nothing left to do."""
        name = item.fact.order_id
        if item.result or not item.fact.trace_id.startswith("waits") or name in self.waiting:
            return handler.Settled()
        self.waiting.add(name)
        return handler.Waiting(item.fact)

    async def perform(self, effect: messages.OrderPlaced) -> str:
        await asyncio.sleep(0)
        if effect.trace_id == "waits, kills":
            self._die()
        return "done"

    def abandon(self, connection: sa.Connection, fact: messages.OrderPlaced) -> None:
        del connection
        self.abandoned.append(fact.order_id)

    def _die(self) -> None:
        self.database.away = PATIENT  # a dead process writes nothing any more
        raise Died


def half_of(order: messages.OrderPlaced) -> Private:
    """Return the private half that every order comes with here."""
    return Private(f"half of {order.order_id}")


def encode(batch: Sequence[messages.OrderPlaced]) -> bytes:
    """Return a message of orders, each with its private half."""
    return envelope.encode(batch, list(map(half_of, batch)))


class Broker:
    """Messages that come again in every life until they are acknowledged."""

    def __init__(
        self, connection: sa.Connection, *payloads: Sequence[messages.OrderPlaced]
    ) -> None:
        self.connection, self.clock = connection, ManualClock(shop.NOW_US)
        self.waiting = dict(enumerate(map(encode, payloads)))
        self.lives = 0
        self.quarantine = asyncio.Lock()

    async def live(
        self, stage_handler: NotedOrders | None = None, *, is_deaf: bool = False
    ) -> NotedOrders:
        """Let a process work until all is done or it dies. A deaf broker sends it all again."""
        self.lives += 1
        self.clock.advance_us(US_PER_SECOND)
        self.acknowledged: set[int] = set()
        database = ports.MemoryDatabase(self.connection)
        stage_handler = stage_handler or NotedOrders(database)
        all_ports = handler.Ports(
            database, ports.MemoryPublisher(), self.clock, self._acknowledge, self.quarantine
        )
        stage_runner = runner.Runner(stage_handler, all_ports, handler.Limits(BATCH, effects_max=2))
        for number, payload in self.waiting.items():
            stage_runner.offer(handler.Incoming(topics.PLACED, payload, number, f"id-{number}"))
        running = asyncio.create_task(stage_runner.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self.waiting.keys() > self.acknowledged and not running.done():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        for number in () if is_deaf else self.acknowledged:
            del self.waiting[number]
        return stage_handler

    async def live_on(self) -> NotedOrders:
        """Let one process after the other work until one survives."""
        while True:
            stage_handler = await self.live()
            if not self.waiting:
                return stage_handler

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await asyncio.sleep(0)
        self.acknowledged.update(handles)

    def counts(self) -> dict[str, int]:
        """Return what is counted, by order."""
        return {name: count for name, count in self._counted() if name}

    def stages_lives(self) -> int:
        """Return the lives that the stage has begun and is not through with."""
        return dict(self._counted()).get("", 0)

    def _counted(self) -> list[tuple[str, int]]:
        table = crash_counts.STAGE_ATTEMPTS.c
        rows = self.connection.execute(sa.select(table.subject, table.attempts))
        return [(row[0], row[1]) for row in rows]

    def letters(self) -> list[tuple[str, str]]:
        """Return (code, order) of every letter."""
        found = dead_letters.list_open(self.connection)
        return [(letter.code, letter.subject) for letter in found]


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as connection:
        yield connection


def order(order_id: str, note: str = "") -> messages.OrderPlaced:
    return msgspec.structs.replace(shop.placed(order_id), trace_id=note)


def crowd(count: int, **notes: str) -> list[messages.OrderPlaced]:
    """Return so many orders; some of them with a note."""
    return [order(f"o{number}", notes.get(f"o{number}", "")) for number in range(count)]


@pytest.mark.parametrize("note", ["kills", "waits, kills"])
@pytest.mark.parametrize("place", [0, 57, 99])
async def test_a_killer_becomes_a_dead_letter_and_nobody_else(
    connection: sa.Connection, note: str, place: int
) -> None:
    orders = crowd(100, **{f"o{place}": note})
    broker = Broker(connection, orders[:40], orders[40:60], *([each] for each in orders[60:]))
    await broker.live_on()
    assert broker.letters() == [(crash_counts.CODE, f"o{place}")]
    assert broker.lives == crash_counts.ATTEMPTS_MAX + 1
    assert broker.counts() == {f"o{place}": crash_counts.COUNTED_MAX}


async def test_a_killer_that_comes_twice_is_counted_once(connection: sa.Connection) -> None:
    """The second message is soon done, and the first one is still in hand."""
    killer = order("k", "waits, kills")
    broker = Broker(connection, [order("a"), killer], [killer], [killer])
    await broker.live_on()
    assert broker.lives == crash_counts.ATTEMPTS_MAX + 1
    assert broker.letters() == [(crash_counts.CODE, "k")]


async def test_several_killers_and_no_others_become_dead_letters(
    connection: sa.Connection,
) -> None:
    killers = {"o3": "kills", "o4": "waits, kills", "o60": "kills"}
    broker = Broker(connection, crowd(90, **killers))
    await broker.live_on()
    assert broker.letters() == [(crash_counts.CODE, name) for name in broker.counts()]
    assert broker.counts().keys() == killers.keys()
    assert broker.lives <= len(killers) * crash_counts.ATTEMPTS_MAX + 1


async def test_a_killer_is_tried_in_ever_smaller_company(connection: sa.Connection) -> None:
    broker = Broker(connection, crowd(BATCH, o0="kills"))
    sizes = []
    for _ in range(crash_counts.ATTEMPTS_MAX):
        stage_handler = await broker.live()
        sizes.append(next(len(batch) for batch in stage_handler.batches if "o0" in batch))
    assert sizes == [100, 100, 3, 1, 1, 1, 1]
    assert max(broker.counts().values()) == crash_counts.COUNTED_MAX
    await broker.live()
    assert not broker.waiting


async def test_as_long_as_nobody_dies_no_order_is_counted(connection: sa.Connection) -> None:
    """A process that ends in good order leaves nothing to be suspected of."""
    broker = Broker(connection, crowd(5), [order("w", "waits")])
    for _ in range(3):
        stage_handler = await broker.live(is_deaf=True)
        assert stage_handler.batches == [["o0", "o1", "o2", "o3", "o4", "w"], ["w"]]
    assert (broker.counts(), broker.stages_lives()) == ({}, 0)


async def test_who_is_done_is_counted_no_longer(connection: sa.Connection) -> None:
    broker = Broker(connection, crowd(5), [order("w", "waits")])
    crash_counts.count(connection, "order_processing", [crash_counts.STAGE], shop.NOW_US)
    stage_handler = await broker.live()
    assert stage_handler.batches == [["o0", "o1", "o2", "o3", "o4", "w"], ["w"]]
    assert (broker.counts(), broker.stages_lives()) == ({}, 1)


async def test_suspicion_ends_some_time_after_the_start(connection: sa.Connection) -> None:
    """By this machine's clock: the first order after that closes the run, and is not counted."""
    broker = Broker(connection, crowd(5), [order("w", "waits, then the time is over")])
    crash_counts.count(connection, "order_processing", [crash_counts.STAGE], shop.NOW_US)

    class Slow(NotedOrders):
        async def perform(self, effect: messages.OrderPlaced) -> str:
            broker.clock.advance_us(crash_suspects.CAUGHT_UP_S * US_PER_SECOND)
            return await super().perform(effect)

    await broker.live(Slow(ports.MemoryDatabase(connection)))
    assert (broker.counts(), broker.stages_lives()) == ({}, 0)


@pytest.mark.parametrize("ahead_s", [-7_200, 0, 7_200])
async def test_clocks_of_other_machines_do_not_matter(
    connection: sa.Connection, ahead_s: int
) -> None:
    """The intake stamps an order; a stage with another clock counts its crashes all the same."""
    broker = Broker(connection, crowd(3, o1="kills"))
    broker.clock.advance_us(-ahead_s * US_PER_SECOND)
    await broker.live_on()
    assert broker.letters() == [(crash_counts.CODE, "o1")]
    assert broker.lives == crash_counts.ATTEMPTS_MAX + 1


async def test_the_end_of_a_run_hides_no_crash_of_a_later_one(connection: sa.Connection) -> None:
    """Two instances of a function share the count of its runs; the second one crashes."""
    database, stage = ports.MemoryDatabase(connection), "order_processing"
    clock = ManualClock(shop.NOW_US)
    first, second, third = (crash_suspects.CrashSuspects(stage, clock, 10) for _ in range(3))
    ref = ids.Subject("order", shop.MERCHANT, "a")
    for each in (first, second):
        await each.begin(database.write, [ref])
    clock.advance_us(crash_suspects.CAUGHT_UP_S * US_PER_SECOND)
    held = handler.Work(order("a"), handler.Incoming(topics.PLACED, b"", 1))
    first.hold([held])
    await first.done(database.write, [held])
    assert crash_counts.find(connection, stage, [crash_counts.STAGE]) == {crash_counts.STAGE: 1}
    await third.begin(database.write, [ref])
    assert third.looks_for_repetitions


async def test_what_was_redelivered_is_counted_however_young(connection: sa.Connection) -> None:
    database, clock = ports.MemoryDatabase(connection), ManualClock(shop.NOW_US)
    stage_handler, done = NotedOrders(database), asyncio.Event()

    async def acknowledge(_: Sequence[Any]) -> None:
        await asyncio.sleep(0)
        done.set()

    all_ports = handler.Ports(database, ports.MemoryPublisher(), clock, acknowledge)
    stage_runner = runner.Runner(stage_handler, all_ports, handler.Limits(suspect_messages=0))
    running = asyncio.create_task(stage_runner.run())
    for redeliveries, writes in ((0, 1), (1, 3)):
        payload, before = encode([order("a")]), database.writes
        done.clear()
        stage_runner.offer(handler.Incoming(topics.PLACED, payload, 1, redeliveries=redeliveries))
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
        assert database.writes - before == writes
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_old_order_in_a_new_message_is_counted_after_a_young_one(
    connection: sa.Connection,
) -> None:
    """An earlier stage repeats what it sent: the crashed process held the first message."""
    database, clock = ports.MemoryDatabase(connection), ManualClock(shop.NOW_US)
    lost = [crash_counts.STAGE, ids.Subject("order", shop.MERCHANT, "k")]
    crash_counts.count(connection, "order_processing", lost, shop.NOW_US)
    acknowledged: asyncio.Queue[object] = asyncio.Queue()

    async def acknowledge(handles: Sequence[Any]) -> None:
        for handle in handles:
            await acknowledged.put(handle)

    all_ports = handler.Ports(database, ports.MemoryPublisher(), clock, acknowledge)
    stage_runner = runner.Runner(NotedOrders(database), all_ports, handler.Limits())
    running = asyncio.create_task(stage_runner.run())
    young = msgspec.structs.replace(order("y"), placed_at_us=shop.NOW_US + 1)
    old = msgspec.structs.replace(order("k", "kills"), placed_at_us=shop.NOW_US - 1)
    caught_up_us = crash_suspects.CAUGHT_UP_S * US_PER_SECOND
    async with asyncio.timeout(PATIENCE_S):
        stage_runner.offer(handler.Incoming(topics.PLACED, encode([order("s")]), 0))
        clock.advance_us(caught_up_us)
        stage_runner.offer(handler.Incoming(topics.PLACED, encode([young]), 1))
        assert {await acknowledged.get(), await acknowledged.get()} == {0, 1}
        stage_runner.offer(handler.Incoming(topics.PLACED, encode([old]), 2))
        await asyncio.wait([running])
    counted = crash_counts.find(
        connection, "order_processing", [lost[1], ids.Subject("order", shop.MERCHANT, "y")]
    )
    assert counted == {lost[1]: 2}


async def test_a_second_message_about_an_order_in_hand_costs_it_nothing(
    connection: sa.Connection,
) -> None:
    """A broker that starts again sends everything again, and nobody has died."""
    broker = Broker(connection, [order("a", "waits")], [order("a", "waits")])
    broker.waiting |= dict.fromkeys(range(2, 20), broker.waiting[0])
    await broker.live()
    assert not broker.waiting
    assert broker.counts() == {}


async def test_an_end_in_good_order_takes_back_what_was_counted(
    connection: sa.Connection,
) -> None:
    class Hanging(NotedOrders):
        async def perform(self, effect: messages.OrderPlaced) -> str:
            del effect
            hanging.set()
            await asyncio.Event().wait()
            return ""

    hanging = asyncio.Event()
    broker = Broker(connection, [order("a", "waits")])
    lost = [crash_counts.STAGE, ids.Subject("order", shop.MERCHANT, "a")]
    crash_counts.count(connection, "order_processing", lost, shop.NOW_US)
    living = asyncio.create_task(broker.live(Hanging(ports.MemoryDatabase(connection))))
    async with asyncio.timeout(PATIENCE_S):
        await hanging.wait()
    assert (broker.counts(), broker.stages_lives()) == ({"a": 2}, 2)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    assert (broker.counts(), broker.stages_lives()) == ({"a": 1}, 1)


@pytest.mark.parametrize("name", ["x" * 65, "a ", "ä", "\N{NULL}"])
async def test_a_name_that_no_table_takes_is_not_counted(
    connection: sa.Connection, name: str
) -> None:
    broker = Broker(connection, [order(name), order("a")])
    await broker.live()
    assert crash_counts.is_countable(ids.Subject("order", "m-1", "a")) > crash_counts.is_countable(
        ids.Subject("order", "m-1", name)
    )
    assert not broker.waiting


async def test_a_letter_is_written_once_though_its_message_comes_again(
    connection: sa.Connection,
) -> None:
    class Refusing(NotedOrders):
        def record(self, *_: object) -> list[handler.Outcome]:
            raise errors.Poison("SPOILT", "it smells")

    broker = Broker(connection, [order("a"), order("a"), order("b")])
    unreadable = b'{"v":2,"facts":[{},{}]}'
    broker.waiting |= {2: b"no JSON", 3: unreadable, 4: unreadable}
    for _ in range(3):
        await broker.live(Refusing(ports.MemoryDatabase(connection)), is_deaf=True)
    assert broker.letters() == [
        ("UNREADABLE_MESSAGE", ""),
        *4 * [("UNREADABLE_FACT", "")],
        ("SPOILT", "a"),
        ("SPOILT", "b"),
    ]


async def test_what_goes_wrong_again_after_a_replay_is_a_new_letter(
    connection: sa.Connection,
) -> None:
    poison = errors.Poison("SPOILT", "it smells")
    letter = dead_letters.of_fact(PLACE, order("a"), Private("a note"), poison, 1)
    first = dead_letters.store(connection, letter, dead_letters.Source("1", 0))
    again = dead_letters.store(connection, letter, dead_letters.Source("2", 0))
    dead_letters.close(connection, [first], "replayed", 2)
    late = dead_letters.store(connection, letter, dead_letters.Source("2", 0))
    anew = dead_letters.store(connection, letter, dead_letters.Source("3", 0))
    assert (first, again, late, anew) == (1, 1, 1, 2)


async def test_without_an_id_every_letter_is_kept(connection: sa.Connection) -> None:
    letter = dead_letters.of_unreadable(PLACE, b"x", errors.Poison("SPOILT", ""), 1)
    keys = [dead_letters.store(connection, letter, source) for source in SOURCES]
    assert keys == [1, 2, 3, 4, 4, 5]


PLACE = dead_letters.Place("s", "t")
SOURCES = (
    None,
    dead_letters.Source("", 0),
    dead_letters.Source("", 0),
    dead_letters.Source("7", 0),
    dead_letters.Source("7", 0),
    dead_letters.Source("7", 1),
)


@pytest.mark.parametrize("missing", ["SELECT 1 FROM nowhere", "SELECT colour FROM orders"])
async def test_tables_that_are_not_ours_stop_the_stage(
    connection: sa.Connection, missing: str
) -> None:
    """No order pays for it: nothing is put aside, and nothing stays counted."""

    class Misled(NotedOrders):
        def record(
            self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
        ) -> list[handler.Outcome]:
            connection.execute(sa.text(missing))
            return super().record(connection, work, now_us)

    broker, database = Broker(connection, crowd(3)), ports.MemoryDatabase(connection)
    publisher, acknowledge = ports.MemoryPublisher(), broker._acknowledge
    all_ports = handler.Ports(database, publisher, broker.clock, acknowledge)
    stage_runner = runner.Runner(Misled(database), all_ports, handler.Limits())
    stage_runner.offer(handler.Incoming(topics.PLACED, broker.waiting[0], 0, redeliveries=1))
    with pytest.raises(errors.Misconfigured, match="souk migrate"):
        await asyncio.wait_for(stage_runner.run(), PATIENCE_S)
    assert (broker.letters(), broker.counts()) == ([], {})
