"""The relay loses no event, and repeats one only under its id and before its subject's next one.

Relays run on an in-memory database and broker that wait for a scheduler at every step, so that any
two of them interleave, die, or see the broker away wherever Hypothesis wants it.
"""

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import ProductsChanged
from internal.flow import relay
from internal.infra import bus, db
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, ManualClock
from internal.pipeline import outbox
from tests.support import profiles, staged_orders

T = TypeVar("T")
SEND_TIMEOUT_S = 10
LEASE_S = relay.LEASE_SENDS * SEND_TIMEOUT_S
SUBJECTS = ("m-1", "m-2")
RELAYS = 2


@types.coroutine
def step() -> Generator[None, None, None]:
    """Let the scheduler choose what happens next."""
    yield


class SteppedDatabase:
    """An in-memory database; something else may happen before and after each transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    async def write(self, work: db.Work[T], *, is_quick: bool = False) -> T:
        del is_quick
        await step()
        with staged_orders.transaction(self._connection):
            result = work(self._connection)
        await step()
        return result

    async def read(
        self, work: db.Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        del is_quick, limit_s
        await step()
        return work(self._connection)

    async def close(self) -> None:
        """Do nothing."""


class SteppedBroker:
    """A topic. It takes messages one by one, gives up in time, and may be away for some."""

    shard_keys = 16

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.messages: list[bus.Outgoing] = []
        self.is_away = False
        self.refused = ""
        """The key that it refuses."""

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        began_us = self._clock.now_us()
        for message in messages:
            await step()
            if self.is_away or self._clock.now_us() - began_us > SEND_TIMEOUT_S * US_PER_SECOND:
                raise errors.BusAway("no receipt")
            if message.key == self.refused:
                raise errors.Poison("REFUSED", message.key)
            self.messages.append(message)
        await step()


class World:
    """Relays, and what they work on."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.clock = connection, ManualClock(1)
        self.broker = SteppedBroker(self.clock)
        self.versions = dict.fromkeys(SUBJECTS, 0)
        self._looks: list[Coroutine[Any, Any, int] | None] = [None] * RELAYS

    def add(self, subject: str) -> None:
        self.versions[subject] += 1
        fact = ProductsChanged(
            merchant_id=subject,
            catalogue_version=self.versions[subject],
            skus=(),
            at_us=self.clock.now_us(),
        )
        outbox.add(self.connection, [fact], self.clock.now_us())

    def advance(self, place: int, steps: int = 1) -> None:
        """Let a relay take steps; its next look begins when one has ended."""
        for _ in range(steps):
            self._advance(place)

    def _advance(self, place: int) -> None:
        looks = self._looks[place]
        if looks is None:
            made = relay.Relay(
                SteppedDatabase(self.connection), self.broker, self.clock, SEND_TIMEOUT_S
            )
            looks = self._looks[place] = made.look()
        try:
            looks.send(None)
        except (StopIteration, errors.BusAway, errors.Poison):
            self._looks[place] = None

    def kill(self, place: int) -> None:
        looks = self._looks[place]
        if looks is not None:
            looks.close()
            self._looks[place] = None

    def drain(self) -> None:
        """Let one relay go on when all leases have ended, until nothing is left."""
        self.broker.is_away = False
        for place in range(RELAYS):
            self.kill(place)
        self.clock.advance_us((LEASE_S + 1) * US_PER_SECOND)
        while outbox.shards(self.connection):
            self.advance(0)

    def told(self, subject: str) -> list[int]:
        """Return the versions of a subject on the topic, without immediate repetitions."""
        told: list[tuple[int, str]] = []
        for message in self.broker.messages:
            fact = msgspec.json.decode(message.payload, type=ProductsChanged)
            this = fact.catalogue_version, message.properties["id"]
            if fact.merchant_id == subject and told[-1:] != [this]:
                told.append(this)
        return [version for version, _ in told]


