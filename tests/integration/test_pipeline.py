"""An order's whole way over the embedded bus: what is written, and what comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import backlogs, dlq_copies, replay, topics
from internal.infra import bus, failpoints
from internal.infra.migrations import append_only
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey, StockLevel
from internal.kernel.clock import ManualClock
from internal.ledger import store as ledger_store
from internal.orders import codec, messages
from internal.orders import store as orders_store
from internal.pipeline import dead_letters, handler
from internal.pricing.messages import Adjustment, AdjustmentKind
from internal.requests import store as requests_store
from internal.requests.messages import RequestKey
from tests.support import facts, shop, stock
from tests.support.pipeline_fixture import Site, World, opened


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    async with opened(site) as world:
        yield world
        await world.drain()
        assert not await world.check()


async def test_an_order_comes_to_its_end(world: World) -> None:
    """Tea 20.00 and cups 7.50, less 10 %: 25.35 to pay, 5.00 in cash. Every row by hand."""
    tenth = (Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)
    tenders = (shop.cash(500), shop.card())
    await world.run(shop.placed("o", ("tea", 2), ("cup", 3), tenders=tenders, adjustments=tenth))
    order = await world.view("o")
    assert (order.state, order.charge_state, order.stock_state) == (
        "FINALIZED",
        "FULL",
        "COMMITTED",
    )
    assert (order.gross_minor, order.discount_minor, order.net_minor) == (2_750, 275, 2_188)
    assert (order.tax_minor, order.total_minor) == (347, 2_535)
    assert (order.version, order.receipt_no, order.due_at_us) == (5, 1, None)
    assert [(li.sku, li.discount_minor, li.tax_minor, li.total_minor) for li in order.lines] == [
        ("tea", 200, 287, 1_800),
        ("cup", 75, 60, 735),
    ]
    assert [(a.key, a.answered_minor, a.state) for a in order.attempts] == [
        ("m-1/o/1", 2_035, "SUCCEEDED")
    ]
    assert [(it.tender.tender_ref, it.captured_minor) for it in order.tenders] == [
        ("t1", 500),
        ("t2", 2_035),
    ]
    assert [(e.stage, e.version, str(e.state)) for e in order.timeline] == [
        ("intake", 1, "PLACED"),
        ("order_processing", 2, "ACCEPTED"),
        ("payment_processing", 4, "PAID"),  # 3: the charge is PENDING
        ("finalization", 5, "FINALIZED"),
    ]
    balances = await world.database.read(lambda c: ledger_store.find_balances(c, shop.MERCHANT))
    assert {b.account: b.debit_minor - b.credit_minor for b in balances} == {
        "cash_drawer:main": 500,
        "clearing": 2_035,
        "discount:main": 243,
        "revenue:main": -2_431,
        "tax:main:inside": -287,
        "tax:main:on-top": -60,
    }
    levels = await world.database.read(lambda c: inventory_store.list_levels(c, shop.MERCHANT))
    left = {key.sku: (level.on_hand_milli, level.reserved_milli) for key, level in levels}
    assert (left["tea"], left["cup"]) == ((998_000, 0), (997_000, 0))
    assert not await world.check(["o"])


async def test_an_outcome_is_told_to_who_listens(world: World) -> None:
    tail = await world.bus.tail(topics.OUTCOMES)
    await world.run(shop.placed("o"), shop.placed("p", ("nope", 1)))
    heard: list[tuple[str, str, int]] = []
    async with asyncio.timeout(5):
        while len(heard) < 4:
            for delivery in await tail.receive(10):
                for fact in topics.ENVELOPE.facts_in(delivery.payload):
                    assert not isinstance(fact, Exception)
                    heard.append((delivery.topic, fact.key, getattr(fact, "version", 0)))
    assert [item for item in heard if item[1] == "p"] == [(topics.REJECTED, "p", 2)]
    assert [item for item in heard if item[1] == "o"] == [
        (topics.ACCEPTED, "o", 2),
        (topics.PAID, "o", 3),
        (topics.FINALIZED, "o", 4),
    ]


async def test_every_refusal_has_its_reason(world: World) -> None:
    too_much = (Adjustment(AdjustmentKind.AMOUNT, 1_001),)
    refused = shop.card(token="tok_declined:no_funds")
    await world.run(
        shop.placed("a", ("nope", 1)),
        shop.placed("b", ("old", 1)),
        shop.placed("c", ("ghost", 1)),
        shop.placed("d", ("rare", 3)),
        shop.placed("e", tenders=(shop.cash(1),)),
        shop.placed("f", adjustments=too_much),
        shop.placed("g", tenders=(refused,)),
        shop.placed("h", merchant_id="m-9"),
        shop.placed("z"),
    )
    assert await world.states(*"abcdefgz") == [
        "REJECTED UNKNOWN_SKU",
        "REJECTED INACTIVE_SKU",
        "REJECTED NOT_STOCKED",
        "REJECTED OUT_OF_STOCK",
        "REJECTED TENDERS_DO_NOT_COVER_TOTAL",
        "REJECTED DISCOUNT_TOO_LARGE",
        "REJECTED PAYMENT_DECLINED",
        "FINALIZED",
    ]
    tallies = await world.database.read(invariants.summary)
    assert invariants.Tally("REJECTED", "UNKNOWN_STORE", 1) in tallies


async def test_a_decline_gives_back_what_the_other_tender_paid(world: World) -> None:
    tenders = (shop.cash(100), shop.card(300), shop.card(token="tok_declined:no_funds"))
    await world.run(shop.placed("o", tenders=tenders))
    order = await world.view("o")
    assert (order.charge_state, order.stock_state) == ("VOIDED", "RELEASED")
    made = [(str(a.operation), a.tender_no, str(a.state)) for a in order.attempts]
    assert made == [("SALE", 2, "SUCCEEDED"), ("SALE", 3, "DECLINED"), ("VOID", 2, "SUCCEEDED")]
    assert [it.state for it in order.tenders] == ["NONE", "VOIDED", "DECLINED"]


async def test_a_lost_answer_is_found_by_the_janitor(world: World) -> None:
    await world.run(shop.placed("o", tenders=(shop.card(token="tok_lost_answer"),)))
    assert (await world.view("o")).charge_state == "UNKNOWN"
    assert await world.pass_time(4) == 0
    assert await world.pass_time(1) == 1
    assert await world.states("o") == ["FINALIZED"]
    assert [a.tries for a in (await world.view("o")).attempts] == [1]


async def test_a_request_that_never_arrived_is_sent_again(world: World) -> None:
    await world.run(shop.placed("o", tenders=(shop.card(token="tok_timeout_before"),)))
    assert await world.states("o") == ["ACCEPTED"]
    await world.pass_time(5)
    assert await world.states("o") == ["FINALIZED"]


async def test_a_gateway_that_was_away_for_a_moment(world: World) -> None:
    await world.run(shop.placed("o", tenders=(shop.card(token="tok_away_once"),)))
    assert (await world.view("o")).charge_state == "PENDING"
    assert await world.pass_time(2) == 1
    assert await world.states("o") == ["FINALIZED"]


async def test_a_gateway_that_stays_away(world: World) -> None:
    await world.run(shop.placed("o", tenders=(shop.cash(1), shop.card(token="tok_away"))))
    for seconds in (2, 10):
        assert await world.pass_time(seconds) == 1
        assert await world.states("o") == ["ACCEPTED"]
    assert await world.pass_time(60) == 1
    assert await world.states("o") == ["REJECTED GATEWAY_UNAVAILABLE"]


async def test_a_slow_gateway_holds_nobody_else_up(world: World) -> None:
    slow = [shop.placed(f"s{n}", tenders=(shop.card(token="tok_slow"),)) for n in range(20)]
    await world.run(*slow, shop.placed("o"))
    assert set(await world.states("o", *(order.order_id for order in slow))) == {"FINALIZED"}


async def test_the_same_order_again_is_one_order(world: World) -> None:
    order = shop.placed("o", tenders=(shop.card(),))
    await world.run(order, order)
    before = await world.dump()
    await world.run(order)
    await world.run(order, order, order)
    assert await world.dump() == before


async def test_another_order_under_the_same_id_changes_nothing(world: World) -> None:
    await world.run(shop.placed("o"), shop.placed("o", ("cup", 1)))
    await world.run(shop.placed("o", ("cup", 2)))
    order = await world.view("o")
    assert (str(order.state), order.total_minor, order.version) == ("FINALIZED", 1_000, 4)
    notes = [entry for entry in order.timeline if entry.reason == "ORDER_ID_REUSED"]
    assert len(notes) == 2


async def test_an_order_is_cancelled_before_it_is_paid(world: World) -> None:
    await world.run(shop.cancel("o"))
    await world.run(shop.placed("o", ("tea", 7)))
    assert await world.states("o") == ["CANCELLED CANCELLED_BY_MERCHANT"]
    assert not (await world.view("o")).attempts
    before = await world.dump()
    await world.run(shop.cancel("o"), shop.placed("o", ("tea", 7)))
    assert await world.dump() == before


async def test_an_order_is_not_cancelled_after_it_is_paid(world: World) -> None:
    await world.run(shop.placed("o"))
    await world.run(shop.cancel("o"))
    assert await world.states("o") == ["FINALIZED"]
    assert not [e for e in (await world.view("o")).timeline if e.stage == "cancel"]
    key = RequestKey(shop.MERCHANT, messages.CancelRequested.method, "c-1")
    found = await world.database.read(lambda c: requests_store.find(c, [key]))
    assert found[key].status == "ORDER_NOT_CANCELLABLE"


async def test_an_order_is_not_cancelled_while_its_payment_is_unknown(world: World) -> None:
    await world.run(shop.placed("o", tenders=(shop.card(token="tok_lost_answer"),)))
    await world.run(shop.cancel("o"))
    await world.pass_time(5)
    assert await world.states("o") == ["FINALIZED"]


async def facts_of(world: World, order_id: str) -> list[messages.Fact]:
    return [entry.fact for entry in (await world.view(order_id)).timeline]


async def test_every_message_may_come_again(world: World) -> None:
    """One by one, all at once, in the wrong order: nothing changes."""
    refused = (shop.cash(300), shop.card(token="tok_declined:no_funds"))
    await world.run(
        shop.placed("o", tenders=(shop.cash(300), shop.card())), shop.placed("p", tenders=refused)
    )
    before = await world.dump()
    facts = await facts_of(world, "o") + await facts_of(world, "p")
    for fact in facts:
        await world.run(fact)
    await world.run(*facts, *reversed(facts))
    assert await world.dump() == before
    assert not await world.letters()


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


TROUBLE = [
    f"{name}=raise@{passages}"
    for name in (
        "db.before_commit",
        "db.after_commit",
        "order_processing.after_begin",
        "order_processing.after_claim",
        "order_processing.before_commit",
        "payment_processing.after_begin",
        "payment_processing.after_claim",
        "payment_processing.before_commit",
        "finalization.after_begin",
        "finalization.after_claim",
        "finalization.before_commit",
        "gateway.before_send",
        "gateway.after_send",
    )
    for passages in ("1", "2-4", "3-12")
]


@pytest.mark.usefixtures("disarmed")
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_trouble_of_the_database_passes(world: World, trouble: str) -> None:
    """Above all a commit whose answer is lost: the transaction is done again."""
    failpoints.arm(failpoints.parse(trouble))
    refused = (shop.cash(300), shop.card(token="tok_declined:no_funds"))
    await world.run(shop.cancel("d"))  # first: once "d" is there, its payment may overtake this
    await world.run(
        shop.placed("a", tenders=(shop.cash(300), shop.card())),
        shop.placed("b", tenders=refused),
        shop.placed("c", ("nope", 1)),
        shop.placed("d", ("tea", 5)),
    )
    failpoints.arm({})
    assert await world.states(*"abcd") == [
        "FINALIZED",
        "REJECTED PAYMENT_DECLINED",
        "REJECTED UNKNOWN_SKU",
        "CANCELLED CANCELLED_BY_MERCHANT",
    ]
    assert not await world.letters()


DEATHS = [
    f"{stage.name}.{place}"
    for stage in topics.STAGES
    for place in ("received", "after_commit", "before_ack")
]


@pytest.mark.usefixtures("disarmed")
@pytest.mark.parametrize("death", DEATHS)
async def test_a_stage_that_dies_goes_on_in_the_next_life(site: Site, death: str) -> None:
    clock = ManualClock(shop.NOW_US)
    orders = [shop.placed(f"o{n}", tenders=(shop.cash(300), shop.card())) for n in range(5)]
    async with opened(site, clock) as world:
        failpoints.arm(failpoints.parse(f"{death}=raise"))
        with pytest.raises(ExceptionGroup):
            await world.run(*orders)
        failpoints.arm({})
    async with opened(site, clock) as world:
        await world.drain()
        names = [order.order_id for order in orders]
        assert not await world.check(names)
        assert set(await world.states(*names)) == {"FINALIZED"}
        assert [a.state for a in (await world.view("o1")).attempts] == ["SUCCEEDED"]


async def test_stages_may_be_started_one_after_another(site: Site) -> None:
    """Every message is kept until its stage comes."""
    for stages in ([], [topics.ORDER], [topics.PAYMENT], [topics.FINALIZATION]):
        async with opened(site, stages=stages) as world:
            if not stages:
                await world.publish(shop.placed("o", tenders=(shop.card(),)), shop.placed("p"))
            for stage in stages:
                await _drained(world, stage)
    async with opened(site) as world:
        assert await world.states("o", "p") == ["FINALIZED"] * 2
        assert not await world.check(["o", "p"])


async def _drained(world: World, stage: handler.Stage) -> None:
    async with asyncio.timeout(5):
        while await backlogs.messages(world.bus, stage):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_order_whose_message_is_lost_is_driven_on(site: Site) -> None:
    clock = ManualClock(shop.NOW_US)
    async with opened(site, clock, stages=[topics.ORDER]) as world:
        await world.publish(shop.placed("o"))
        thief = await world.bus.subscribe([topics.ACCEPTED], topics.PAYMENT.subscription)
        await thief.acknowledge(await thief.receive(10))
    async with opened(site, clock) as world:
        await world.drain()
        assert await world.states("o") == ["ACCEPTED"]
        assert await world.pass_time(29) == 0
        assert await world.pass_time(1) == 1
        assert await world.states("o") == ["FINALIZED"]
        assert await world.pass_time(600) == 0


async def test_a_busy_stage_is_given_no_more(site: Site) -> None:
    """Late is not stuck: the janitor leaves the order to the backlog that it waits in."""
    clock = ManualClock(shop.NOW_US)
    async with opened(site, clock, stages=[topics.ORDER]) as world:
        for number in range(250):
            await world.publish(shop.placed(f"o{number}", ("gift", 1)))
        await _drained(world, topics.ORDER)
        waiting = await world.bus.backlog(topics.ACCEPTED, topics.PAYMENT.subscription)
        clock.advance_us(10**9)
        driven = await world.janitor.look()
        assert driven == (250 if waiting <= 200 else 0)
    async with opened(site, clock) as world:
        await world.drain()
        assert not await world.check(f"o{number}" for number in range(250))


POISON = [
    b"no JSON at all",
    b"\xff\xfe\x00",
    b'{"v":2,"facts":' + b"[" * 50_000,
    b'{"v":1,"facts":[]}',
    b'{"v":2,"facts":[{"type":"OrderLost"}]}',
    codec.encode(msgspec.structs.replace(shop.placed("big"), placed_at_us=2**63)),
    codec.encode(msgspec.structs.replace(shop.placed("huge"), placed_at_us=10**400)),
    *(
        codec.encode(msgspec.structs.replace(fact, order_id=type(fact).__name__, order_key=2**80))
        for fact in facts.EXAMPLES
        if isinstance(fact, messages.OrderAccepted | messages.OrderPaid)
    ),
]


@pytest.mark.parametrize("stage", topics.STAGES, ids=lambda stage: stage.name)
async def test_only_the_poison_becomes_a_dead_letter(world: World, stage: handler.Stage) -> None:
    good = [shop.placed(f"o{number}") for number in range(20)]
    poison = [bus.Outgoing(topic, "00", payload) for topic in stage.topics for payload in POISON]
    await world.bus.publish(poison)
    await world.publish(*good)
    await world.bus.publish(poison)
    await world.drain()
    assert set(await world.states(*(order.order_id for order in good))) == {"FINALIZED"}
    letters = await world.letters()
    assert {letter.stage for letter in letters} == {stage.name}
    of_orders = [letter.subject for letter in letters if letter.subject]
    each = len(stage.topics)  # the same of the same order is kept once, for each topic
    assert len(letters) - len(of_orders) == each * (2 * len(POISON) - 2 * len(set(of_orders)))
    assert len(of_orders) == each * len(set(of_orders))
    for topic in map(dead_letters.topic_for, stage.topics):
        dead = await world.bus.backlog(topic, topics.DEAD_LETTER_SUBSCRIPTION)
        assert dead == 2 * len(POISON)


@pytest.mark.parametrize("twin", ["by-hand-1 ", "by-hand-1\t", "BY HAND 1"])
async def test_an_id_that_only_one_database_tells_apart_is_unreadable(
    world: World, twin: str
) -> None:
    """A server does not compare blanks at the end: it would be the same order, or a conflict."""
    await world.run(shop.placed("by-hand-1"))
    before = await world.dump()
    await world.bus.publish(
        [bus.Outgoing(topics.PLACED, "03", codec.encode(shop.placed(twin, ("tea", 2))))]
    )
    await world.drain()
    (letter,) = await world.letters()
    assert (letter.code, letter.subject) == ("UNREADABLE_FACT", "")
    assert repr(twin) in letter.explanation
    after = await world.dump()
    of_orders = ("orders", "order_lines", "order_log", "stock", "stage_attempts")
    assert [after[name] for name in of_orders] == [before[name] for name in of_orders]


async def test_a_message_of_another_database_becomes_a_dead_letter(site: Site) -> None:
    """A key that nobody has, and a key that is another order's: neither changes the database."""
    async with opened(site, stages=[topics.ORDER]) as world:
        await world.publish(shop.placed("o", tenders=(shop.card(),)))
        await _drained(world, topics.ORDER)
        (_, accepted) = await facts_of(world, "o")
    assert isinstance(accepted, messages.OrderAccepted)
    async with opened(site) as world:
        strangers = [
            msgspec.structs.replace(accepted, order_id="p", total_minor=1),
            msgspec.structs.replace(accepted, order_key=accepted.order_key + 99),
        ]
        await world.run(*strangers)
        assert await world.states("o") == ["FINALIZED"]
        assert [letter.code for letter in await world.letters()] == ["UNKNOWN_ORDER"] * 2
        assert not await world.check(["o"])


