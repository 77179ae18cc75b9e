"""The bus over Pulsar keeps the contract of every bus, and more guarantees. Needs a broker."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator

import msgspec
import pulsar
import pytest

from internal.infra import bus, failpoints, retry, settings
from internal.infra.pulsar_bus import admin, driver, publisher, readers
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.kernel import errors, ids
from tests.contract import bus_contract
from tests.support import profiles, pulsar_proxy
from tests.support import pulsar as brokers
from tests.support.pulsar import pulsar_options  # noqa: F401 - a fixture

SMALL = publisher.Limits(
    batch_messages_max=3, batch_bytes_max=200, in_flight_messages_max=4, in_flight_bytes_max=400
)
"""So small that few messages reach every limit."""


class BrokerHome:
    """A namespace of a broker."""

    def __init__(self, options: settings.PulsarSettings) -> None:
        self.options = options

    async def open(self) -> pulsar_bus.PulsarBus:
        opened = pulsar_bus.PulsarBus(self.options, brokers.TOPICS)
        await opened.open()
        return opened

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


@pytest.fixture
async def home(pulsar_options: settings.PulsarSettings) -> BrokerHome:  # noqa: F811
    return BrokerHome(pulsar_options)


@pytest.fixture
async def the_bus(home: BrokerHome) -> AsyncIterator[pulsar_bus.PulsarBus]:
    opened = await home.open()
    yield opened
    await opened.close()


@pytest.fixture
async def client(home: BrokerHome) -> AsyncIterator[pulsar.Client]:
    """A client as the functions runtime would provide it."""
    opened = await asyncio.to_thread(driver.open_client, home.options, None)
    yield opened
    await asyncio.to_thread(driver.close_quietly, opened)


@pytest.fixture
def topic() -> str:
    return f"own-{ids.random_token(6)}"


@pytest.fixture
def failing() -> Iterator[None]:
    """Disarm what a test arms."""
    yield
    failpoints.arm({})


class TestContract(bus_contract.BusContract):
    """On a broker, with Pulsar's deviations."""

    async def test_a_key_in_work_is_not_given_to_another_consumer(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        """Pulsar decides who gets the key when the second consumer joins.

        If the second one gets it, later messages wait until the first one has acknowledged its own;
        until then no consumer receives them.
        """
        one = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(bus_contract.outgoing(topic, 1, keys=1))
        held = await bus_contract.take(one, 1)
        two = await the_bus.subscribe([topic], "stage")
        await the_bus.publish(bus_contract.outgoing(topic, 2, keys=1))
        assert await bus_contract.comes_nothing(two)
        await one.close()
        assert bus_contract.numbers_of(await bus_contract.take(two, 2)) == [1, 2]
        assert held

    async def test_messages_without_a_subscription_are_not_kept(
        self, the_bus: bus.Bus, topic: str
    ) -> None:
        """Pulsar deletes whole ledgers, minutes later: the test does not wait for that."""
        assert isinstance(the_bus, pulsar_bus.PulsarBus)
        await the_bus.publish(bus_contract.outgoing(topic, 1, keys=1))
        await brokers.Topic(the_bus._options, topic).trim()
        await the_bus.ensure({topic: ["stage"]})
        await the_bus.publish(bus_contract.outgoing(topic, 2, keys=1))
        subscription = await the_bus.subscribe([topic], "stage")
        assert bus_contract.numbers_of(await bus_contract.take(subscription, 1)) == [2]


class PulsarMachine(bus_contract.BusMachine):
    """Fewer examples than for the embedded bus: every step waits for a broker's counters."""

    def new_home(self) -> bus_contract.Home:
        return BrokerHome(brokers.options())


TestMachine = PulsarMachine.TestCase
TestMachine.settings = profiles.tries(20, steps=20)


async def test_concurrent_publications_keep_their_order(
    client: pulsar.Client, home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    """Even those that wait for the first producer, or for room."""
    subscription = await the_bus.subscribe([topic], "stage")
    tight = publisher.PulsarPublisher(client, home.options, brokers.TOPICS, SMALL)
    calls = [tight.publish(bus_contract.outgoing(topic, n, keys=1)) for n in range(100)]
    await asyncio.gather(*calls)
    got = await bus_contract.take(subscription, 100)
    assert bus_contract.numbers_of(got) == list(range(100))
    await tight.close()


async def test_a_long_publication_is_cut_and_keeps_its_order(
    client: pulsar.Client, home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    subscription = await the_bus.subscribe([topic], "stage")
    tight = publisher.PulsarPublisher(client, home.options, brokers.TOPICS, SMALL)
    await tight.publish(bus_contract.outgoing(topic, *range(50), keys=1))
    got = await bus_contract.take(subscription, 50)
    assert bus_contract.numbers_of(got) == list(range(50))
    await tight.close()


async def test_publishers_wait_while_too_much_is_in_flight(
    client: pulsar.Client, home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    await the_bus.ensure({topic: ["stage"]})
    tight = publisher.PulsarPublisher(client, home.options, brokers.TOPICS, SMALL)
    most = 0

    async def publish(number: int) -> None:
        nonlocal most
        await tight.publish([bus.Outgoing(topic, "k", b"x" * 90 * (number % 3))])
        most = max(most, tight._in_flight_messages)
        assert tight._in_flight_bytes <= SMALL.in_flight_bytes_max

    await asyncio.gather(*(publish(number) for number in range(60)))
    assert most <= SMALL.in_flight_messages_max
    assert tight._in_flight_messages == tight._in_flight_bytes == 0
    await bus_contract.becomes(lambda: the_bus.backlog(topic, "stage"), 60)
    await tight.close()


async def test_of_a_call_with_poison_nothing_is_sent(
    the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    subscription = await the_bus.subscribe([topic], "stage")
    large = bus.Outgoing(topic, "k", b"x" * publisher.MESSAGE_BYTES_MAX)
    with pytest.raises(errors.Poison):
        await the_bus.publish([*bus_contract.outgoing(topic, 1), large])
    assert await bus_contract.comes_nothing(subscription)


async def test_the_largest_message_arrives(the_bus: pulsar_bus.PulsarBus, topic: str) -> None:
    subscription = await the_bus.subscribe([topic], "stage")
    properties = {f"name-{n}": "v" * 1_000 for n in range(1_000)}
    spent = publisher._texts_bytes(bus.Outgoing(topic, "", b"", properties))
    payload = b"x" * (publisher.MESSAGE_BYTES_MAX - spent - 1)
    await the_bus.publish([bus.Outgoing(topic, "k", payload, properties)])
    got = await bus_contract.take(subscription, 1)
    assert (got[0].payload, got[0].properties) == (payload, properties)


async def test_a_dead_producer_is_replaced(
    client: pulsar.Client, home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    """Repeated, the publication that failed still comes before what is published after it."""
    subscription = await the_bus.subscribe([topic], "stage")
    ours = publisher.PulsarPublisher(client, home.options, brokers.TOPICS)
    await ours.publish(bus_contract.outgoing(topic, 1, keys=1))
    await asyncio.to_thread(ours._topics[topic].producer.close)
    with pytest.raises(errors.BusAway):
        await ours.publish(bus_contract.outgoing(topic, 2, 3, keys=1))
    await ours.publish(bus_contract.outgoing(topic, 2, 3, keys=1))
    await ours.publish(bus_contract.outgoing(topic, 4, keys=1))
    got = await bus_contract.take(subscription, 4)
    assert bus_contract.numbers_of(got) == [1, 2, 3, 4]
    await ours.close()


async def test_a_producer_that_lost_its_connection_for_good_is_replaced(
    home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    """The client holds it for connected, and never hears of its messages again: decision 0022."""
    subscription = await the_bus.subscribe([topic], "stage")
    async with pulsar_proxy.closing_producers(home.options, brokers.TOPICS.partitions) as through:
        ours = pulsar_bus.PulsarBus(
            through.model_copy(update={"send_timeout_s": 1.0}), brokers.TOPICS
        )
        await ours.open()
        with pytest.raises(errors.BusAway):
            await ours.publish(bus_contract.outgoing(topic, 1, 2, keys=1))
        await ours.publish(bus_contract.outgoing(topic, 1, 2, keys=1))
        await ours.publish(bus_contract.outgoing(topic, 3, keys=1))
        got = await bus_contract.take(subscription, 5)
        assert bus_contract.numbers_of(got) == [1, 2, 1, 2, 3]
        await ours.close()


async def test_receipts_that_are_lost_with_the_client(
    client: pulsar.Client, home: BrokerHome, topic: str
) -> None:
    ours = publisher.PulsarPublisher(client, home.options, brokers.TOPICS)
    await ours.publish(bus_contract.outgoing(topic, 0))
    calls = [ours.publish(bus_contract.outgoing(topic, n)) for n in range(500)]
    waiting = asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.to_thread(client.close)
    answers = await asyncio.wait_for(waiting, bus_contract.TIMEOUT_S)
    assert {type(answer) for answer in answers} <= {errors.BusAway, type(None)}
    with pytest.raises(errors.BusAway):
        await ours.publish(bus_contract.outgoing(topic, 1))
    assert ours._in_flight_messages == ours._in_flight_bytes == 0
    await ours.close()


async def test_a_publication_that_is_given_up_takes_no_room(
    client: pulsar.Client, home: BrokerHome, topic: str
) -> None:
    tight = publisher.PulsarPublisher(client, home.options, brokers.TOPICS, SMALL)
    calls = [asyncio.create_task(tight.publish(bus_contract.outgoing(topic, n))) for n in range(9)]
    await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.wait_for(tight.publish(bus_contract.outgoing(topic, 9)), bus_contract.TIMEOUT_S)
    assert tight._in_flight_messages == tight._in_flight_bytes == 0
    await tight.close()


async def test_publishing_goes_on_while_the_topic_moves(
    the_bus: pulsar_bus.PulsarBus, home: BrokerHome, topic: str
) -> None:
    """Nothing is lost, nothing overtakes; copies may come, as after any lost receipt.

    A broker on a busy machine takes longer to open the topic again than a receipt is waited for:
    then the message is published again, as all callers do.
    """
    subscription = await the_bus.subscribe([topic], "stage")

    async def publish() -> None:
        for number in range(200):
            message = bus_contract.outgoing(topic, number, keys=1)
            await retry.until_it_works("test", functools.partial(the_bus.publish, message))

    publishing = asyncio.create_task(publish())
    for _ in range(3):
        await asyncio.sleep(0.05)
        await brokers.Topic(home.options, topic).unload()
    await publishing
    seen: dict[int, None] = {}
    async with asyncio.timeout(bus_contract.TIMEOUT_S):
        while len(seen) < 200:
            got = await subscription.receive(100)
            seen |= dict.fromkeys(bus_contract.numbers_of(got))
            await subscription.acknowledge(got)
    assert list(seen) == list(range(200))


async def test_messages_that_are_out_do_not_come_again_after_a_reconnection(
    the_bus: pulsar_bus.PulsarBus, home: BrokerHome, topic: str
) -> None:
    subscription = await the_bus.subscribe([topic], "stage", unacked_messages_max=4)
    await the_bus.publish(bus_contract.outgoing(topic, 1, 2, 3, keys=1))
    got = await bus_contract.take(subscription, 3)
    await brokers.Topic(home.options, topic).unload()
    await the_bus.publish(bus_contract.outgoing(topic, 4, keys=1))
    got += await bus_contract.take(subscription, 1)
    assert bus_contract.numbers_of(got) == [1, 2, 3, 4]
    await subscription.acknowledge(got)
    await bus_contract.becomes(lambda: the_bus.backlog(topic, "stage"), 0)
    assert await bus_contract.comes_nothing(subscription)


async def test_a_tail_goes_on_after_a_reconnection(
    the_bus: pulsar_bus.PulsarBus, home: BrokerHome, topic: str
) -> None:
    tail = await the_bus.tail([topic])
    await the_bus.publish(bus_contract.outgoing(topic, 1, keys=1))
    assert bus_contract.numbers_of(await bus_contract.take(tail, 1)) == [1]
    await brokers.Topic(home.options, topic).unload()
    await the_bus.publish(bus_contract.outgoing(topic, 2, keys=1))
    assert bus_contract.numbers_of(await bus_contract.take(tail, 1)) == [2]


async def dropped_by(tail: readers.Tail) -> int:
    return tail.dropped_messages


async def test_a_slow_tail_loses_the_oldest(home: BrokerHome, topic: str) -> None:
    opened = pulsar_bus.PulsarBus(home.options, brokers.TOPICS, tail_messages_max=3)
    await opened.open()
    tail = await opened.tail([topic])
    await opened.publish(bus_contract.outgoing(topic, *range(10), keys=1))
    await bus_contract.becomes(functools.partial(dropped_by, tail), 7)
    assert bus_contract.numbers_of(await tail.receive(10)) == [7, 8, 9]
    await opened.close()


async def test_a_subscription_that_was_given_up_holds_no_keys(
    the_bus: pulsar_bus.PulsarBus, home: BrokerHome, topic: str
) -> None:
    await the_bus.ensure({topic: ["stage"]})
    joining = asyncio.create_task(the_bus.subscribe([topic], "stage"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await asyncio.sleep(bus_contract.SILENCE_S)
    there = brokers.Topic(home.options, topic)
    await bus_contract.becomes(lambda: there.consumers("stage"), 0)


async def test_orders_waiting_are_estimated_from_what_was_published_or_tailed(
    the_bus: pulsar_bus.PulsarBus, home: BrokerHome, topic: str
) -> None:
    async def orders(told_by: pulsar_bus.PulsarBus) -> int:
        (told,) = await told_by.subscriptions([topic])
        return told.orders

    await the_bus.ensure({topic: ["stage"]})
    listening, stranger = await home.open(), await home.open()
    tail = await listening.tail([topic])
    await the_bus.publish([bus.Outgoing(topic, "k", b"x", {"orders": n}) for n in ("5", "9")])
    await bus_contract.becomes(lambda: orders(the_bus), 14)
    await bus_contract.take(tail, 2)
    assert await orders(listening) in {10, 18}  # one of them was sampled
    assert await orders(stranger) == 2
    await listening.close()
    await stranger.close()


async def test_the_oldest_message_has_an_age(the_bus: pulsar_bus.PulsarBus, topic: str) -> None:
    await the_bus.ensure({topic: ["stage"]})
    (told,) = await the_bus.subscriptions([topic])
    assert told.oldest_age_us == 0
    await the_bus.publish(bus_contract.outgoing(topic, 1))
    await asyncio.sleep(0.1)
    await the_bus.publish(bus_contract.outgoing(topic, 2))
    (told,) = await the_bus.subscriptions([topic])
    assert 50_000 < told.oldest_age_us < 5_000_000


async def test_it_is_told_how_far_each_partition_is_delivered(
    the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    await the_bus.ensure({topic: ["stage"]})
    await the_bus.publish(bus_contract.outgoing(topic, *range(8)))

    async def told() -> list[int]:
        """Return what is told of all partitions: number, messages, out, delivered, with room."""
        (found,) = [it.partitions for it in await the_bus.subscriptions([topic])]
        assert [it.partition for it in found] == [*range(brokers.TOPICS.partitions)]
        sums = [sum(each) for each in zip(*map(msgspec.structs.astuple, found), strict=True)]
        return sums[1:]

    partitions = brokers.TOPICS.partitions
    await bus_contract.becomes(told, [8, 0, 0, 0])
    reader = await the_bus.subscribe([topic], "stage")
    got = await bus_contract.take(reader, 8)
    await bus_contract.becomes(told, [8, 8, 8, partitions])
    await reader.acknowledge(got)
    await bus_contract.becomes(told, [0, 0, 8, partitions])


async def test_nothing_is_created_without_a_namespace(home: BrokerHome, topic: str) -> None:
    nowhere = home.options.model_copy(update={"namespace": "nowhere"})
    with pytest.raises(errors.Misconfigured, match="deploy_functions"):
        await pulsar_bus.PulsarBus(nowhere, brokers.TOPICS).open()
    async with admin.PulsarAdmin(nowhere) as api:
        with pytest.raises(errors.Misconfigured, match="Namespace not found"):
            await api.ensure({topic: ["stage"]}, brokers.TOPICS.partitions)


async def test_an_invalid_topic_name_is_poison(the_bus: pulsar_bus.PulsarBus) -> None:
    with pytest.raises(errors.Poison):
        await the_bus.publish([bus.Outgoing("a/b", "k", b"x")])


@pytest.mark.usefixtures("failing")
async def test_failpoints_are_where_the_embedded_bus_has_them(
    the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    subscription = await the_bus.subscribe([topic], "stage")
    failpoints.arm(failpoints.parse("bus.before_publish=raise,bus.before_ack=raise"))
    with pytest.raises(errors.BusAway):
        await the_bus.publish(bus_contract.outgoing(topic, 1))
    failpoints.arm(failpoints.parse("bus.after_publish=raise,bus.before_ack=raise"))
    with pytest.raises(errors.BusAway):
        await the_bus.publish(bus_contract.outgoing(topic, 2))
    got = await bus_contract.take(subscription, 1)
    assert bus_contract.numbers_of(got) == [2]
    with pytest.raises(errors.BusAway):
        await subscription.acknowledge(got)
    await subscription.acknowledge(got)
    await bus_contract.becomes(lambda: the_bus.backlog(topic, "stage"), 0)


@pytest.mark.parametrize("instances", [1, 2, 4, 8])
async def test_an_order_stays_on_one_partition_and_in_order(
    the_bus: pulsar_bus.PulsarBus, topic: str, instances: int
) -> None:
    """However many instances share the topic, also while they join one after the other."""
    orders, steps = [f"o-{number}" for number in range(100)], 10
    arrived: list[tuple[int, bus.Delivery]] = []
    done = asyncio.Event()

    async def serve(instance: int) -> None:
        await asyncio.sleep(0.05 * instance)
        consumer = await the_bus.subscribe([topic], "stage", unacked_messages_max=20)
        while True:
            got = await consumer.receive(5)
            arrived.extend((instance, each) for each in got)
            await asyncio.sleep(0.001)
            await consumer.acknowledge(got)
            if len(arrived) >= len(orders) * steps:
                done.set()

    await the_bus.ensure({topic: ["stage"]})
    async with asyncio.timeout(60):
        serving = [asyncio.create_task(serve(instance)) for instance in range(instances)]
        for step in range(steps):
            keys = {order: ids.shard_of("m", order, the_bus.shard_keys) for order in orders}
            sent = [bus.Outgoing(topic, keys[it], f"{it} {step}".encode()) for it in orders]
            await the_bus.publish(sent)
            await asyncio.sleep(0.1)
        await done.wait()
    for task in serving:
        task.cancel()
    seen: dict[str, list[int]] = {}
    partitions: dict[str, set[str]] = {}
    for _, delivery in arrived:
        order, number = delivery.payload.decode().split()
        seen.setdefault(order, []).append(int(number))
        partitions.setdefault(order, set()).add(delivery.message_id.split(":")[2])
    assert seen == {order: list(range(steps)) for order in orders}
    assert {len(of_order) for of_order in partitions.values()} == {1}
    used = set.union(*partitions.values())
    assert used == set(map(str, range(brokers.TOPICS.partitions)))
    assert len({instance for instance, _ in arrived}) > instances // 2


async def test_a_topic_with_other_partitions_is_refused(
    home: BrokerHome, the_bus: pulsar_bus.PulsarBus, topic: str
) -> None:
    await the_bus.ensure({topic: ["stage"]})
    await the_bus.ensure({topic: ["stage"]})
    async with admin.PulsarAdmin(home.options) as api:
        with pytest.raises(errors.Misconfigured, match="has 2 partitions, and SOUK_TOPICS") as it:
            await api.ensure({topic: ["stage"]}, 8)
    assert "\n" not in str(it.value)
