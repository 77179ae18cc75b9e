"""New lines of an open order: priced anew, with stock by the difference, and each once."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import PricePolicy, Store
from internal.checks import invariants
from internal.kernel.facts import Fact
from internal.orders import codec, messages, tables
from internal.payments.messages import Tender
from internal.requests import store as requests_store
from internal.stages import commands, order_updating
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

DECLINED = "tok_declined:no_funds"
TEA, CUP = ("tea", 1), ("cup", 1)


class Tab:
    """An open order for one tea."""

    def __init__(self, connection: sa.Connection) -> None:
        shop.open_for_business(connection)
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def place(self, *tenders: Tender) -> list[Fact]:
        return self.line.carry(shop.kept_open("o", *tenders))

    def update(self, *lines: tuple[str, int], request_id: str = "u-1") -> list[Fact]:
        return self.line.carry(shop.updated("o", *lines, request_id=request_id))

    def add(self, tender: Tender, request_id: str = "p-1") -> list[Fact]:
        return self.line.carry(shop.added("o", tender, request_id))

    def lines(self) -> list[tuple[str, int]]:
        return [(line.sku, line.quantity_milli) for line in self.line.view("o").lines]

    def reserved(self) -> dict[str, int]:
        levels = {sku: self.line.level(sku).reserved_milli for sku in shop.STOCK}
        return {sku: milli for sku, milli in levels.items() if milli}

    def outcome(self, command: messages.Requested) -> tuple[str, str, str]:
        """Return the state of a request, its refusal, and the refusal in words."""
        key = commands.key_of(command)
        found = requests_store.find(self.connection, [key])[key]
        words = codec.decode_answer(found.answer).explanation if found.answer else ""
        return str(found.state), found.status, words


@pytest.fixture
def tab(any_database: sa.Connection) -> Iterator[Tab]:
    tab = Tab(any_database)
    yield tab
    found = invariants.check(any_database, captured_at_gateway=tab.gateway.captured)
    assert not found, found


def kinds(facts: list[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


def test_new_lines_are_priced_and_reserved(tab: Tab) -> None:
    tab.place()
    before = tab.line.view("o")
    tab.line.clock.advance_us(5)
    assert kinds(tab.update(("tea", 2), ("cup", 3))) == ["OrderAccepted", "OrderLeftOpen"]
    view = tab.line.view("o")
    assert tab.lines() == [("tea", 2_000), ("cup", 3_000)]
    assert (view.gross_minor, view.total_minor, view.left_minor) == (2_750, 2_817, 2_817)
    assert view.net_minor + view.tax_minor == view.total_minor
    assert [bucket.code for bucket in view.taxes] == ["inside", "on-top"]
    assert tab.reserved() == {"tea": 2_000, "cup": 3_000}
    assert (view.version, view.state, view.due_at_us) == (before.version + 1, "ACCEPTED", None)
    assert (view.updated_at_us, view.business_day) == (shop.NOW_US + 5, before.business_day)
    assert view.hold_until_us == before.hold_until_us
    assert view.next_commands == ("AddTender", "CancelOrder", "UpdateOrder")


def test_new_lines_are_priced_by_the_policy_of_the_store_as_it_is_now(tab: Tab) -> None:
    tab.place()
    kept = Store(shop.MERCHANT, shop.STORE, "The shop", "EUR", price_policy=PricePolicy.TILL)
    catalogue_store.save_stores(tab.connection, [kept])
    tab.update(CUP)
    policies = tab.connection.execute(sa.select(tables.ORDERS.c.price_policy)).scalars()
    assert list(policies) == [PricePolicy.TILL]


def test_the_log_keeps_all_lines(tab: Tab) -> None:
    tab.place()
    tab.update(CUP)
    entry = tab.line.view("o").timeline[-1]
    assert (entry.stage, entry.event_id, entry.version) == ("order_processing", "updated:u-1", 3)
    assert isinstance(entry.fact, messages.OrderAccepted)
    assert entry.fact.lines == (messages.StockLine("cup", 1_000),)


def test_stock_that_is_not_needed_any_more_is_released(tab: Tab) -> None:
    tab.place()
    tab.update(("tea", 5), CUP)
    tab.update(("tea", 2), request_id="u-2")
    assert tab.reserved() == {"tea": 2_000}


def test_its_last_lines_are_paid_sold_and_booked(tab: Tab) -> None:
    tab.place()
    tab.update(CUP)
    assert kinds(tab.add(shop.card())) == ["OrderPaid", "OrderFinalized"]
    assert sum(tab.gateway.captured.values()) == tab.line.view("o").total_minor == 272
    assert (tab.line.level("cup").on_hand_milli, tab.reserved()) == (999_000, {})
    assert tab.line.level("tea").on_hand_milli == 1_000_000


@pytest.mark.parametrize("is_open", [True, False])
def test_an_order_that_ends_gives_back_what_its_last_lines_hold(tab: Tab, *, is_open: bool) -> None:
    tab.place(*() if is_open else (shop.card(token=DECLINED),))
    tab.update(("cup", 4))
    tab.line.carry(shop.cancel("o"))
    assert tab.line.view("o").state == "CANCELLED"
    assert tab.reserved() == {}


def test_lines_that_cost_nothing_close_the_order(tab: Tab) -> None:
    tab.place()
    facts = tab.update(("gift", 1))
    assert kinds(facts) == ["OrderAccepted", "OrderPaid", "OrderFinalized"]
    assert tab.line.view("o").total_minor == 0


def test_a_declined_card_leaves_the_lines_free(tab: Tab) -> None:
    tab.place(shop.card(400, DECLINED))
    tab.update(CUP)
    assert (tab.lines(), tab.line.view("o").left_minor) == ([("cup", 1_000)], 272)
    assert tab.add(shop.cash(5_000))
    assert tab.line.view("o").state == "FINALIZED"


@pytest.mark.parametrize("tender", [shop.cash(100), shop.card(100)])
def test_an_order_that_holds_money_keeps_its_lines(tab: Tab, tender: Tender) -> None:
    tab.place()
    tab.add(tender)
    assert not tab.update(CUP)
    assert tab.outcome(shop.updated("o", CUP)) == ("DONE", "ORDER_HOLDS_MONEY", "")
    assert tab.lines() == [("tea", 1_000)]
    assert "UpdateOrder" not in tab.line.view("o").next_commands


def test_tenders_that_are_not_begun_keep_the_lines_too(tab: Tab) -> None:
    accepted = tab.line.step(shop.kept_open("o", shop.card(400)))
    assert not tab.line.step(shop.updated("o", CUP))
    assert tab.outcome(shop.updated("o", CUP))[1] == "ORDER_HOLDS_MONEY"
    assert "UpdateOrder" not in tab.line.view("o").next_commands
    tab.line.carry(*accepted)


def test_a_charge_that_is_unknown_may_hold_money(tab: Tab) -> None:
    tab.gateway.faults.append(Fault.LOST_REQUEST)
    tab.place(shop.card(400))
    assert not tab.update(CUP)
    assert tab.outcome(shop.updated("o", CUP))[1] == "ORDER_HOLDS_MONEY"


@pytest.mark.parametrize(
    ("lines", "reason", "words"),
    [
        ((("nope", 1),), "UNKNOWN_SKU", "nope"),
        ((TEA, ("rare", 3)), "OUT_OF_STOCK", "rare: 3 wanted, 2 available"),
        ((TEA, ("ghost", 1)), "NOT_STOCKED", "ghost"),
    ],
)
def test_lines_that_cannot_be_sold_are_refused_in_words(
    tab: Tab, lines: tuple[tuple[str, int], ...], reason: str, words: str
) -> None:
    tab.place()
    before = tab.line.view("o")
    assert not tab.update(*lines)
    state, status, explanation = tab.outcome(shop.updated("o", *lines))
    assert (state, status) == ("DONE", reason)
    assert words in explanation
    assert tab.line.view("o") == before


def test_what_an_order_holds_already_counts_for_its_new_lines(tab: Tab) -> None:
    tab.place()
    assert tab.update(("rare", 2))
    assert tab.update(("rare", 1), TEA, request_id="u-2")
    assert tab.update(("rare", 2), TEA, request_id="u-3")
    assert tab.reserved() == {"rare": 2_000, "tea": 1_000}


def test_the_last_one_goes_to_the_first_of_a_batch(tab: Tab) -> None:
    tab.place()
    update, order = shop.updated("o", ("rare", 1)), shop.placed("p", ("rare", 2))
    facts = tab.line.step(update, order)
    assert kinds(facts) == ["OrderAccepted", "OrderRejected"]
    assert tab.reserved() == {"rare": 1_000}


def test_stock_goes_from_one_order_to_another_in_one_batch(tab: Tab) -> None:
    tab.line.carry(shop.kept_open("o"), shop.kept_open("p"))
    tab.update(("rare", 2))
    tab.line.carry(
        shop.updated("o", TEA, request_id="u-2"), shop.updated("p", ("cup", 2), request_id="u-3")
    )
    assert tab.reserved() == {"tea": 1_000, "cup": 2_000}


def test_the_same_request_changes_the_lines_once(tab: Tab) -> None:
    tab.place()
    accepted = tab.update(("tea", 3))[0]
    tab.update(CUP, request_id="u-2")
    again = tab.line.step(shop.updated("o", ("tea", 3)))
    assert again == [accepted], "its fact is sent again, and changes nothing"
    assert kinds(tab.line.carry(*again)) == ["OrderLeftOpen"]
    assert (tab.lines(), tab.line.view("o").total_minor) == ([("cup", 1_000)], 272)


def test_another_body_under_a_request_changes_nothing(tab: Tab) -> None:
    tab.place()
    tab.update(("tea", 3))
    assert not tab.update(CUP)
    assert tab.lines() == [("tea", 3_000)]


@pytest.mark.parametrize(("expected", "status"), [(2, ""), (1, "VERSION_MISMATCH")])
def test_an_order_with_another_version_is_left_alone(tab: Tab, expected: int, status: str) -> None:
    tab.place()
    command = shop.updated("o", CUP, expected_version=expected)
    tab.line.carry(command)
    assert tab.outcome(command)[1] == status


def test_the_lines_change_so_often_and_no_more(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_updating, "VERSIONS_MAX", 3)
    tab.place()
    assert tab.update(CUP)
    assert not tab.update(TEA, request_id="u-2")
    assert tab.outcome(shop.updated("o", TEA, request_id="u-2"))[1] == "TOO_MANY_CHANGES"


@pytest.mark.parametrize("order_id", ["o", "nowhere"])
def test_an_order_that_is_not_open_takes_no_lines(tab: Tab, order_id: str) -> None:
    tab.line.carry(shop.placed("o"))
    command = shop.updated(order_id, CUP)
    tab.line.carry(command)
    assert (
        tab.outcome(command)[1] == {"o": "ORDER_NOT_OPEN", "nowhere": "ORDER_NOT_FOUND"}[order_id]
    )


def test_an_order_that_is_ending_takes_no_lines(tab: Tab) -> None:
    tab.place(shop.card(400))
    tab.gateway.faults.append(Fault.LOST_REQUEST)
    tab.line.carry(shop.cancel("o"))
    assert not tab.update(CUP)
    assert tab.outcome(shop.updated("o", CUP))[1] == "ORDER_HOLDS_MONEY"