ADD = st.sampled_from(SUBJECTS).map(lambda subject: ("add", subject))
STEPS = st.tuples(st.integers(0, RELAYS - 1), st.integers(1, 12)).map(lambda it: ("steps", it))
KILL = st.integers(0, RELAYS - 1).map(lambda place: ("kill", place))
WAIT = st.sampled_from([1, SEND_TIMEOUT_S, LEASE_S // 2, LEASE_S]).map(lambda s: ("wait", s))
AWAY = st.booleans().map(lambda is_away: ("away", is_away))
HAPPENINGS = st.lists(
    st.one_of(ADD, STEPS, STEPS, STEPS, KILL, WAIT, AWAY), min_size=80, max_size=120
)


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        yield opened


@profiles.tries(40)
@given(HAPPENINGS)
def test_no_event_is_lost_and_none_comes_late(
    connection: sa.Connection, happenings: list[tuple[str, Any]]
) -> None:
    connection.execute(outbox.OUTBOX.delete())
    world = World(connection)
    does: dict[str, Callable[[Any], None]] = {
        "add": world.add,
        "steps": lambda place_and_number: world.advance(*place_and_number),
        "kill": world.kill,
        "wait": lambda seconds: world.clock.advance_us(seconds * US_PER_SECOND),
        "away": lambda is_away: setattr(world.broker, "is_away", is_away),
    }
    for what, of in happenings:
        does[what](of)
    world.drain()
    for subject, versions in world.versions.items():
        assert world.told(subject) == list(range(1, versions + 1))


@pytest.mark.parametrize("waited_s", [0, LEASE_S // 2, LEASE_S])
@pytest.mark.parametrize("steps", range(1, 12))
def test_a_relay_that_stands_still_sends_nothing_late(
    connection: sa.Connection, steps: int, waited_s: int
) -> None:
    """Another one works meanwhile, on the same event and on the next one."""
    connection.execute(outbox.OUTBOX.delete())
    world = World(connection)
    world.add("m-1")
    world.advance(0, steps)
    world.clock.advance_us(waited_s * US_PER_SECOND)
    world.advance(1, 20)
    world.add("m-1")
    world.advance(1, 20)
    world.advance(0, 20)
    world.drain()
    assert world.told("m-1") == [1, 2]


def test_a_relay_that_died_repeats_the_event_under_its_id(connection: sa.Connection) -> None:
    connection.execute(outbox.OUTBOX.delete())
    world = World(connection)
    world.add("m-1")
    while not world.broker.messages:
        world.advance(0)
    world.kill(0)
    world.drain()
    first, again = world.broker.messages
    assert first == again


def test_an_event_that_the_broker_refuses_holds_up_its_shard_only(
    connection: sa.Connection,
) -> None:
    connection.execute(outbox.OUTBOX.delete())
    world = World(connection)
    for subject in SUBJECTS:
        world.add(subject)
    world.broker.refused = "m-2/catalogue"
    for _ in range(100):
        world.advance(0)
    assert (world.told("m-1"), world.told("m-2")) == ([1], [])
    world.broker.refused = ""
    world.drain()
    assert (world.told("m-1"), world.told("m-2")) == ([1], [1])


def test_a_message_has_the_attributes_of_cloud_events() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    fact = f'{{"type":"StockChanged","sku":"tea","trace_id":"{trace}"}}'
    row = outbox.Waiting(7, "m-1/main/tea", "events", "an-id", fact, 1_700_000_000_000_001)
    message = relay.message_of(row)
    assert (message.topic, message.key, message.payload) == (
        "events",
        "m-1/main/tea",
        fact.encode(),
    )
    assert message.properties.pop("traceparent").startswith(f"00-{trace}-")  # type: ignore[attr-defined]
    assert message.properties == {
        "specversion": "1.0",
        "id": "an-id",
        "type": "souk.v1.StockChanged",
        "source": "souk",
        "subject": "m-1/main/tea",
        "time": "2023-11-14T22:13:20.000001+00:00",
        "datacontenttype": "application/json",
    }


def test_the_second_event_of_a_subject_waits_for_the_receipt_of_the_first() -> None:
    rows = [
        outbox.Waiting(key, subject, "events", str(key), "{}", 1)
        for key, subject in enumerate("abaacb")
    ]
    parts = [[row.outbox_key for row in part] for part in relay.rounds(rows)]
    assert parts == [[0, 1, 4], [2, 5], [3]]
