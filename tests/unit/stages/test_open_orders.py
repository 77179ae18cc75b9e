"""Open orders: a declined card leaves them open; they end when they are paid, cancelled or over."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import holds
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.orders import messages
from internal.payments.messages import Tender
from internal.pipeline import appointments
from internal.requests import store as requests_store
from internal.requests.messages import RequestKey
from internal.views import order as order_view
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

DECLINED = "tok_declined:no_funds"
HOLD_S = 3_600


class Tab:
    """An open order, with a gateway whose faults can be chosen."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def place(self, *tenders: Tender) -> list[Fact]:
        return self.line.carry(shop.kept_open("o", *tenders, hold_s=HOLD_S))

    def cancel(self, request_id: str = "c-1") -> list[Fact]:
        return self.line.carry(shop.cancel("o", request_id))

    def add(self, tender: Tender, request_id: str = "p-1") -> list[Fact]:
        return self.line.carry(shop.added("o", tender, request_id))

    def later(self, seconds: int = HOLD_S) -> list[Fact]:
        """Let time pass, take the holds that are due, and carry their messages."""
        self.line.clock.advance_us(seconds * US_PER_SECOND)
        with staged_orders.transaction(self.connection):
            ended = holds._take(self.connection, self.line.clock.now_us())
        return self.line.carry(*ended)

    def view(self) -> order_view.OrderView:
        return self.line.view("o")

    def states(self) -> tuple[str, str, str]:
        view = self.view()
        return str(view.state), str(view.charge_state), str(view.stock_state)

    def holds(self) -> int:
        query = sa.select(sa.func.count()).select_from(appointments.APPOINTMENTS)
        return int(self.connection.execute(query).scalar_one())


@pytest.fixture
def tab(any_database: sa.Connection) -> Iterator[Tab]:
    shop.open_for_business(any_database)
    tab = Tab(any_database)
    yield tab
    found = invariants.check(any_database, captured_at_gateway=tab.gateway.captured)
    assert not found, found


