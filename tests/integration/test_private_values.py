"""What is private is found in private_values and on the topics that may carry it, nowhere else.

Each value has a canary in it, a word of its own, and everything that is written is searched: all
tables of both databases, the messages by topic, logs, traces and metrics.
"""

import functools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NoReturn

import msgspec
import prometheus_client
import pytest
import sqlalchemy as sa
from loguru import logger
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from internal.checks import invariants
from internal.flow import replay, topics
from internal.infra import bus, logs, traces
from internal.kernel import errors, ids
from internal.orders import messages
from internal.pipeline import dead_letters, envelope
from internal.privacy.messages import Private
from internal.stages import erasure, held_orders, order_processing
from tests.support import shop
from tests.support.pipeline_fixture import Site, World, opened

ALLOWED = {"private_values.content", "bus_messages.payload"}


class Canaries:
    """Words that were put into private fields."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def word(self, where: str) -> str:
        self.sent.append(f"canary-{len(self.sent):03d}-{where}")
        return self.sent[-1]

    def half(self, fact: messages.Fact, where: str) -> Private:
        """Return a private half for a fact, with a canary in each of its fields.

        The simulator repeats a part of a token that it declines, so these have none.
        """
        tokens = {
            ref: token if token != shop.OK else f"{token}:{self.word(where)}"
            for ref, token in shop.half_of(fact).tokens.items()
        }
        return Private(self.word(where), tokens, self.word(where))

    def found_in(self, content: bytes) -> list[str]:
        return [word for word in self.sent if word.encode() in content]


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    async with opened(site) as world:
        yield world
        await world.drain()
        assert not await world.check()


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    off = traces.install(SimpleSpanProcessor(exporter), "souk-test")
    yield exporter
    off()


async def publish(world: World, canaries: Canaries, where: str, *batch: messages.Fact) -> None:
    """Publish facts, each with a private half full of canaries; wait until all is done."""
    halves = [canaries.half(fact, where) for fact in batch]
    for topic in {topics.TOPIC_OF[type(fact)] for fact in batch}:
        some = [(f, h) for f, h in zip(batch, halves, strict=True) if _topic(f) == topic]
        payload = envelope.encode([f for f, _ in some], [h for _, h in some])
        await world.bus.publish([bus.Outgoing(topic, "00", payload, {"orders": str(len(some))})])
        await world.drain()


def _topic(fact: messages.Fact) -> str:
    return topics.TOPIC_OF[type(fact)]


def fail(*_: object, **__: object) -> NoReturn:
    """Stand for a stage that can do nothing with any order."""
    raise errors.Poison("SPOILT", "it smells")


async def test_what_is_private_is_in_one_table_and_on_the_topics_that_may_carry_it(
    world: World,
    canaries: Canaries,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    sink = logger.add(lambda line: told.append(logs.to_json(line.record)), level=0)
    try:
        await everything_happens(world, canaries, monkeypatch)
    finally:
        logger.remove(sink)
    assert len(canaries.sent) > 40
    found = await world.database.read(lambda c: invariants.canaries(c, canaries.sent))
    where = {example.split()[0].removeprefix("column=") for it in found for example in it.examples}
    assert "private_values.content" in where
    assert where <= ALLOWED
    by_topic = await _messages(world)
    carried = {topic for topic, payload in by_topic if canaries.found_in(payload)}
    assert carried <= set(topics.WITH_PRIVATE_HALVES) | {topics.ACCEPTED}  # published by hand there
    assert not canaries.found_in(await _copies(world))
    assert told
    assert not canaries.found_in("\n".join(told).encode())
    assert spans.get_finished_spans()
    shown = "\n".join(span.to_json() for span in spans.get_finished_spans())
    assert not canaries.found_in(shown.encode())
    assert not canaries.found_in(prometheus_client.generate_latest())


async def everything_happens(
    world: World, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have orders accepted, refused, repeated, cancelled, put aside, replayed and dropped."""
    cards = (shop.cash(100), shop.card(300), shop.card())
    good = msgspec.structs.replace(shop.placed("good", tenders=cards), trace_id="ab" * 16)
    declined = shop.placed("declined", tenders=(shop.card(token="tok_declined:no"),))
    await publish(world, canaries, "order", good, declined, shop.placed("refused", ("nope", 1)))
    await publish(world, canaries, "retry", good, shop.placed("good", ("tea", 2)))
    await publish(world, canaries, "cancel", shop.cancel("good"), shop.cancel("unknown"))
    await cancel_one_in_time(world, canaries)
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        await publish(world, canaries, "letter", *(shop.placed(it, tenders=cards) for it in "abc"))
    await unreadable(world, canaries)
    letters = {it.subject: it.letter_key for it in await world.letters()}
    assert {*"abc"} < letters.keys()
    for order_id, end in (("a", "FINALIZED"), ("b", "REJECTED GIVEN_UP_BY_OPERATOR")):
        await (replayed if order_id == "a" else dropped)(world, [letters[order_id]])
        await world.drain()
        assert await world.states(order_id) == [end]
    view = await world.view("good")
    assert (view.note in canaries.sent, view.state) == (True, "FINALIZED")


