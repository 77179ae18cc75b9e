"""Dead letters that are dropped or replayed, on both databases: no order is left behind."""

import functools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from internal.flow import replay
from internal.infra import bus, db
from internal.kernel import errors, ids
from internal.orders import messages
from internal.payments.gateways import simulator
from internal.stages import finalization, held_orders, order_processing, payment_processing
from internal.stages.held_orders import Choice
from internal.views import order_timeline
from tests.support import shop
from tests.support.pipeline_fixture import GATEWAY_FILE, Site, World, found, opened

LEFT_BEHIND = "an open order has a deadline, a hold, an open dead letter or an undecided payment"
REFS = {name: ids.OrderRef(shop.MERCHANT, name) for name in "op"}


@pytest.fixture(params=["sqlite", "mysql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    server = request.getfixturevalue("mysql_books") if request.param == "mysql" else None
    site = Site(tmp_path, server)
    await found(site)
    async with opened(site) as world:
        yield world
        await world.drain()
        assert not await world.check()


def fail(*_: object, **__: object) -> NoReturn:
    """Stand for a stage that has a bug."""
    raise KeyError("sku")


BROKEN = {
    "ACCEPTED": (payment_processing, "carry_out"),
    "PAID": (finalization, "finalize"),
}
"""By the state that an order is left in: the code that fails."""


async def put_aside(world: World, state: str, patch: pytest.MonkeyPatch) -> list[int]:
    """Place an order that a bug stops in this state; mend the bug; return its letters."""
    with patch.context() as broken:
        broken.setattr(*BROKEN[state], fail)
        await world.run(shop.placed("o", tenders=(shop.card(400), shop.card())))
    assert await world.states("o") == [state]
    assert (await world.view("o")).due_at_us is None
    assert not await world.check()
    return [letter.letter_key for letter in await world.letters()]


def dropping(
    world: World, keys: Sequence[int], choice: Choice | None
) -> db.Work[tuple[int, held_orders.Result]]:
    """Return the transaction of `souk dlq drop`."""
    at_us = world.clock.now_us()
    mark = replay.Mark("dropped", "alex", "cannot be mended", at_us)
    decision = held_orders.Decision(choice, mark.actor, mark.reason, at_us)
    return lambda c: replay.drop(c, keys, mark, functools.partial(held_orders.decide, decision))


def captured(world: World) -> dict[str, int]:
    return simulator.SimulatorLedger(world.folder / GATEWAY_FILE).captured_by_key()


@pytest.mark.parametrize("state", BROKEN)
async def test_an_order_is_not_dropped_with_its_letter(
    world: World, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await put_aside(world, state, monkeypatch)
    before = await world.dump()
    with pytest.raises(errors.OrdersHeldUp, match=f"m-1/o {state}"):
        await world.database.write(dropping(world, keys, None))
    assert await world.dump() == before


@pytest.mark.parametrize("state", BROKEN)
async def test_driven_on(world: World, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = await put_aside(world, state, monkeypatch)
    done, became = await world.database.write(dropping(world, keys, Choice.DRIVE_ON))
    assert (done, became.driven_on) == (1, (REFS["o"],))
    assert not await world.letters()
    assert await world.pass_time(0) == 1
    assert await world.states("o") == ["FINALIZED"]
    assert sum(captured(world).values()) == 1_000


@pytest.mark.parametrize("state", BROKEN)
async def test_given_up_and_placed_again(
    world: World, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer pays once, and the stock is sold once."""
    keys = await put_aside(world, state, monkeypatch)
    _, became = await world.database.write(dropping(world, keys, Choice.REJECT))
    await world.publish(*became.facts)
    await world.run(shop.placed("p", tenders=(shop.card(),)))
    await world.pass_time(0)
    assert await world.states("o", "p") == ["REJECTED GIVEN_UP_BY_OPERATOR", "FINALIZED"]
    assert captured(world) == {"m-1/p/1": 1_000}
    assert not await world.check(acknowledged=["o", "p"])


async def test_a_drop_that_decides_nothing_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: closing the letter alone, as it once was."""
    keys = await put_aside(world, "PAID", monkeypatch)
    mark = replay.Mark("dropped", "alex", "as it once was", world.clock.now_us())
    await world.database.write(lambda c: replay.drop(c, keys, mark, lambda *_: None))
    await world.pass_time(3_600)
    assert await world.states("o") == ["PAID"]
    (finding,) = await world.check()
    assert (finding.invariant, finding.sentence) == ("I11", LEFT_BEHIND)
    done, became = await world.database.write(dropping(world, keys, Choice.REJECT))
    assert (done, became.returning) == (0, (REFS["o"],)), "the letter is closed; its order is not"
    await world.pass_time(0)
    assert await world.states("o") == ["REJECTED GIVEN_UP_BY_OPERATOR"]
    told = await world.database.read(lambda c: order_timeline.get(c, *REFS["o"]))
    assert told is not None
    steps = [(it.what, it.why) for it in told.steps if it.who == "operator alex"]
    assert steps[1:] == [("ORDER_GIVEN_UP 4: PAID, money FULL", "cannot be mended")]


class Losing:
    """A broker that takes messages and loses them."""

    shard_keys = 16

    async def ensure(self, wanted: Any) -> None:  # noqa: ANN401 - as the port has it
        """See Bus.ensure."""

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish."""


class Slow:
    """The world's broker, whose receipt comes when every stage is done with the message."""

    shard_keys = 16

    def __init__(self, world: World) -> None:
        self._world = world

    async def ensure(self, wanted: Any) -> None:  # noqa: ANN401 - as the port has it
        """See Bus.ensure."""

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        """See Publisher.publish."""
        await self._world.bus.publish(messages)
        await self._world.drain()


async def replayed(world: World, keys: Sequence[int], broker: object) -> replay.Outcome:
    mark = replay.Mark("replayed", "alex", "mended", world.clock.now_us())
    return await replay.replay(world.database, broker, keys, mark)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", BROKEN)
async def test_a_replayed_order_has_its_deadline_back(
    world: World, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await put_aside(world, state, monkeypatch)
    assert await replayed(world, keys, Losing()) == replay.Outcome(1, ())
    assert not await world.check()
    assert await world.pass_time(29) == 0
    assert await world.pass_time(1) == 1
    assert await world.states("o") == ["FINALIZED"]


async def test_a_replay_of_an_order_that_ended_meanwhile_gives_no_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await put_aside(world, "PAID", monkeypatch)
    assert await replayed(world, keys, Slow(world)) == replay.Outcome(1, ())
    assert await world.states("o") == ["FINALIZED"]
    assert (await world.view("o")).due_at_us is None


async def test_a_letter_that_comes_back_at_once_stays_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a recorded order, and one of an order that is in its letter only."""
    keys = await put_aside(world, "PAID", monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        broken.setattr(finalization, "finalize", fail)
        await world.run(shop.placed("p"))
        keys = [letter.letter_key for letter in await world.letters()]
        assert len(keys) == 2
        outcome = await replayed(world, keys, Slow(world))
        assert (outcome.replayed, sorted(outcome.came_back)) == (0, keys)
        assert [letter.letter_key for letter in await world.letters()] == keys
    assert await replayed(world, keys, world.bus) == replay.Outcome(2, ())
    await world.drain()
    assert await world.states("o", "p") == ["FINALIZED", "FINALIZED"]


async def test_an_order_that_is_not_recorded_is_named_and_can_be_placed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        await world.run(shop.placed("o"))
    keys = [letter.letter_key for letter in await world.letters()]
    done, became = await world.database.write(dropping(world, keys, None))
    assert (done, became) == (1, held_orders.Result(not_recorded=(REFS["o"],)))
    await world.run(shop.placed("o"))
    assert await world.states("o") == ["FINALIZED"]


async def test_an_order_that_is_not_recorded_is_rejected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(order_processing, "place", fail)
        await world.run(shop.placed("o"), shop.placed("p"))
    keys = [letter.letter_key for letter in await world.letters()]
    await world.run(shop.placed("p"))
    done, became = await world.database.write(dropping(world, keys, Choice.REJECT))
    assert (done, became.rejected, became.not_recorded) == (2, (REFS["o"],), ())
    assert await world.states("o", "p") == ["REJECTED GIVEN_UP_BY_OPERATOR", "FINALIZED"]
    assert not await world.check(acknowledged=["o", "p"])


async def test_whoever_waits_hears_of_a_rejection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(payment_processing, "carry_out", fail)
        await world.run(shop.placed("o"))
    keys = [letter.letter_key for letter in await world.letters()]
    _, became = await world.database.write(dropping(world, keys, Choice.REJECT))
    (fact,) = became.facts
    assert isinstance(fact, messages.OrderRejected)
    assert await world.states("o") == [f"REJECTED {fact.reason}"]