def kinds(facts: list[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


def test_an_order_without_tenders_waits_for_its_customer(tab: Tab) -> None:
    assert kinds(tab.place()) == ["OrderAccepted", "OrderLeftOpen"]
    view = tab.view()
    assert tab.states() == ("ACCEPTED", "NONE", "RESERVED")
    assert (view.due_at_us, view.left_minor, view.tenders) == (None, 1_000, ())
    assert view.hold_until_us == shop.NOW_US + HOLD_S * US_PER_SECOND
    assert "CancelOrder" in view.next_commands
    assert tab.line.level("tea").reserved_milli == 1_000
    assert tab.holds() == 1


def test_an_order_whose_tenders_bring_its_total_is_paid_at_once(tab: Tab) -> None:
    assert kinds(tab.place(shop.cash(300), shop.card()))[-1] == "OrderFinalized"
    assert tab.states() == ("FINALIZED", "FULL", "COMMITTED")
    assert tab.holds() == 0


def test_cash_is_taken_at_once_and_stays(tab: Tab) -> None:
    tab.place(shop.cash(300, given=500), shop.card(token=DECLINED))
    assert tab.states() == ("ACCEPTED", "PARTLY_CAPTURED", "RESERVED")
    view = tab.view()
    assert [(str(it.state), it.captured_minor) for it in view.tenders] == [
        ("FULL", 300),
        ("DECLINED", 0),
    ]
    assert view.left_minor == 700


def test_a_declined_card_leaves_what_others_hold(tab: Tab) -> None:
    tab.place(shop.card(400), shop.card(300, DECLINED, tip=50))
    assert tab.states() == ("ACCEPTED", "PARTLY_CAPTURED", "RESERVED")
    assert tab.gateway.captured == {"m-1/o/1": 400}
    assert not tab.gateway.voided
    assert tab.view().left_minor == 600


def test_tenders_above_the_total_are_refused_with_the_order(tab: Tab) -> None:
    rejected = tab.place(shop.card(700), shop.card(301))[-1]
    assert isinstance(rejected, messages.OrderRejected)
    assert rejected.reason == "TENDER_ABOVE_REST"
    assert tab.holds() == 0


def test_a_hold_that_ends_releases_and_returns_everything(tab: Tab) -> None:
    tab.place(shop.cash(100), shop.card(400))
    assert not tab.later(HOLD_S - 1)
    assert kinds(tab.later(1)) == ["OrderExpired"]
    assert tab.states() == ("EXPIRED", "VOIDED", "RELEASED")
    assert not tab.gateway.captured
    assert tab.line.level("tea").reserved_milli == 0
    assert tab.holds() == 0
    assert tab.view().next_commands == ()


def test_a_hold_is_put_off_while_a_result_is_missing(tab: Tab) -> None:
    tab.gateway.faults.append(Fault.LOST_ANSWER)
    tab.place(shop.card())
    tab.gateway.faults.append(Fault.LOST_ANSWER)
    assert not tab.later()
    assert tab.states() == ("ACCEPTED", "UNKNOWN", "RESERVED")
    assert kinds(tab.later())[0] == "OrderPaid"
    assert tab.states() == ("FINALIZED", "FULL", "COMMITTED")


def test_an_order_that_expires_is_voided_first_whatever_the_gateway_does(tab: Tab) -> None:
    tab.place(shop.card(400))
    tab.gateway.faults.append(Fault.LOST_ANSWER)
    assert not tab.later()
    assert tab.states() == ("ACCEPTED", "UNKNOWN", "RESERVED")
    assert tab.view().next_commands == ()
    assert not invariants.check(tab.connection)
    assert kinds(tab.later()) == ["OrderExpired"]
    assert tab.states() == ("EXPIRED", "VOIDED", "RELEASED")


def test_an_order_that_holds_nothing_is_cancelled_at_once(tab: Tab) -> None:
    tab.place(shop.card(token=DECLINED))
    assert kinds(tab.cancel()) == ["OrderCancelled"]
    assert tab.states() == ("CANCELLED", "DECLINED", "RELEASED")
    assert tab.holds() == 0


def test_a_cancelled_order_returns_what_it_holds_before_its_request_is_answered(tab: Tab) -> None:
    tab.place(shop.cash(100), shop.card(400))
    tab.gateway.faults.append(Fault.LOST_REQUEST)
    assert kinds(tab.cancel("c-1")) == ["PaymentDue"]
    assert answer(tab, "c-1") == ("WAITING", "")
    assert not invariants.check(tab.connection, captured_at_gateway=tab.gateway.captured)
    assert kinds(tab.cancel("c-2")) == ["PaymentDue"]
    (cancelled,) = tab.later()
    assert isinstance(cancelled, messages.OrderCancelled)
    assert cancelled.request_id == "c-1"
    assert tab.states() == ("CANCELLED", "VOIDED", "RELEASED")
    told = '{"state":"CANCELLED","version":7}'
    assert answer(tab, "c-1") == answer(tab, "c-2") == ("DONE", told)
    assert not tab.gateway.captured


def answer(tab: Tab, request_id: str) -> tuple[str, str]:
    key = RequestKey(shop.MERCHANT, messages.CancelRequested.method, request_id)
    found = requests_store.find(tab.connection, [key])[key]
    return str(found.state), found.answer


def test_the_end_of_a_hold_is_told_again(tab: Tab) -> None:
    """The message comes again, because the stage died before it could acknowledge."""
    tab.place(shop.cash(100))
    tab.line.clock.advance_us(HOLD_S * US_PER_SECOND)
    ended = messages.PaymentDue(shop.MERCHANT, "o", tab.view().order_key, 1)
    (expired,) = tab.line.carry(ended)
    assert tab.line.carry(ended) == [expired]


def test_a_message_about_a_hold_that_has_not_ended_changes_nothing(tab: Tab) -> None:
    tab.place(shop.cash(100))
    before = tab.view()
    ended = messages.PaymentDue(shop.MERCHANT, "o", before.order_key, 1)
    assert kinds(tab.line.carry(ended)) == ["OrderLeftOpen"]
    assert tab.states() == ("ACCEPTED", "PARTLY_CAPTURED", "RESERVED")


def outcome(tab: Tab, request_id: str = "p-1") -> tuple[str, str]:
    key = RequestKey(shop.MERCHANT, messages.AddTender.method, request_id)
    found = requests_store.find(tab.connection, [key])[key]
    return str(found.state), found.status


def test_a_declined_card_followed_by_cash_is_paid_with_exactly_the_total(tab: Tab) -> None:
    tab.place(shop.card(token=DECLINED))
    assert tab.view().next_commands == ("AddTender", "CancelOrder", "UpdateOrder")
    facts = tab.add(shop.cash(2_000))
    assert kinds(facts) == ["OrderPaid", "OrderFinalized"]
    view = tab.view()
    assert (view.left_minor, view.next_commands) == (0, ())
    assert [(str(it.state), it.captured_minor, it.tender.change_minor) for it in view.tenders] == [
        ("DECLINED", 0, 0),
        ("FULL", 1_000, 1_000),
    ]
    assert tab.states() == ("FINALIZED", "FULL", "COMMITTED")


def test_a_tab_is_paid_bit_by_bit(tab: Tab) -> None:
    tab.place()
    assert kinds(tab.add(shop.card(300, tip=20), "p-1")) == ["OrderLeftOpen"]
    assert kinds(tab.add(shop.card(400, DECLINED), "p-2")) == ["OrderLeftOpen"]
    assert kinds(tab.add(shop.cash(200), "p-3")) == ["OrderLeftOpen"]
    assert tab.view().left_minor == 500
    assert kinds(tab.add(shop.card(), "p-4")) == ["OrderPaid", "OrderFinalized"]
    assert sum(tab.gateway.captured.values()) == 820


@pytest.mark.parametrize(
    ("tender", "reason"),
    [
        (shop.card(801), "TENDER_ABOVE_REST"),
        (shop.cash(900, given=900), "TENDER_ABOVE_REST"),
        (shop.cash(given=500), "TENDERS_DO_NOT_COVER_TOTAL"),
    ],
)
def test_a_tender_that_does_not_fit_is_refused(tab: Tab, tender: Tender, reason: str) -> None:
    tab.place(shop.cash(200))
    tab.add(tender)
    assert outcome(tab) == ("DONE", reason)
    assert tab.view().left_minor == 800


def test_a_repeated_request_adds_one_tender(tab: Tab) -> None:
    tab.place()
    tab.add(shop.card(300))
    tab.add(shop.card(300))
    assert [it.captured_minor for it in tab.view().tenders] == [300]
    tab.add(shop.card(200))
    assert [it.captured_minor for it in tab.view().tenders] == [300]


def test_a_tender_that_overtakes_the_accepted_order_comes_after_its_own(tab: Tab) -> None:
    accepted = tab.line.step(shop.kept_open("o", shop.cash(400)))
    tab.add(shop.cash(100))
    assert [it.captured_minor for it in tab.view().tenders] == [400, 100]
    tab.line.carry(*accepted)
    assert tab.view().left_minor == 500


@pytest.mark.parametrize("order_id", ["o", "nowhere"])
def test_an_order_that_is_not_open_takes_no_tender(tab: Tab, order_id: str) -> None:
    tab.place(shop.cash())
    tab.line.carry(shop.added(order_id, shop.cash()))
    reason = {"o": "ORDER_NOT_OPEN", "nowhere": "ORDER_NOT_FOUND"}[order_id]
    assert outcome(tab) == ("DONE", reason)


def test_a_lost_answer_keeps_the_rest_open(tab: Tab) -> None:
    tab.place()
    tab.gateway.faults.append(Fault.LOST_ANSWER)
    tab.add(shop.card(600))
    assert tab.states() == ("ACCEPTED", "UNKNOWN", "RESERVED")
    tab.add(shop.cash(400), "p-2")
    assert tab.states()[:2] == ("ACCEPTED", "UNKNOWN")
    assert kinds(tab.later())[0] == "OrderPaid"
    assert tab.states()[0] == "FINALIZED"