async def cancel_one_in_time(world: World, canaries: Canaries) -> None:
    """Have a cancel request come with its order."""
    order, request = shop.placed("undone", tenders=(shop.card(),)), shop.cancel("undone", "c-9")
    batch: list[messages.Fact] = [order, request]
    halves = [canaries.half(fact, "undone") for fact in batch]
    await world.bus.publish(topics.ENVELOPE.pack(batch, world.bus.shard_keys, halves))
    await world.drain()


async def unreadable(world: World, canaries: Canaries) -> None:
    """Publish what no stage can read, and private halves where none belongs."""
    order = shop.placed("bad")
    good, half = envelope.encode([order]), canaries.word("half")
    payloads = [
        canaries.word("noise").encode(),
        b'{"v":1,"facts":[],"note":"%s"}' % canaries.word("version").encode(),
        b'{"v":2,"facts":[{"type":"OrderPlaced","note":"%s"}]}' % canaries.word("fact").encode(),
        b'%s,"private":[{"note":7,"contact":"%s"}]}' % (good[:-1], half.encode()),
        b'%s,"private":[null,{"note":"%s"}]}' % (good[:-1], canaries.word("two").encode()),
    ]
    await world.bus.publish([bus.Outgoing(topics.PLACED, "00", it, {}) for it in payloads])
    await world.drain()
    (accepted,) = [e.fact for e in (await world.view("good")).timeline if _is_accepted(e.fact)]
    await publish(world, canaries, "forbidden", accepted)
    wrong = envelope.encode([shop.placed("wrong")], [Private(canaries.word("wrong topic"))])
    await world.bus.publish([bus.Outgoing(topics.ACCEPTED, "00", wrong, {})])
    await world.drain()
    codes = {letter.code for letter in await world.letters()}
    assert {"UNREADABLE_MESSAGE", "UNREADABLE_FACT", "UNREADABLE_PRIVATE_HALF"} <= codes
    assert {"UNKNOWN_VERSION", "WRONG_TOPIC"} <= codes


def _is_accepted(fact: messages.Fact) -> bool:
    return isinstance(fact, messages.OrderAccepted)


async def replayed(world: World, keys: Sequence[int]) -> None:
    mark = replay.Mark("replayed", "alex", "mended", world.clock.now_us())
    outcome = await replay.replay(world.database, world.bus, keys, mark)
    assert outcome == replay.Outcome(len(keys), ())


async def dropped(world: World, keys: Sequence[int]) -> None:
    now_us = world.clock.now_us()
    mark = replay.Mark("dropped", "alex", "noise", now_us)
    decision = held_orders.Decision(held_orders.Choice.REJECT, "alex", "noise", now_us)
    decide = functools.partial(held_orders.decide, decision)
    await world.database.write(lambda c: replay.drop(c, keys, mark, decide))


async def _messages(world: World) -> list[tuple[str, bytes]]:
    query = sa.text(
        "SELECT t.name, CAST(m.payload AS BLOB)"
        " FROM bus_messages m JOIN bus_topics t ON t.topic_id = m.topic_id"
    )

    def read(connection: sa.Connection) -> list[tuple[str, bytes]]:
        return [(row[0], bytes(row[1])) for row in connection.execute(query)]

    return await world.file.read(read)


async def _copies(world: World) -> bytes:
    """Return all copies of dead letters."""
    return b"\n".join(p for topic, p in await _messages(world) if topic.endswith(".dlq"))


async def test_a_letter_that_is_replayed_or_dropped_holds_nothing_any_more(
    world: World, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        await publish(world, canaries, "letter", shop.placed("a"), shop.placed("b"))
    letters = {it.subject: it for it in await world.letters()}
    held = await world.database.read(lambda c: dead_letters.contents_of(c, list(letters.values())))
    assert held.keys() == {it.letter_key for it in letters.values()}
    await replayed(world, [letters["a"].letter_key])
    await dropped(world, [letters["b"].letter_key])
    left = await world.database.read(lambda c: dead_letters.contents_of(c, list(letters.values())))
    assert left == {}
    await world.drain()
    assert (await world.view("a")).note in canaries.sent


async def test_an_erased_letter_stays_open_and_is_not_sent(
    world: World, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        await publish(world, canaries, "letter", shop.placed("a"))
    (letter,) = await world.letters()
    wish = erasure.Wish(ids.OrderRef(shop.MERCHANT, "a"), "alex", "a wish", 1)
    erased = await world.database.write(lambda c: erasure.erase(c, wish))
    assert erased == erasure.Erased(1, (letter.letter_key,))
    mark = replay.Mark("replayed", "alex", "mended", 1)
    outcome = await replay.replay(world.database, world.bus, [letter.letter_key], mark)
    assert outcome == replay.Outcome(0, (letter.letter_key,))
    assert [it.letter_key for it in await world.letters()] == [letter.letter_key]
    await dropped(world, [letter.letter_key])
