"""Orders and cancel requests in any order, each message any number of times, with crashes between.

The machine knows what must come of each request; a stage without the table of requests fails it.
"""

import contextlib

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from internal.checks import invariants
from internal.flow import topics
from internal.kernel.facts import Fact
from internal.kernel.states import OrderState
from internal.orders import messages
from internal.payments.messages import Tender
from internal.pipeline import handler
from internal.requests import store as requests_store
from internal.requests.messages import Request, RequestKey, RequestState
from internal.stages import commands
from tests.support import gateways, profiles, shop, staged_orders

ORDERS = st.sampled_from(["a", "b"])
REQUESTS = st.sampled_from(["c-1", "c-2", "c-3"])
SETTINGS = profiles.tries(30, steps=20)
AT_ONCE = settings(SETTINGS, phases=[Phase.generate])
"""The first failure will do; a shorter one takes longer to find."""
PASSES_MAX = 3
"""Of any message, if all that have come are taken at once."""
CHOICE = st.lists(st.integers(0, 99), min_size=1, max_size=4)


class Interleavings(RuleBasedStateMachine):
    """The order stage, whose messages come whenever they like."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        connection = self.stack.enter_context(staged_orders.database())
        shop.open_for_business(connection)
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)
        self.unacknowledged: list[Fact] = []
        self.old: list[Fact] = []
        """Acknowledged, and may still come again."""
        self.half_way: list[Fact] = []
        """They have had their first pass."""
        self.accepted: list[Fact] = []
        self.sent: list[Fact] = []
        self.promised: set[str] = set()
        """Orders whose cancel request was told to wait."""
        self.answers: dict[RequestKey, Request] = {}

    @rule(order_id=ORDERS, tenders=st.sampled_from([(shop.cash(),), (shop.card(),)]))
    def place(self, order_id: str, tenders: tuple[Tender, ...]) -> None:
        self.unacknowledged.append(shop.placed(order_id, tenders=tenders))

    @rule(order_id=ORDERS, request_id=REQUESTS, reason=st.sampled_from(["", "another"]))
    def cancel(self, order_id: str, request_id: str, reason: str) -> None:
        self.unacknowledged.append(shop.cancel(order_id, request_id, reason=reason))

    @precondition(lambda self: self.unacknowledged)
    @rule(places=CHOICE, dies=st.booleans())
    def deliver(self, places: list[int], *, dies: bool) -> None:
        """Let the stage take messages, and maybe die between its commit and its publishing."""
        facts = self.pick(self.unacknowledged, places)
        self.take(facts, dies=dies)

    @precondition(lambda self: self.half_way)
    @rule(places=CHOICE, dies=st.booleans())
    def go_on(self, places: list[int], *, dies: bool) -> None:
        """Give commands their second pass."""
        facts = self.pick(self.half_way, places)
        self.half_way = [fact for fact in self.half_way if fact not in facts]
        self.take(facts, dies=dies)

    @precondition(lambda self: self.old)
    @rule(places=CHOICE)
    def come_again(self, places: list[int]) -> None:
        """Deliver old messages again: of a broker that has lost receipts, or a dead letter."""
        self.unacknowledged += self.pick(self.old, places)

    @precondition(lambda self: self.accepted)
    @rule(places=CHOICE)
    def pay(self, places: list[int]) -> None:
        self.line.carry(*self.pick(self.accepted, places))

    @staticmethod
    def pick(facts: list[Fact], places: list[int]) -> list[Fact]:
        return [facts[place] for place in dict.fromkeys(it % len(facts) for it in places)]

    def take(self, facts: list[Fact], *, dies: bool) -> None:
        self.promised |= self.waiting() - self.recorded()
        outcomes = self.line.record(topics.PLACED, *map(self.line.work, facts))
        self.look()
        for fact, outcome in zip(facts, outcomes, strict=True):
            if isinstance(outcome, handler.Waiting):
                self.half_way += [] if dies else [fact]
            elif not dies:
                self.sent += outcome.facts
                self.accepted += [
                    it for it in outcome.facts if isinstance(it, messages.OrderAccepted)
                ]
                self.acknowledge(fact)

    def acknowledge(self, fact: Fact) -> None:
        if fact in self.unacknowledged:
            self.unacknowledged.remove(fact)
        self.old.append(fact)

    def recorded(self) -> set[str]:
        rows = self.line.connection.exec_driver_sql("SELECT order_id FROM orders")
        return set(rows.scalars())

    def requests(self) -> dict[RequestKey, Request]:
        keys = [
            RequestKey(shop.MERCHANT, messages.CancelRequested.method, request_id)
            for request_id in ("c-1", "c-2", "c-3")
        ]
        return requests_store.find(self.line.connection, keys)

    def waiting(self) -> set[str]:
        found = self.requests().values()
        return {it.subject for it in found if it.state is RequestState.WAITING}

    def look(self) -> None:
        """The database is right, and no answer has changed."""
        assert not invariants.check(self.line.connection)
        for key, request in self.requests().items():
            if request.state is RequestState.DONE:
                assert self.answers.setdefault(key, request) == request

    def teardown(self) -> None:
        with self.stack:
            self.come_to_an_end()

    def come_to_an_end(self) -> None:
        """Whatever has come was carried out once, and every fact was sent at least once."""
        came = [*self.old, *self.unacknowledged, *self.half_way]
        for _ in range(PASSES_MAX):
            facts = [*self.half_way, *self.unacknowledged]
            self.half_way = []
            self.take(facts, dies=False)
        assert not self.unacknowledged
        taken = self.requests()
        for fact in came:
            if isinstance(fact, messages.CancelRequested):
                assert commands.key_of(fact) in taken
        cancelled = {it.order_id for it in self.sent if isinstance(it, messages.OrderCancelled)}
        for order_id in self.recorded():
            view = self.line.view(order_id)
            assert (view.state is OrderState.CANCELLED) == (order_id in cancelled)
            if order_id in self.promised:
                assert (view.state, view.stock_state) == (OrderState.CANCELLED, "NONE")
                assert not view.attempts
        assert not self.waiting() & self.recorded()


class TestInterleavings(Interleavings.TestCase):  # type: ignore[misc, valid-type] # made by Hypothesis
    """The machine as a test."""

    settings = SETTINGS


def add_nothing(*_: object) -> None:
    """Stand for a store that forgets."""


def test_without_its_row_a_repeated_request_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_store, "add", add_nothing)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Interleavings, settings=AT_ONCE)


def test_without_a_look_for_requests_it_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_store, "find_open", lambda *_: [])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Interleavings, settings=AT_ONCE)
