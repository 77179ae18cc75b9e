"""The contract of every implementation of internal.infra.bus.Bus.

An implementation's own test file derives from `BusContract` with a fixture `home`, and from
`BusMachine` with `new_home`. Topics have fresh names, so a broker that many tests share will do.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from internal.infra import bus
from internal.kernel import errors, ids

T = TypeVar("T")

TIMEOUT_S = 10.0
"""An expected message comes within this time."""

SILENCE_S = 0.1
"""A message that does not come within this time does not come."""


class Home(Protocol):
    """The storage of a bus: the next bus opened on it finds the messages of the last one."""

    async def open(self) -> bus.Bus:
        """Return an open bus."""
        ...

    async def close(self) -> None:
        """Release what is not the bus's own; every bus is closed by now."""
        ...


def outgoing(topic: str, *numbers: int, keys: int = 3) -> list[bus.Outgoing]:
    return [bus.Outgoing(topic, f"k{n % keys}", str(n).encode()) for n in numbers]


def numbers_of(deliveries: Iterable[bus.Delivery]) -> list[int]:
    return [int(delivery.payload) for delivery in deliveries]


async def take(subscription: bus.Subscription, count: int) -> list[bus.Delivery]:
    """Receive `count` messages."""
    taken: list[bus.Delivery] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def comes_nothing(subscription: bus.Subscription) -> bool:
    try:
        await asyncio.wait_for(subscription.receive(1), SILENCE_S)
    except TimeoutError:
        return True
    return False


async def becomes(probe: Callable[[], Awaitable[T]], wanted: T) -> None:
    """Wait until the probe returns `wanted`: some brokers count late."""
    async with asyncio.timeout(TIMEOUT_S):
        while (found := await probe()) != wanted:
            assert found is not None
            await asyncio.sleep(0.02)


PAYLOADS = (
    b"",
    b'{"v":2,"facts":[]}',
    b"\x00",
    b"nul\x00inside",
    bytes(range(256)),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "\ufeffß‰\U0001f9c3 \\u0000 \\ \" '\x7f\r\n\t\x01".encode(),
    b"x" * 1_000_000,
)
PROPERTIES: tuple[dict[str, str], ...] = (
    {},
    {"orders": "12"},
    {"": "", 'quo"te': "back\\slash\n", "ключ": "\x00\U0001f9c3"},
)