async def test_a_dead_letter_is_replayed_when_its_cause_is_gone(world: World) -> None:
    """A damaged log stops one order; nobody drives it on until it is mended and replayed."""
    log = orders_store.ORDER_LOG
    await world.run(shop.placed("a", tenders=(shop.card(token="tok_away_once"),)))
    trigger = append_only.trigger_name(log.name, "UPDATE")
    await world.database.write(lambda c: c.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}"))
    hide = log.update().where(log.c.version == 2).values(event_id="hidden")
    show = log.update().where(log.c.event_id == "hidden").values(event_id="placed")
    facts = await facts_of(world, "a")
    await world.database.write(lambda c: c.execute(hide))
    await world.run(facts[1], shop.placed("b"))
    assert await world.states("a", "b") == ["ACCEPTED", "FINALIZED"]
    (letter,) = await world.letters()
    assert (letter.code, letter.subject) == ("NOT_IN_THE_LOG", "a")
    assert await world.pass_time(600) == 0
    await world.database.write(lambda c: c.execute(show))
    assert await _replay(world, letter.letter_key) == 1
    assert await world.states("a") == ["FINALIZED"]
    assert not await world.letters()


async def test_stock_that_is_written_off_under_a_promise_holds_up_no_order(world: World) -> None:
    await world.run(shop.placed("a", tenders=(shop.card(token="tok_away_once"),)))
    key = StockKey(shop.MERCHANT, shop.STORE, "tea")
    await world.database.write(lambda c: stock.move(c, key, -1_000))
    await world.publish(shop.placed("b"))
    await world.pass_time(2)
    assert await world.states("a", "b") == ["FINALIZED", "REJECTED OUT_OF_STOCK"]
    assert not await world.letters()
    levels = await world.database.read(lambda c: inventory_store.find_levels(c, [key]))
    assert levels == {key: StockLevel(-1_000, 0)}
    assert not await world.check(["a", "b"])


