"""An open order whose messages come in any order and any number of times, with crashes between.

Its lines are replaced, tenders are added, some are declined or get no answer, the order is
cancelled, its hold ends. The database is right after each step, the order has its last lines and
costs what they cost, and in the end it has ended or waits for its customer.
"""

import contextlib

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from internal.checks import invariants
from internal.flow import holds
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.orders import messages
from internal.payments.messages import Tender
from internal.stages import open_orders, order_processing
from tests.support import gateways, profiles, shop, staged_orders
from tests.support.gateways import Fault

HOLD_S = 3_600
DECLINED = "tok_declined:no_funds"
PARTS = [
    shop.cash(100),
    shop.cash(150),
    shop.card(200),
    shop.card(250, tip=50),
    shop.card(300, DECLINED),
]
TENDERS = st.sampled_from([*PARTS, *PARTS, shop.card(), shop.cash(5_000), shop.card(1_001)])
LINES = st.lists(
    st.tuples(st.sampled_from(["tea", "cup", "rare", "gift"]), st.integers(1, 3)),
    min_size=1,
    max_size=3,
)
FAULTS = st.lists(st.sampled_from([Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.AWAY]), max_size=2)
PASSES_MAX = 40


class OpenOrder(RuleBasedStateMachine):
    """One open order, and all its messages so far."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.connection = self.stack.enter_context(staged_orders.database())
        shop.open_for_business(self.connection)
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(self.connection, self.gateway)
        self.messages: list[Fact] = []
        self.requests = 0
        self.placed: messages.OrderPlaced | None = None
        """As it would be placed with its last lines."""

    @initialize(tenders=st.lists(st.sampled_from(PARTS), max_size=2))
    def place(self, tenders: list[Tender]) -> None:
        self.placed = shop.kept_open("o", *tenders, hold_s=HOLD_S)
        self.messages += self.line.step(self.placed)
        self.look()

    @rule(lines=LINES)
    def update(self, lines: list[tuple[str, int]]) -> None:
        """Replace the lines; an order that cannot take them keeps its own."""
        assert self.placed
        self.requests += 1
        before, updated = (
            self.line.view("o"),
            shop.updated("o", *lines, request_id=f"u-{self.requests}"),
        )
        self.messages.append(updated)
        found = [it for it in self.line.carry(updated) if isinstance(it, messages.OrderAccepted)]
        self.messages += found
        if found:
            assert "UpdateOrder" in before.next_commands
            self.placed = msgspec.structs.replace(self.placed, lines=updated.lines)
        self.look()

    @rule(tender=TENDERS, faults=FAULTS)
    def add(self, tender: Tender, faults: list[Fault]) -> None:
        self.requests += 1
        added = shop.added("o", tender, f"p-{self.requests}")
        self.messages.append(added)
        self.gateway.faults.extend(faults)
        self.carry(added)

    @rule()
    def cancel(self) -> None:
        self.requests += 1
        self.carry(shop.cancel("o", f"c-{self.requests}"))

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), dies=st.booleans(), faults=FAULTS)
    def come_again(self, data: st.DataObject, faults: list[Fault], *, dies: bool) -> None:
        """Deliver a message again, and maybe die after the transaction that it led to."""
        fact = data.draw(st.sampled_from(self.messages))
        self.gateway.faults.extend(faults)
        if not dies:
            self.carry(fact)
            return
        for topic, stage in self.line.handlers.items():
            if type(fact) in stage.spec.takes:
                self.line.record(topic, self.line.work(fact))
        self.look()

    @rule(seconds=st.sampled_from([5, 60, HOLD_S]), faults=FAULTS)
    def wait(self, seconds: int, faults: list[Fault]) -> None:
        self.gateway.faults.extend(faults)
        self.line.clock.advance_us(seconds * US_PER_SECOND)
        with staged_orders.transaction(self.connection):
            ended = holds._take(self.connection, self.line.clock.now_us())
        self.carry(*ended)

    def carry(self, *facts: Fact) -> None:
        """Carry messages as far as they come; a gateway's faults are used up then."""
        kinds = messages.OrderAccepted | messages.PaymentDue | messages.OrderPaid
        self.messages += [fact for fact in self.line.carry(*facts) if isinstance(fact, kinds)]
        self.gateway.faults.clear()
        self.look()

    def look(self) -> None:
        found = invariants.check(self.connection, captured_at_gateway=self.captured())
        assert not found, found
        assert self.placed
        snapshot = order_processing.load_snapshot(self.connection, [self.placed])
        quoted, view = order_processing.draft(self.placed, snapshot).priced, self.line.view("o")
        assert quoted
        if view.state != "REJECTED":
            assert (view.lines, view.total_minor) == (quoted.lines, quoted.total_minor)

    def captured(self) -> dict[str, int] | None:
        """Return the gateway's ledger, unless an answer is missing: then it may hold more."""
        is_known = not any(
            it.state in {"PENDING", "UNKNOWN"} for it in self.line.view("o").attempts
        )
        return self.gateway.captured if is_known else None

    def teardown(self) -> None:
        with self.stack:
            if self.placed:
                self.come_to_rest()

    def come_to_rest(self) -> None:
        """With a gateway that answers, the order ends once its hold is over."""
        accepted = [it for it in self.messages if isinstance(it, messages.OrderAccepted)]
        for _ in range(PASSES_MAX):
            view = self.line.view("o")
            if view.state in {"FINALIZED", "CANCELLED", "EXPIRED", "REJECTED"}:
                break
            self.carry(*accepted)
            self.wait(HOLD_S, [])
        view = self.line.view("o")
        held = sum(it.captured_minor for it in view.tenders)
        on_top = sum(it.tender.tip_minor for it in view.tenders if it.captured_minor)
        if view.state == "FINALIZED":
            assert held == view.total_minor + on_top
        else:
            assert view.state in {"CANCELLED", "EXPIRED", "REJECTED"}
            assert held == 0
        assert sum(self.gateway.captured.values()) <= held
        assert not any(self.line.level(sku).reserved_milli for sku in shop.STOCK)


SETTINGS = profiles.tries(40, steps=15)
AT_ONCE = settings(SETTINGS, phases=[Phase.generate])
"""The first failure will do; a shorter one takes longer to find."""
TestOpenOrders = OpenOrder.TestCase
TestOpenOrders.settings = SETTINGS


def forget(*_: object) -> None:
    """Stand for a stage that does not write something down."""


@pytest.mark.parametrize("forgotten", ["end", "settle"])
def test_a_stage_that_forgets_its_holds_is_caught(
    monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    monkeypatch.setattr(open_orders, forgotten, forget)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(OpenOrder, settings=AT_ONCE)
