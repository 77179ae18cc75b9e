"""The six steps, whatever stage_handler they are for: batches, retries, effects, dead letters."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.flow import topics
from internal.kernel import errors
from internal.kernel.clock import ManualClock
from internal.orders import messages
from internal.pipeline import breaker, dead_letters, envelope, handler, runner
from internal.privacy.messages import Private
from tests.support import ports, shop, staged_orders

PATIENCE_S = 5.0


class NotedOrders:
    """Answers OrderPlaced by OrderRejected; what a note orders goes wrong."""

    spec = topics.ORDER

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.performed: Counter[str] = Counter()
        self.abandoned: list[str] = []
        self.orders_max, self.server_errors = 1_000, 0
        """How many orders a transaction may have, and how often it may have none at all."""

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        del connection, now_us
        orders = [w.fact for w in work if isinstance(w.fact, messages.OrderPlaced)]
        assert [w.private for w in work] == list(map(half_of, orders)), "a half went astray"
        self.batches.append([order.order_id for order in orders])
        if len(orders) > self.orders_max or self.server_errors:
            self.server_errors -= len(orders) <= self.orders_max
            raise errors.TooMuchAtOnce("it took too long")
        for order in orders:
            if order.trace_id == "bug":
                raise ValueError("4111111111111111")
            if order.trace_id == "poison":
                raise errors.Poison("SPOILT", "it smells")
            if order.trace_id == "damage":
                raise errors.DatabaseDamaged("a page")
            if order.trace_id == "conflict":
                raise errors.Conflict("rows changed")
        return [
            handler.Waiting(order) if _waits(order) and w.result is None else _settled(order)
            for w, order in zip(work, orders, strict=True)
        ]

    async def perform(self, effect: messages.OrderPlaced) -> str:
        await asyncio.sleep(0)
        self.performed[effect.order_id] += 1
        if effect.trace_id == "wait forever":
            await asyncio.Event().wait()
        if effect.trace_id == "wait and find damage":
            raise errors.DatabaseDamaged("a page")
        if effect.trace_id == "wait and break":
            raise ValueError("broken")
        if effect.trace_id == "wait twice" and self.performed[effect.order_id] == 1:
            raise errors.GatewayAway("not yet")
        return "done"

    def abandon(self, connection: sa.Connection, fact: messages.OrderPlaced) -> None:
        del connection
        self.abandoned.append(fact.order_id)


def _waits(order: messages.OrderPlaced) -> bool:
    return order.trace_id.startswith("wait")


def _settled(order: messages.OrderPlaced) -> handler.Settled:
    fact = messages.OrderRejected(
        order_key=1,
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        store_id="main",
        version=2,
        at_us=0,
        placed_at_us=0,
        stage="",
        reason="UNKNOWN_SKU",
        explanation="",
    )
    return handler.Settled((fact,))


def half_of(fact: messages.Fact) -> Private:
    """Return the private half that every order comes with here."""
    return Private(f"half of {fact.order_id}")


def encode(*batch: messages.Fact) -> bytes:
    return envelope.encode(batch, list(map(half_of, batch)))


class Bench:
    """A runner with everything it needs, in memory."""

    def __init__(self, connection: sa.Connection, limits: handler.Limits | None = None) -> None:
        self.stage_handler = NotedOrders()
        self.database = ports.MemoryDatabase(connection)
        self.publisher = ports.MemoryPublisher()
        self.acknowledged: list[Any] = []
        self.bus_away = 0
        self._news = asyncio.Event()
        all_ports = handler.Ports(self.database, self.publisher, ManualClock(), self._acknowledge)
        limits = limits or handler.Limits(100, effects_max=2)
        self.runner = runner.Runner(self.stage_handler, all_ports, limits)

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await asyncio.sleep(0)
        if self.bus_away:
            self.bus_away -= 1
            raise errors.BusAway("on holiday")
        self.acknowledged += handles
        self._news.set()

    def offer(self, handle: object, *batch: messages.Fact) -> None:
        self.offer_bytes(handle, encode(*batch))

    def offer_bytes(self, handle: object, payload: bytes, topic: str = topics.PLACED) -> None:
        self.runner.offer(handler.Incoming(topic, payload, handle))

    async def until(self, *handles: object) -> None:
        """Wait until these messages are acknowledged."""
        async with asyncio.timeout(PATIENCE_S):
            while not set(handles) <= set(self.acknowledged):
                await self._news.wait()
                self._news.clear()
        assert sorted(self.acknowledged, key=str) == sorted(handles, key=str)

    def answered(self) -> list[str]:
        """Return the orders that facts were sent about."""
        sent = self.publisher.to(topics.REJECTED)
        opened = [fact for message in sent for fact in topics.ENVELOPE.facts_in(message.payload)]
        return sorted(fact.key for fact in opened if not isinstance(fact, errors.Poison))

    def letters(self) -> list[dead_letters.DeadLetter]:
        return dead_letters.list_open(self.database.connection)


NewBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def new_bench() -> AsyncIterator[NewBench]:
    """Make benches whose runners run; `prepare` is called before they start."""
    running: list[asyncio.Task[None]] = []
    with staged_orders.database() as connection:

        async def make(
            prepare: Callable[[Bench], object] = lambda _: None,
            limits: handler.Limits | None = None,
        ) -> Bench:
            bench = Bench(connection, limits)
            prepare(bench)
            running.append(asyncio.create_task(bench.runner.run()))
            await asyncio.sleep(0)
            return bench

        yield make
        for task in running:
            assert not task.done(), "a runner has ended"
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def order(order_id: str, note: str = "") -> messages.OrderPlaced:
    return msgspec.structs.replace(shop.placed(order_id), trace_id=note)


async def test_what_is_at_hand_becomes_one_batch(new_bench: NewBench) -> None:
    def offer(bench: Bench) -> None:
        bench.offer("m1", order("a"), order("b"))
        bench.offer("m2", order("c"))

    bench = await new_bench(offer)
    await bench.until("m1", "m2")
    assert bench.stage_handler.batches == [["a", "b", "c"]]
    assert bench.answered() == ["a", "b", "c"]


async def test_a_batch_has_a_limit(new_bench: NewBench) -> None:
    def offer(bench: Bench) -> None:
        for number in range(5):
            bench.offer(number, order(f"{number}a"), order(f"{number}b"))

    bench = await new_bench(offer, handler.Limits(3))
    await bench.until(*range(5))
    assert [len(batch) for batch in bench.stage_handler.batches] == [4, 4, 2]


async def test_a_batch_has_a_limit_in_bytes(new_bench: NewBench) -> None:
    """Orders of hundreds of lines are not all taken together."""
    payload = encode(order("0", "x" * 500))
    limits = handler.Limits(batch_bytes_max=2 * len(payload) + 1)

    def offer(bench: Bench) -> None:
        for number in range(7):
            bench.offer(number, order(str(number), "x" * 500))

    bench = await new_bench(offer, limits)
    await bench.until(*range(7))
    assert [len(batch) for batch in bench.stage_handler.batches] == [3, 3, 1]


async def test_large_unreadable_messages_do_not_stop_the_next_ones(new_bench: NewBench) -> None:
    """They make no work, and yet have as many bytes as a batch may have."""
    limits = handler.Limits(batch_bytes_max=100)

    def offer(bench: Bench) -> None:
        for number in range(3):
            bench.offer_bytes(number, b"\xff" * 100)
        bench.offer(3, order("a"))

    bench = await new_bench(offer, limits)
    await bench.until(*range(4))
    assert len(bench.letters()) == 3


async def test_a_message_comes_at_any_time(new_bench: NewBench) -> None:
    bench = await new_bench()
    for number in range(3):
        bench.offer(number, order(str(number)))
        await bench.until(*range(number + 1))


async def test_a_database_that_is_away_is_waited_for(new_bench: NewBench) -> None:
    def offer(bench: Bench) -> None:
        bench.database.away = 3
        bench.offer("m", order("a"))

    bench = await new_bench(offer)
    await bench.until("m")
    assert bench.database.writes == 5  # three in vain, the begin of the run, and the batch
    assert not bench.letters()


async def test_a_broker_that_is_away_is_waited_for(new_bench: NewBench) -> None:
    def offer(bench: Bench) -> None:
        bench.publisher.away = 2
        bench.bus_away = 2
        bench.offer("m", order("a"))

    bench = await new_bench(offer)
    await bench.until("m")
    assert bench.answered() == ["a"]


@pytest.mark.parametrize("note", ["poison", "bug"])
@pytest.mark.parametrize("place", [0, 3, 6])
async def test_one_bad_order_among_good_ones_becomes_a_dead_letter(
    new_bench: NewBench, note: str, place: int
) -> None:
    orders = [order(str(number), note if number == place else "") for number in range(7)]
    bench = await new_bench(lambda bench: bench.offer("m", *orders))
    await bench.until("m")
    assert bench.answered() == [str(number) for number in range(7) if number != place]
    (letter,) = bench.letters()
    assert (letter.subject, letter.stage, letter.topic) == (
        str(place),
        "order_processing",
        topics.PLACED,
    )
    assert bench.stage_handler.abandoned == [str(place)]
    assert letter.code == ("SPOILT" if note == "poison" else "VALUEERROR")
    assert "4111" not in letter.explanation
    assert topics.ENVELOPE.facts_in(letter.payload.encode()) == [orders[place]]
    (dlq,) = bench.publisher.to("orders.placed.dlq")
    assert dlq.payload == letter.payload.encode()
    (held,) = dead_letters.contents_of(bench.database.connection, [letter]).values()
    assert dead_letters.payload_of(letter, held) == encode(orders[place])
    assert b"half of" not in dlq.payload + letter.explanation.encode()


async def test_several_bad_orders_become_dead_letters_one_by_one(new_bench: NewBench) -> None:
    orders = [order(str(number), "poison" if number % 2 else "") for number in range(6)]
    bench = await new_bench(lambda bench: bench.offer("m", *orders))
    await bench.until("m")
    assert bench.answered() == ["0", "2", "4"]
    assert sorted(letter.subject for letter in bench.letters()) == ["1", "3", "5"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"no JSON", "UNREADABLE_MESSAGE"),
        (b'{"a":' * 50_000, "UNREADABLE_MESSAGE"),
        (b'{"v":9,"facts":[]}', "UNKNOWN_VERSION"),
        (b"\xff\xfe\0", "UNREADABLE_MESSAGE"),
    ],
)
async def test_a_message_that_cannot_be_read_becomes_a_dead_letter(
    new_bench: NewBench, payload: bytes, code: str
) -> None:
    def offer(bench: Bench) -> None:
        bench.offer_bytes("bad", payload)
        bench.offer("good", order("a"))

    bench = await new_bench(offer)
    await bench.until("bad", "good")
    (letter,) = bench.letters()
    assert (letter.code, letter.subject) == (code, "")
    assert bench.answered() == ["a"]


async def test_noise_of_any_length_becomes_a_dead_letter(new_bench: NewBench) -> None:
    """Escaped it would be four times as long as a message may be."""
    noise = b"\xff" * 5 * 1024 * 1024
    bench = await new_bench(lambda bench: bench.offer_bytes("m", noise))
    await bench.until("m")
    (dlq,) = bench.publisher.to("orders.placed.dlq")
    (letter,) = bench.letters()
    assert dlq.payload == letter.payload.encode() == dead_letters.stand_in(noise).encode()
    (content,) = dead_letters.contents_of(bench.database.connection, [letter]).values()
    assert len(content) < len(noise)
    assert content.endswith(dead_letters.CUT)


async def test_a_fact_that_cannot_be_read_leaves_its_neighbours(new_bench: NewBench) -> None:
    first, last = encode(order("a")), encode(order("b"))
    facts = [msgspec.json.decode(it)["facts"][0] for it in (first, last)]
    halves = [msgspec.json.decode(it)["private"][0] for it in (first, last)]
    whole = {
        "v": 2,
        "facts": [facts[0], {"type": "Nobody"}, facts[1]],
        "private": [halves[0], {"note": "of nobody"}, halves[1]],
    }
    payload = msgspec.json.encode(whole)
    bench = await new_bench(lambda bench: bench.offer_bytes("m", payload))
    await bench.until("m")
    assert bench.answered() == ["a", "b"]
    (letter,) = bench.letters()
    assert (letter.code, letter.held) == ("UNREADABLE_FACT", dead_letters.Held.MESSAGE)
    (held,) = dead_letters.contents_of(bench.database.connection, [letter]).values()
    assert held == '{"v":2,"facts":[{"type":"Nobody"}],"private":[{"note":"of nobody"}]}'


async def test_a_fact_on_the_wrong_topic_becomes_a_dead_letter(new_bench: NewBench) -> None:
    (wrong,) = _settled(order("a")).facts
    bench = await new_bench(lambda bench: bench.offer("m", wrong, order("b")))
    await bench.until("m")
    (letter,) = bench.letters()
    assert (letter.code, letter.subject) == ("WRONG_TOPIC", "a")
    assert bench.answered() == ["b"]


async def test_an_empty_message_is_done(new_bench: NewBench) -> None:
    bench = await new_bench(lambda bench: bench.offer("m"))
    await bench.until("m")
    assert not bench.publisher.sent


async def test_an_effect_comes_between_two_records(new_bench: NewBench) -> None:
    """Its neighbours do not wait for it; the message is done when all of its orders are."""
    names = [f"w{number}" for number in range(5)]
    waiting = [order(name, "wait") for name in names]
    bench = await new_bench(lambda bench: bench.offer("m", *waiting, order("a")))
    await bench.until("m")
    assert bench.answered() == ["a", *names]
    assert bench.stage_handler.performed == Counter(names)
    assert sum(map(len, bench.stage_handler.batches)) == 11


async def test_what_is_done_does_not_wait_behind_a_silent_gateway(new_bench: NewBench) -> None:
    """More orders wait than there are places for it; the one that needs no gateway goes out."""
    silent = [order(f"w{number}", "wait forever") for number in range(3)]

    def prepare(bench: Bench) -> None:
        bench.offer("silent", *silent)
        bench.offer("cash", order("a"))

    bench = await new_bench(prepare)
    await bench.until("cash")
    assert bench.answered() == ["a"]


async def test_an_effect_that_could_not_be_done_yet_is_tried_again(new_bench: NewBench) -> None:
    bench = await new_bench(lambda bench: bench.offer("m", order("a", "wait twice")))
    await bench.until("m")
    assert bench.stage_handler.performed == {"a": 2}
    assert bench.answered() == ["a"]


async def test_a_bug_in_an_effect_costs_one_order(new_bench: NewBench) -> None:
    orders = [order("a"), order("b", "wait and break"), order("c", "wait")]
    bench = await new_bench(lambda bench: bench.offer("m", *orders))
    await bench.until("m")
    assert bench.answered() == ["a", "c"]
    assert [letter.subject for letter in bench.letters()] == ["b"]
    assert bench.stage_handler.performed == {"b": 1, "c": 1}


async def test_a_contradiction_in_the_books_costs_one_order(new_bench: NewBench) -> None:
    """It looks like a race, and no patience cures it: the neighbours must not wait for it."""
    orders = [order("a"), order("b", "conflict"), order("c")]
    bench = await new_bench(lambda bench: bench.offer("m", *orders))
    await bench.until("m")
    assert bench.answered() == ["a", "c"]
    assert [letter.code for letter in bench.letters()] == ["CONFLICT"]


async def test_a_transaction_that_is_too_large_is_halved(new_bench: NewBench) -> None:
    """A server with a limit of its own: no order is at fault, not even one that is tried alone."""

    def offer(bench: Bench) -> None:
        bench.stage_handler.orders_max, bench.stage_handler.server_errors = 2, 3
        bench.offer("m", *(order(str(number)) for number in range(9)))

    bench = await new_bench(offer)
    await bench.until("m")
    assert bench.answered() == [str(number) for number in range(9)]
    assert not bench.letters()


@given(
    notes=st.lists(st.sampled_from(["", "bug", "conflict"]), min_size=1, max_size=40),
    is_lasting=st.booleans(),
)
async def test_only_bad_orders_become_dead_letters(*, notes: list[str], is_lasting: bool) -> None:
    """However they are mixed; and none while nearly all of them fail."""
    orders = [order(f"o{place}", note) for place, note in enumerate(notes)]
    if is_lasting:
        orders = [order(f"o{place}", "bug") for place in range(len(notes))]
    good = {it.order_id for it in orders if not it.trace_id}
    with staged_orders.database() as connection:
        bench = Bench(connection)
        bench.offer("m", *orders)
        running = asyncio.create_task(bench.runner.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not set(good) <= set(bench.answered()) or not bench.stage_handler.batches:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert set(bench.answered()) == good
        dead = {letter.subject for letter in bench.letters()}
        assert not dead & good
        if is_lasting and len(orders) >= breaker.FAILED_ALONE_MAX:
            assert not dead


@pytest.mark.parametrize("note", ["damage", "wait and find damage"])
async def test_a_damaged_database_ends_the_stage_and_no_order(note: str) -> None:
    with staged_orders.database() as connection:
        bench = Bench(connection)
        bench.offer("m", *(order(str(number), note) for number in range(3)))
        with pytest.raises(errors.DatabaseDamaged):
            await asyncio.wait_for(bench.runner.run(), PATIENCE_S)
        assert not bench.letters()
        assert not bench.acknowledged