async def test_a_reservation_that_vanished_holds_up_one_order(world: World) -> None:
    """Changed by hand: that sale waits for an operator, others go on."""
    t = inventory_store.STOCK.c
    tea = (t.merchant_id == shop.MERCHANT) & (t.sku == "tea")
    world.clock.advance_us(1)
    await world.run(shop.placed("a", tenders=(shop.card(token="tok_away_once"),)))
    none = inventory_store.STOCK.update().where(tea).values(reserved_milli=0)
    await world.database.write(lambda c: c.execute(none))
    await world.publish(shop.placed("b", ("cup", 1)))
    await world.pass_time(2)
    assert await world.states("a", "b") == ["PAID", "FINALIZED"]
    (letter,) = await world.letters()
    assert (letter.code, letter.subject, letter.stage) == ("CONFLICT", "a", "finalization")
    back = inventory_store.STOCK.update().where(tea).values(reserved_milli=1_000)
    await world.database.write(lambda c: c.execute(back))
    assert await _replay(world, letter.letter_key) == 1
    assert await world.states("a") == ["FINALIZED"]


async def _replay(world: World, letter_key: int) -> int:
    """Send a letter again and wait; its copy goes too, and only that."""
    mark = replay.Mark("replayed", "somebody", "mended", world.clock.now_us())
    outcome = await replay.replay(world.database, world.bus, [letter_key], mark)
    await world.drain()
    assert await dlq_copies.clear(world.database, world.bus) == 1
    return outcome.replayed


