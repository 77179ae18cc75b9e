"""Anything may happen to orders, in any order: the database is right after all of it.

Submit, retry, reuse an id, cancel, send any message again, crash, let time pass; payments are
declined, lost, or the gateway is away. Between two lives nothing remains but the files.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from internal.checks import invariants
from internal.flow import topics
from internal.infra import failpoints
from internal.infra.settings import MysqlSettings
from internal.kernel.clock import ManualClock
from internal.kernel.states import OrderState
from internal.orders import codec, messages
from internal.orders import store as orders_store
from internal.payments.messages import Tender
from tests.support import pipeline_fixture, profiles, shop

T = TypeVar("T")

TOKENS = {
    "tok_ok": "FINALIZED",
    "tok_slow": "FINALIZED",
    "tok_lost_answer": "FINALIZED",
    "tok_timeout_before": "FINALIZED",
    "tok_away_once": "FINALIZED",
    "tok_declined:no_funds": "REJECTED PAYMENT_DECLINED",
    "tok_away": "REJECTED GATEWAY_UNAVAILABLE",
}
"""What becomes of an order that is paid with this token."""
MOODY = {"tok_away_once", "tok_timeout_before"}
"""What the simulator does once, it does once in every life."""
TENDERS = st.sampled_from(
    [
        (shop.cash(),),
        *((shop.card(token=token),) for token in TOKENS),
        *((shop.cash(100), shop.card(token=token)) for token in TOKENS),
        (shop.card(200), shop.card(token="tok_declined:no_funds")),
        (shop.card(200, "tok_lost_answer"), shop.card(token="tok_declined:no_funds")),
    ]
)
LINES = st.sampled_from(
    [(("tea", 1),), (("tea", 2), ("cup", 3)), (("tea", 1), ("rare", 1)), (("nope", 1),)]
)
DEATHS = [
    f"{stage.name}.{place}"
    for stage in topics.STAGES
    for place in ("received", "after_commit", "before_ack")
]
HICCUPS = ["db.before_commit", "db.after_commit", "gateway.before_send", "gateway.after_send"]
A_LONG_TIME_S = (5, 10, 60, 120, 600, 3_600, 3_600)


class PipelineModel(RuleBasedStateMachine):
    """Knows what was asked for, and what must come of it."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, messages.OrderPlaced] = {}
        self.cancelled: set[str] = set()
        self.cancelled_first: set[str] = set()
        """Their cancel requests were acknowledged before they were placed."""
        self.lives = 0
        self.seen: dict[str, tuple[int, str]] = {}
        self.clock = ManualClock(shop.NOW_US)
        self.home = Path(tempfile.mkdtemp(prefix="souk-model-"))
        self.site = self.found()

    def found(self) -> pipeline_fixture.Site:
        return pipeline_fixture.copy(self.template, self.home / "data")

    @initialize()
    def live(self) -> None:
        """Begin a life on what the last one left."""
        self.lives += 1
        self.runner = asyncio.Runner()
        self.world = pipeline_fixture.World(self.site, self.clock)
        self.do(self.world.open())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def publish(self, *facts: messages.Fact) -> None:
        """Returns when the broker has them: from now on nothing may be lost."""
        self.do(self.world.publish(*facts))

    def an_order(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.first)), label="order")

    @rule(lines=LINES, tenders=TENDERS)
    def submit(self, lines: tuple[tuple[str, int], ...], tenders: tuple[Tender, ...]) -> None:
        order = shop.placed(f"o{len(self.first)}", *lines, tenders=tenders)
        self.first[order.order_id] = order
        self.publish(order)

    @precondition(lambda self: self.first)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.publish(self.first[self.an_order(data)])

    @precondition(lambda self: self.first)
    @rule(data=st.data(), lines=LINES, tenders=TENDERS)
    def reuse_an_id(
        self,
        data: st.DataObject,
        lines: tuple[tuple[str, int], ...],
        tenders: tuple[Tender, ...],
    ) -> None:
        self.publish(shop.placed(self.an_order(data), *lines, tenders=tenders))

    @precondition(lambda self: self.first)
    @rule(data=st.data(), request=st.integers(0, 2))
    def cancel(self, data: st.DataObject, request: int) -> None:
        order_id = self.an_order(data)
        self.cancelled.add(order_id)
        self.publish(shop.cancel(order_id, f"c-{order_id}-{request}"))

    @rule(request=st.integers(0, 2))
    def cancel_before_it_is_placed(self, request: int) -> None:
        order_id = f"o{len(self.first)}"
        self.publish(shop.cancel(order_id, f"c-{order_id}-{request}"))
        self.do(self.world.drain())
        self.cancelled_first.add(order_id)

    @rule()
    def cancel_what_nobody_ordered(self) -> None:
        self.publish(shop.cancel("nobody"))

    @precondition(lambda self: self.seen)
    @rule(places=st.lists(st.integers(0, 999), min_size=1, max_size=5))
    def send_messages_again(self, places: list[int]) -> None:
        """Any message of any stage, however old."""
        log = orders_store.ORDER_LOG.c
        query = sa.select(log.fact).order_by(log.order_key, log.version, log.stage, log.event_id)
        facts = self.do(self.world.database.read(lambda c: c.execute(query).scalars().all()))
        self.publish(*(codec.decode(facts[place % len(facts)]) for place in places))

    @rule()
    def drain(self) -> None:
        self.do(self.world.drain())
        self.look()

    @rule(seconds=st.sampled_from(A_LONG_TIME_S))
    def let_time_pass(self, seconds: int) -> None:
        self.do(self.world.pass_time(seconds))
        self.look()

    @rule()
    def crash(self) -> None:
        """Drop everything where it stands, and live again."""
        self.die()
        self.live()

    @rule(death=st.sampled_from(DEATHS), passage=st.integers(1, 3))
    def crash_at(self, death: str, passage: int) -> None:
        """Let a stage die at this place, if it comes there, and with it everything."""
        failpoints.arm(failpoints.parse(f"{death}=raise@{passage}"))
        with contextlib.suppress(ExceptionGroup):
            self.do(self.world.drain())
        failpoints.arm({})
        self.crash()

    @rule(name=st.sampled_from(HICCUPS), passage=st.integers(1, 5))
    def hiccup(self, name: str, passage: int) -> None:
        """Have the database or the gateway stumble at the next drain, above all after a commit."""
        failpoints.arm(failpoints.parse(f"{name}=raise@{passage}"))
        self.drain()
        failpoints.arm({})

    def die(self) -> None:
        self.do(self.world.die())
        self.runner.close()

    def look(self) -> None:
        """After every drain: the database is right, and no order has gone backwards."""
        assert not self.do(self.world.check())
        for order_id, placed in self.first.items():
            order = self.do(self.world.view(order_id))
            assert order.body_hash == placed.body_hash
            version, state = self.seen.get(order_id, (0, ""))
            assert order.version > version or (order.version, order.state) == (version, state)
            self.seen[order_id] = (order.version, order.state)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.come_to_an_end()
                self.do(self.world.close())
                self.runner.close()
        finally:
            failpoints.arm({})
            shutil.rmtree(self.home)

    def come_to_an_end(self) -> None:
        """In the end every order is where it belongs, and no operator is needed."""
        self.do(self.world.drain())
        for seconds in A_LONG_TIME_S:
            self.do(self.world.pass_time(seconds))
        self.look()
        assert not self.do(self.world.check(self.first))
        assert not self.do(self.world.letters())
        for order_id, placed in self.first.items():
            (end,) = self.do(self.world.states(order_id))
            assert end in self.possible_ends(placed), (order_id, end)
        tallies = self.do(self.world.database.read(invariants.summary))
        assert sum(tally.orders for tally in tallies) == len(self.first)

    def possible_ends(self, placed: messages.OrderPlaced) -> set[str]:
        if placed.order_id in self.cancelled_first:
            return {"CANCELLED CANCELLED_BY_MERCHANT"}
        skus = {line.sku for line in placed.lines}
        if "nope" in skus:
            return {"REJECTED UNKNOWN_SKU"}
        if sum(tender.amount_minor or 0 for tender in placed.tenders) > 1_000:
            return {"REJECTED TENDERS_DO_NOT_COVER_TOTAL"}
        ends = {TOKENS.get(shop.token_of(placed.tenders[-1]), str(OrderState.FINALIZED))}
        tokens = {shop.token_of(tender) for tender in placed.tenders}
        if "tok_away" in tokens or (self.lives > 3 and tokens & MOODY):
            ends.add(str(OrderState.ACCEPTED))  # the operators have it, if a crash left a doubt
            ends.add(TOKENS["tok_away"])
        if "rare" in skus:
            ends.add("REJECTED OUT_OF_STOCK")
        if placed.order_id in self.cancelled:
            ends.add("CANCELLED CANCELLED_BY_MERCHANT")
        return ends


class TestPipeline(PipelineModel.TestCase):  # type: ignore[misc, valid-type] # made by Hypothesis
    """The machine as a test."""

    settings = profiles.tries(50, steps=30)

    @classmethod
    def setUpClass(cls) -> None:
        PipelineModel.template = Path(tempfile.mkdtemp(prefix="souk-model-"))
        asyncio.run(pipeline_fixture.found(pipeline_fixture.Site(PipelineModel.template)))

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(PipelineModel.template)


class MysqlModel(PipelineModel):
    """The same with its database on a server."""

    server: MysqlSettings

    def found(self) -> pipeline_fixture.Site:
        site = pipeline_fixture.Site(self.home, self.server)
        asyncio.run(pipeline_fixture.found(site))
        return site


@pytest.mark.usefixtures("_server")
class TestPipelineOnMysql(MysqlModel.TestCase):  # type: ignore[misc, valid-type] # made by Hypothesis
    """The machine as a test."""

    settings = profiles.tries(8, steps=25)

    @pytest.fixture(scope="class")
    @classmethod
    def _server(cls, mysql_books: MysqlSettings) -> None:
        MysqlModel.server = mysql_books