class BusContract:
    """The tests; `home` comes from the class derived from this."""

    @pytest.fixture
    def topic(self) -> str:
        return f"contract-{ids.random_token(6)}"

    @pytest.fixture
    async def the_bus(self, home: Home) -> AsyncIterator[bus.Bus]:
        opened = await home.open()
        yield opened
        await opened.close()

    async def test_each_message_comes_once_in_the_order_of_publishing(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        subscription = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(outgoing(topic, *range(100), keys=1))
        await the_bus.publish(outgoing(topic, *range(100, 130), keys=1))
        got = await take(subscription, 130)
        assert numbers_of(got) == list(range(130))
        assert len({delivery.message_id for delivery in got}) == 130
        await subscription.acknowledge(got)
        assert await comes_nothing(subscription)

    async def test_many_publish_at_once(self, the_bus: bus.Bus, topic: str) -> None:
        subscription = await the_bus.subscribe([topic], "stage")
        calls = [outgoing(topic, *range(n * 5, n * 5 + 5)) for n in range(60)]
        await asyncio.gather(*(the_bus.publish(call) for call in calls))
        assert sorted(numbers_of(await take(subscription, 300))) == list(range(300))

    async def test_keys_arrive_in_order(self, the_bus: bus.Bus, topic: str) -> None:
        subscription = await the_bus.subscribe([topic], "stage")
        for start in range(0, 60, 6):
            await the_bus.publish(outgoing(topic, *range(start, start + 6)))
        got = await take(subscription, 60)
        for key in ("k0", "k1", "k2"):
            numbers = numbers_of(delivery for delivery in got if delivery.key == key)
            assert numbers == sorted(numbers)
            assert len(numbers) == 20

    @pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: repr(payload[:12]))
    async def test_any_payload_arrives_as_it_was(
        self, home: Home, topic: str, payload: bytes
    ) -> None:
        first = await home.open()
        at_once = await first.subscribe([topic], "at-once")
        await first.ensure({topic: ["later"]})
        await first.publish([bus.Outgoing(topic, "k", payload)])
        assert [delivery.payload for delivery in await take(at_once, 1)] == [payload]
        await first.close()
        second = await home.open()
        later = await second.subscribe([topic], "later")
        assert [delivery.payload for delivery in await take(later, 1)] == [payload]
        await second.close()

    async def test_keys_and_properties_arrive_as_they_were(self, home: Home, topic: str) -> None:
        sent = [bus.Outgoing(topic, 'кл"ю\\ч \U0001f9c3', b"x", each) for each in PROPERTIES]
        first = await home.open()
        await first.ensure({topic: ["stage"]})
        await first.publish(sent)
        await first.close()
        second = await home.open()
        got = await take(await second.subscribe([topic], "stage"), len(sent))
        assert [(each.topic, each.key, each.properties) for each in got] == [
            (each.topic, each.key, each.properties) for each in sent
        ]
        await second.close()

    async def test_publishing_nothing_is_fine(self, the_bus: bus.Bus) -> None:
        await asyncio.wait_for(the_bus.publish([]), TIMEOUT_S)

    async def test_a_message_that_is_too_large_is_poison(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        with pytest.raises(errors.Poison):
            await the_bus.publish([bus.Outgoing(topic, "k", b"x" * 6 * 1024 * 1024)])

    async def test_unacknowledged_messages_come_again_after_close(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        first = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(outgoing(topic, *range(10), keys=1))
        got = await take(first, 6)
        await first.acknowledge(got[:2])
        await first.close()
        await first.acknowledge(got)  # too late
        second = await the_bus.subscribe([topic], "stage")
        assert numbers_of(await take(second, 8)) == list(range(2, 10))

    async def test_messages_acknowledged_out_of_order_do_not_come_again(
        self, home: Home, topic: str
    ) -> None:
        first = await home.open()
        subscription = await first.subscribe([topic], "stage")
        await first.publish(outgoing(topic, *range(9), keys=1))
        got = await take(subscription, 9)
        await subscription.acknowledge([got[7], got[1], got[4], got[4]])
        await first.close()
        second = await home.open()
        subscription = await second.subscribe([topic], "stage")
        left = [0, 2, 3, 5, 6, 8]
        assert numbers_of(await take(subscription, 6)) == left
        await becomes(lambda: second.backlog(topic, "stage"), 6)
        assert await comes_nothing(subscription)
        await second.close()

    async def test_a_new_bus_goes_on_where_the_old_one_stopped(
        self, home: Home, topic: str
    ) -> None:
        first = await home.open()
        subscription = await first.subscribe([topic], "stage")
        await first.publish(outgoing(topic, *range(5), keys=1))
        await subscription.acknowledge(await take(subscription, 3))
        await first.close()
        second = await home.open()
        await second.publish(outgoing(topic, 5, 6, keys=1))
        subscription = await second.subscribe([topic], "stage")
        assert numbers_of(await take(subscription, 4)) == [3, 4, 5, 6]
        await second.close()

    async def test_every_subscription_gets_everything(self, the_bus: bus.Bus, topic: str) -> None:
        some = [await the_bus.subscribe([topic], name) for name in ("a", "b", "c")]
        await the_bus.publish(outgoing(topic, *range(20), keys=1))
        await some[0].acknowledge(await take(some[0], 20))
        for subscription in some[1:]:
            assert numbers_of(await take(subscription, 20)) == list(range(20))

    async def test_one_subscription_reads_several_topics(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        other = f"{topic}-other"
        subscription = await the_bus.subscribe([topic, other], "stage")
        await the_bus.publish(outgoing(topic, 1) + outgoing(other, 2) + outgoing(topic, 3))
        got = await take(subscription, 3)
        assert sorted(numbers_of(got)) == [1, 2, 3]
        assert {delivery.topic for delivery in got} == {topic, other}
        await subscription.acknowledge(got)
        await becomes(lambda: the_bus.backlog(topic, "stage"), 0)
        await becomes(lambda: the_bus.backlog(other, "stage"), 0)

    async def test_two_consumers_share_the_keys(self, the_bus: bus.Bus, topic: str) -> None:
        consumers = [await the_bus.subscribe([topic], "stage") for _ in range(2)]
        got: list[list[bus.Delivery]] = [[], []]

        async def consume(which: int) -> None:
            while len(got[0]) + len(got[1]) < 200:
                some = await consumers[which].receive(5)
                got[which] += some
                await asyncio.sleep(0)
                await consumers[which].acknowledge(some)

        async with asyncio.timeout(TIMEOUT_S):
            tasks = [asyncio.create_task(consume(which)) for which in range(2)]
            for start in range(0, 200, 10):
                await the_bus.publish(outgoing(topic, *range(start, start + 10), keys=20))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        assert sorted(numbers_of(got[0] + got[1])) == list(range(200))
        for mine in got:
            by_key = [(each.key, int(each.payload)) for each in mine]
            assert sorted(by_key, key=lambda pair: pair[0]) == sorted(by_key)

    async def test_a_key_in_work_is_not_given_to_another_consumer(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        one = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(outgoing(topic, 1, keys=1))
        held = await take(one, 1)
        two = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(outgoing(topic, 2, keys=1))
        assert await comes_nothing(two)
        assert numbers_of(await take(one, 1)) == [2]
        await one.close()
        assert numbers_of(await take(two, 2)) == [1, 2]
        assert held

    async def test_a_late_subscription_gets_messages_kept_for_another(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        await the_bus.ensure({topic: ["early"]})
        await the_bus.publish(outgoing(topic, 1, 2, 3, keys=1))
        await the_bus.ensure({topic: ["early", "late"]})
        assert numbers_of(await take(await the_bus.subscribe([topic], "late"), 3)) == [1, 2, 3]

    async def test_messages_without_a_subscription_are_not_kept(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        await the_bus.publish(outgoing(topic, 1, keys=1))
        await the_bus.ensure({topic: ["stage"]})
        await the_bus.publish(outgoing(topic, 2, keys=1))
        assert numbers_of(await take(await the_bus.subscribe([topic], "stage"), 1)) == [2]

    async def test_no_more_are_out_than_the_limit(self, the_bus: bus.Bus, topic: str) -> None:
        subscription = await the_bus.subscribe([topic], "stage", unacked_messages_max=3)
        await the_bus.publish(outgoing(topic, *range(5), keys=1))
        got = await take(subscription, 3)
        assert await comes_nothing(subscription)
        waiting = asyncio.create_task(take(subscription, 2))
        await subscription.acknowledge(got[1:])
        assert numbers_of(await waiting) == [3, 4]
        assert await comes_nothing(subscription)

    async def test_a_receive_that_was_given_up_loses_nothing(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        subscription = await the_bus.subscribe([topic], "stage")
        assert await comes_nothing(subscription)
        await the_bus.publish(outgoing(topic, 1))
        assert numbers_of(await take(subscription, 1)) == [1]

    async def test_a_tail_sees_messages_published_from_now_on(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        unkept = f"{topic}-unkept"
        await the_bus.ensure({topic: ["stage"]})
        await the_bus.publish(outgoing(topic, 1))
        tail = await the_bus.tail([topic, unkept])
        await the_bus.publish(outgoing(topic, 2) + outgoing(unkept, 3))
        got = await take(tail, 2)
        assert sorted(numbers_of(got)) == [2, 3]
        await tail.acknowledge(got)
        await becomes(lambda: the_bus.backlog(topic, "stage"), 2)
        await tail.close()
        with pytest.raises(errors.BusAway):
            await tail.receive(1)

    async def test_a_tail_sees_only_what_it_wants(self, the_bus: bus.Bus, topic: str) -> None:
        wanted = {"b"}
        tail = await the_bus.tail([topic], lambda its, key: its == topic and key in wanted)
        await the_bus.publish([bus.Outgoing(topic, key, key.encode()) for key in "abcabc"])
        assert [it.payload for it in await take(tail, 2)] == [b"b", b"b"]
        wanted.add("c")  # it is asked when a message comes
        await the_bus.publish([bus.Outgoing(topic, key, key.encode()) for key in "abc"])
        assert sorted(it.payload for it in await take(tail, 2)) == [b"b", b"c"]
        assert await comes_nothing(tail)
        await tail.close()

    async def test_the_backlog_counts_unacknowledged_messages(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        await the_bus.ensure({topic: ["stage"]})
        await becomes(lambda: the_bus.backlog(topic, "stage"), 0)
        await the_bus.publish(outgoing(topic, *range(5)))
        await becomes(lambda: the_bus.backlog(topic, "stage"), 5)
        subscription = await the_bus.subscribe([topic], "stage")
        got = await take(subscription, 4)
        await becomes(lambda: the_bus.backlog(topic, "stage"), 5)
        await subscription.acknowledge(got[1:])
        await becomes(lambda: the_bus.backlog(topic, "stage"), 2)

    async def test_an_unknown_subscription_has_no_backlog(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        with pytest.raises(errors.Misconfigured, match=topic):
            await the_bus.backlog(topic, "unknown")

    async def test_every_durable_subscription_is_told(self, the_bus: bus.Bus, topic: str) -> None:
        await the_bus.ensure({topic: ["one", "two"], f"{topic}-other": ["one"]})
        await the_bus.publish(outgoing(topic, *range(4)))
        await the_bus.subscribe([topic], "two")
        tail = await the_bus.tail([topic])

        async def told() -> list[tuple[str, str, int, int]]:
            found = await the_bus.subscriptions([topic, f"{topic}-none"])
            return sorted((it.topic, it.name, it.messages, it.consumers) for it in found)

        await becomes(told, [(topic, "one", 4, 0), (topic, "two", 4, 1)])
        await tail.close()

    async def test_a_dropped_subscription_keeps_nothing(self, home: Home, topic: str) -> None:
        opened = await home.open()
        await opened.ensure({topic: ["forgotten", "stage"]})
        await opened.publish(outgoing(topic, *range(5), keys=1))
        await opened.drop(topic, "forgotten")
        await opened.drop(topic, "forgotten")
        await opened.drop(f"{topic}-none", "forgotten")
        assert [it.name for it in await opened.subscriptions([topic])] == ["stage"]
        with pytest.raises(errors.Misconfigured, match=topic):
            await opened.backlog(topic, "forgotten")
        await opened.publish(outgoing(topic, 5, keys=1))
        reader = await opened.subscribe([topic], "stage")
        assert numbers_of(await take(reader, 6)) == [*range(6)]
        await reader.close()
        await opened.drop(topic, "stage")
        await opened.ensure({topic: ["new"]})
        await opened.publish(outgoing(topic, 6, keys=1))
        await opened.close()
        again = await home.open()
        assert [it.name for it in await again.subscriptions([topic])] == ["new"]
        await again.close()

    async def test_partitions_that_are_opened_again_lose_nothing(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        """What was out comes again; both sides connect again by themselves."""
        await the_bus.ensure({topic: ["stage"]})
        reader = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(outgoing(topic, *range(4)))
        await take(reader, 4)
        (told,) = await the_bus.subscriptions([topic])
        for state in told.partitions:
            await the_bus.reopen(topic, state.partition)
        await the_bus.publish(outgoing(topic, *range(4, 8)))
        got: set[int] = set()
        async with asyncio.timeout(TIMEOUT_S):
            while got != set(range(4, 8)) and got != set(range(8)):
                deliveries = await reader.receive(8)
                got.update(numbers_of(deliveries))
                await reader.acknowledge(deliveries)

    async def test_close_wakes_waiting_readers(self, home: Home, topic: str) -> None:
        opened = await home.open()
        one, two = [await opened.subscribe([topic], name) for name in ("a", "b")]
        tail = await opened.tail([topic])
        waiting = [asyncio.create_task(each.receive(1)) for each in (one, two, tail)]
        await asyncio.sleep(0)
        await one.close()
        await opened.close()
        for task in waiting:
            with pytest.raises(errors.BusAway):
                await asyncio.wait_for(task, TIMEOUT_S)
        with pytest.raises(errors.BusAway):
            await opened.publish(outgoing(topic, 1))
        await opened.close()


class Reader(msgspec.Struct, eq=False):
    """A consumer, and the deliveries that are out with it by the model, by number."""

    name: str
    subscription: bus.Subscription
    out: dict[int, bus.Delivery] = {}
    is_gone: bool = False


class BusMachine(RuleBasedStateMachine):
    """Any mixture of publishing, receiving, acknowledging and leaving, beside a simple model.

    The model: per subscription the numbers that are not acknowledged, each with its key. A reader
    may get a number that is out with no reader, if all older ones of its key are acknowledged or
    out with the same reader.
    """

    readers = Bundle[Reader]("readers")
    names = ("stage", "audit")
    unacked_messages_max = 6

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.home = self.new_home()
        self.topic = f"machine-{ids.random_token(6)}"
        self.sent = 0
        self.unacked: dict[str, dict[int, str]] = {name: {} for name in self.names}
        self.present: list[Reader] = []
        self.bus = self.run(self.home.open())
        self.run(self.bus.ensure({self.topic: self.names}))

    def new_home(self) -> Home:
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, TIMEOUT_S))

    def messages(self, keys: Sequence[str]) -> list[bus.Outgoing]:
        """Make new messages, and note that every subscription is owed them."""
        made = []
        for key in keys:
            self.sent += 1
            made.append(bus.Outgoing(self.topic, key, str(self.sent).encode()))
            for owed in self.unacked.values():
                owed[self.sent] = key
        return made

    @rule(keys=st.lists(st.sampled_from("abc"), max_size=8))
    def publish(self, keys: list[str]) -> None:
        self.run(self.bus.publish(self.messages(keys)))

    @rule(calls=st.lists(st.lists(st.sampled_from("abc"), max_size=3), max_size=4))
    def publish_at_once(self, calls: list[list[str]]) -> None:
        async def publish() -> None:
            await asyncio.gather(*(self.bus.publish(self.messages(keys)) for keys in calls))

        self.run(publish())

    @precondition(lambda self: len(self.present) < 4)
    @rule(target=readers, name=st.sampled_from(names))
    def subscribe(self, name: str) -> Reader:
        return self.join(name)

    def join(self, name: str) -> Reader:
        limit = self.unacked_messages_max
        joining = self.bus.subscribe([self.topic], name, unacked_messages_max=limit)
        reader = Reader(name, self.run(joining))
        self.present.append(reader)
        return reader

    @rule(reader=readers, count=st.integers(1, 8))
    def receive(self, reader: Reader, count: int) -> None:
        if reader.is_gone:
            return
        others = [each for each in self.present if each.name == reader.name and each is not reader]
        is_owed = self.unacked[reader.name].keys() - reader.out.keys()
        has_room = len(reader.out) < self.unacked_messages_max
        must_come = bool(is_owed) and has_room and not others
        try:
            timeout_s = TIMEOUT_S / 2 if must_come else SILENCE_S / 10
            got = self.run(asyncio.wait_for(reader.subscription.receive(count), timeout_s))
        except TimeoutError:
            assert not must_come
            return
        assert 1 <= len(got) <= count
        for delivery in got:
            self.check_delivery(reader, delivery)
        assert len(reader.out) <= self.unacked_messages_max

    def check_delivery(self, reader: Reader, delivery: bus.Delivery) -> None:
        number, owed = int(delivery.payload), self.unacked[reader.name]
        assert owed[number] == delivery.key
        readers = [each for each in self.present if each.name == reader.name]
        assert not any(number in each.out for each in readers)
        older = {n for n, key in owed.items() if key == delivery.key and n < number}
        assert older <= reader.out.keys()
        reader.out[number] = delivery

    @rule(reader=readers, chosen=st.integers(1, 2**unacked_messages_max - 1))
    def acknowledge(self, reader: Reader, chosen: int) -> None:
        """Chosen by position, not by number: the deliveries that are out depend on the moment."""
        if reader.is_gone or not reader.out:
            return
        done = [number for place, number in enumerate(sorted(reader.out)) if chosen >> place & 1]
        self.run(reader.subscription.acknowledge([reader.out.pop(number) for number in done]))
        for number in done:
            del self.unacked[reader.name][number]

    @rule(reader=consumes(readers))
    def leave(self, reader: Reader) -> None:
        if not reader.is_gone:
            self.run(reader.subscription.close())
            self.forget(reader)

    @rule()
    def close_and_open_again(self) -> None:
        self.run(self.bus.close())
        for reader in tuple(self.present):
            self.forget(reader)
        self.bus = self.run(self.home.open())

    def forget(self, reader: Reader) -> None:
        reader.is_gone = True
        self.present.remove(reader)

    @invariant()
    def the_backlog_is_what_is_owed(self) -> None:
        for name, owed in self.unacked.items():
            backlog = functools.partial(self.bus.backlog, self.topic, name)
            self.run(becomes(backlog, len(owed)))

    def teardown(self) -> None:
        for reader in tuple(self.present):
            self.leave(reader)
        for name in self.names:
            reader = self.join(name)
            while self.unacked[name]:
                self.receive(reader, 100)
                for number in reader.out:
                    del self.unacked[name][number]
                self.run(reader.subscription.acknowledge(list(reader.out.values())))
                reader.out.clear()
        self.run(self.bus.close())
        self.run(self.home.close())
        self.runner.close()