async def test_many_orders_of_every_kind(world: World) -> None:
    kinds = [
        {"tenders": (shop.cash(),)},
        {"tenders": (shop.cash(1), shop.card())},
        {"tenders": (shop.card(token="tok_random"),)},
        {"tenders": (shop.card(token="tok_declined:no_funds"),)},
        {"tenders": (shop.card(500), shop.card(token="tok_random"))},
        {"adjustments": (Adjustment(AdjustmentKind.BASIS_POINTS, 10_000),), "tenders": ()},
    ]
    orders = [
        shop.placed(f"o{number}", ("tea", 1 + number % 3), ("cup", 1), **kinds[number % 6])  # type: ignore[arg-type]
        for number in range(300)
    ]
    for start in range(0, 300, 50):
        await world.publish(*orders[start : start + 50], *orders[start : start + 5])
    await world.drain()
    for seconds in (5, 30, 60, 120, 600, 3_600):
        await world.pass_time(seconds)
    assert not await world.check(order.order_id for order in orders)
    tallies = await world.database.read(invariants.summary)
    assert {tally.state for tally in tallies} == {"FINALIZED", "REJECTED"}


async def test_the_books_hold_no_canary(world: World) -> None:
    """Whoever puts a card number on a topic by hand finds it on no other table than the bus's.

    The API server refuses it. A message that cannot be read is kept without it; the bus keeps
    messages as they were sent.
    """
    canary = "4111111111111111"
    await world.bus.publish([bus.Outgoing(topics.PLACED, "00", f"a card: {canary}".encode())])
    await world.drain()
    found = await world.database.read(lambda c: invariants.canaries(c, [canary]))
    where = [example for finding in found for example in finding.examples]
    assert all(example.startswith("column=bus_messages.payload") for example in where)
    table = sa.text("SELECT content FROM private_values")
    kept = await world.database.read(lambda c: c.execute(table).scalar_one())
    assert kept == "a card: [card number]"
