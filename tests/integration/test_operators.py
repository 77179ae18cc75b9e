"""What operators see and do, on both databases: decided payments, letters, an order's story."""

import functools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.flow import dlq_copies, replay, topics
from internal.infra import bus, db, migrate, settings
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors, ids
from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.payments.manual_resolution import Verdict
from internal.pipeline import crash_counts, dead_letters
from internal.stages import held_orders, payment_review
from internal.views import order_timeline
from tests.support import shop
from tests.support.pipeline_fixture import Site, World, found, opened
from tests.support.pulsar import pulsar_options  # noqa: F401 - a fixture

NAME = ids.OrderRef(shop.MERCHANT, "o")
SUBJECT = ids.Subject("order", *NAME)
LOST, NEVER = "tok_lost_answer", "tok_timeout_before"


@pytest.fixture(params=["sqlite", "mysql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    server = request.getfixturevalue("mysql_books") if request.param == "mysql" else None
    site = Site(tmp_path, server)
    await found(site)
    later = ManualClock(shop.NOW_US + US_PER_SECOND)  # than all orders: each is a suspect
    async with opened(site, later) as world:
        yield world
        await world.drain()
        assert not await world.check()


async def unknown(world: World, token: str) -> None:
    await world.run(shop.placed("o", tenders=(shop.card(token=token),)))
    assert (await world.view("o")).charge_state == "UNKNOWN"
    table = crash_counts.STAGE_ATTEMPTS  # who waits for a gateway costs no lives
    counted = sa.select(table).where(table.c.subject != "")
    assert not await world.database.read(lambda c: c.execute(counted).all())


async def decide(world: World, verdict: Verdict) -> None:
    word = payment_review.Resolution(NAME, "alex", "saw it there", world.clock.now_us())
    await world.database.write(lambda c: payment_review.decide(c, word, None, verdict, "ref-7"))


async def tell(world: World) -> order_timeline.OrderTimeline:
    told = await world.database.read(lambda c: order_timeline.get(c, *NAME))
    assert told is not None
    return told


@pytest.mark.parametrize(
    ("token", "verdict", "end"),
    [
        (LOST, Verdict.SUCCEEDED, "FINALIZED"),
        (LOST, Verdict.FAILED, "REJECTED GATEWAY_UNAVAILABLE"),
        (NEVER, Verdict.FAILED, "REJECTED GATEWAY_UNAVAILABLE"),
    ],
)
async def test_a_decided_payment_goes_on(
    world: World, token: str, verdict: Verdict, end: str
) -> None:
    await unknown(world, token)
    (it,) = await world.database.read(payment_review.undecided)
    assert (it.order_id, it.attempt_no, it.state, it.tries) == ("o", 1, "UNKNOWN", 1)
    assert "UNKNOWN payment" in (await tell(world)).waits_for
    await decide(world, verdict)
    with pytest.raises(errors.InvalidInput):
        await decide(world, verdict)
    assert await world.pass_time(1) == 1
    assert await world.states("o") == [end]
    assert not await world.database.read(payment_review.undecided)
    told = await tell(world)
    steps = [(step.who, step.why) for step in told.steps if step.who.startswith("operator")]
    assert steps == [("operator alex", "saw it there")]
    assert (told.waits_for, told.next_look_us) == ("", None)


async def test_only_who_is_not_asked_any_more_may_be_declined(world: World) -> None:
    await unknown(world, NEVER)
    with pytest.raises(errors.InvalidInput, match="still being asked"):
        await decide(world, Verdict.DECLINED)
    await world.pass_time(5)
    assert await world.states("o") == ["FINALIZED"]


async def test_the_gateway_is_asked_on_demand(world: World) -> None:
    await unknown(world, LOST)
    world.clock.advance_us(5_000_000)
    word = payment_review.Resolution(NAME, "alex", "", world.clock.now_us())
    await world.database.write(lambda c: payment_review.ask(c, word))
    assert await world.pass_time(0) == 1
    assert await world.states("o") == ["FINALIZED"]


async def test_a_story_from_a_letter_to_the_end(world: World) -> None:
    """Put aside because of the lives it cost, replayed, and brought to its end."""
    for _ in range(crash_counts.COUNTED_MAX):
        await world.database.write(_die_over_it)
    await world.run(shop.placed("o"), shop.placed("p"))
    assert await world.states("p") == ["FINALIZED"]
    (letter,) = await world.letters()
    told = await tell(world)
    assert (told.state, told.crashes) == (
        "PLACED",
        {topics.ORDER.name: crash_counts.COUNTED_MAX},
    )
    assert f"souk dlq show {letter.letter_key}" in told.waits_for

    mark = replay.Mark("replayed", "alex", "mended", world.clock.now_us())
    await replay.replay(world.database, world.bus, [letter.letter_key], mark)
    await world.drain()
    assert await dlq_copies.clear(world.database, world.bus) == 1
    told = await tell(world)
    assert (told.state, told.crashes, told.waits_for) == ("FINALIZED", {}, "")
    whats = [step.what for step in told.steps]
    key = letter.letter_key
    assert f"dead letter {key}, replayed" in whats
    assert f"LETTER_REPLAYED {key}: order_processing KILLED_THE_PROCESS" in whats


def _die_over_it(connection: sa.Connection) -> None:
    crash_counts.count(connection, topics.ORDER.name, [crash_counts.STAGE, SUBJECT], shop.NOW_US)


async def test_the_story_of_nothing(world: World) -> None:
    assert await world.database.read(lambda c: order_timeline.get(c, *NAME)) is None


def dropping(
    keys: Sequence[int], at_us: int, choice: held_orders.Choice | None = None
) -> db.Work[tuple[int, held_orders.Result]]:
    """Return the transaction of `souk dlq drop`."""
    mark = replay.Mark("dropped", "alex", "noise", at_us)
    decision = held_orders.Decision(choice, mark.actor, mark.reason, at_us)
    return lambda c: replay.drop(c, keys, mark, functools.partial(held_orders.decide, decision))


async def test_copies_stay_as_long_as_their_letters_are_open(world: World) -> None:
    wrong = [bus.Outgoing(topics.PLACED, "00", b"%d" % number) for number in range(5)]
    await world.bus.publish(wrong)
    await world.drain()
    foreign = bus.Outgoing(dead_letters.topic_for(topics.PLACED), "00", b"from before")
    await world.bus.publish([foreign])
    assert await dlq_copies.clear(world.database, world.bus) == 0
    keys = [letter.letter_key for letter in await world.letters()]
    for chosen, cleared in ((keys[:2], 2), (keys[2:], 4)):
        done, became = await world.database.write(dropping(chosen, world.clock.now_us()))
        assert (done, became) == (len(chosen), held_orders.Result())
        assert await dlq_copies.clear(world.database, world.bus) == cleared
    assert not await world.letters()


async def test_copies_on_pulsar(pulsar_options: settings.PulsarSettings, tmp_path: Path) -> None:  # noqa: F811
    database, broker = (
        sqlite.SqliteDatabase(tmp_path / "souk.db"),
        pulsar_bus.PulsarBus(pulsar_options, settings.TopicSettings()),
    )
    await database.write(migrate.upgrade)
    await broker.open()
    try:
        await broker.ensure(topics.subscriptions())
        poison = errors.Poison("SPOILT", "it smells")
        for number in range(3):
            place = dead_letters.Place("s", topics.PAID)
            new = dead_letters.of_unreadable(place, b"%d" % number, poison, 1)
            key = await database.write(lambda c, it=new: dead_letters.store(c, it))  # type: ignore[misc]
            await broker.publish([dead_letters.copy_of(new.letter, key)])
        assert await dlq_copies.clear(database, broker) == 0
        for keys in ([2], [1, 3]):
            await database.write(dropping(keys, 1))
            assert await dlq_copies.clear(database, broker) == len(keys)
    finally:
        await broker.close()
        await database.close()
