"""Cash and tips as shops have them, from the draft to the ledger: values checked by hand.

The kiosk sells in CHF with 8.1 % inside and rounds cash to 0.05.
"""

from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product, Store, TaxRate
from internal.checks import invariants
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey
from internal.kernel.unit_prices import UnitPrice
from internal.ledger import store as ledger_store
from internal.orders import messages, store
from internal.payments import store as payments_store
from internal.payments.messages import Tender
from internal.payments.order_tenders import ORDER_TENDERS, TenderRecord
from internal.views.order import OrderView
from tests.support import gateways, shop, staged_orders, stock

KIOSK = "kiosk"
PRICES = {"roll": 123, "gum": 43, "meal": 2_000, "pen": 898}


class Kiosk:
    """A kiosk that sells."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def sell(self, *skus: str, tenders: tuple[Tender, ...]) -> OrderView:
        """Carry an order to its end."""
        order = shop.placed("o", *((sku, 1) for sku in skus), tenders=tenders)
        self.line.carry(msgspec.structs.replace(order, store_id=KIOSK, currency="CHF"))
        return self.line.view("o")

    def moved(self) -> list[tuple[int, str, int]]:
        """Return the movements of the order: (tender_no, operation, amount)."""
        key = self.line.view("o").order_key
        history = payments_store.histories(self.connection, [key])[key]
        return [(it.tender_no, str(it.operation), it.amount_minor) for it in history.movements]

    def booked(self) -> dict[str, int]:
        """Return debit less credit of each account."""
        balances = ledger_store.find_balances(self.connection, shop.MERCHANT)
        return {it.account: it.debit_minor - it.credit_minor for it in balances}

    def row(self) -> tuple[int, ...]:
        """Return the order's sums: tip, rounding, authorized, captured, outstanding."""
        query = sa.select(*(store.ORDERS.c[name] for name in store.ChargeAmounts.__struct_fields__))
        return tuple(self.connection.execute(query).one())


@pytest.fixture
def kiosk(any_database: sa.Connection) -> Iterator[Kiosk]:
    place = Store(shop.MERCHANT, KIOSK, "The kiosk", "CHF", cash_rounding_step_minor=5)
    catalogue_store.save_stores(any_database, [place])
    rate = TaxRate(shop.MERCHANT, "inside", "inside", "Inside", 81_000, inclusive=True)
    catalogue_store.add_tax_rates(any_database, [rate])
    products = [
        Product(shop.MERCHANT, sku, f"A {sku}", UnitPrice(minor), "CHF", "inside")
        for sku, minor in PRICES.items()
    ]
    catalogue_store.save_products(any_database, products)
    received = [stock.moved(StockKey(shop.MERCHANT, KIOSK, sku), 9) for sku in PRICES]
    inventory_store.move(any_database, received, stock.OWNER)
    kiosk = Kiosk(any_database)
    yield kiosk
    assert not invariants.check(any_database, captured_at_gateway=kiosk.gateway.captured)


def cash_of(view: OrderView) -> TenderRecord:
    return view.tenders[-1]


@pytest.mark.parametrize("cash", [shop.cash(), shop.cash(165), shop.cash(166)])
def test_rounded_cash(kiosk: Kiosk, cash: Tender) -> None:
    """1.23 + 0.43 = 1.66, of which 1.65 are paid; 0.09 + 0.03 are tax, as by card."""
    view = kiosk.sell("roll", "gum", tenders=(cash,))
    assert (view.state, view.charge_state) == ("FINALIZED", "FULL")
    assert (view.total_minor, view.tax_minor) == (166, 12)
    assert cash_of(view).captured_minor == 165
    assert kiosk.moved() == [(1, "SALE", 166), (1, "ROUNDING", -1)]
    assert kiosk.booked() == {
        "cash_drawer:kiosk": 165,
        "rounding:kiosk": 1,
        "revenue:kiosk": -154,
        "tax:kiosk:inside": -12,
    }
    assert kiosk.row() == (0, -1, 0, 165, 0)


def test_the_same_by_card_is_not_rounded(kiosk: Kiosk) -> None:
    view = kiosk.sell("roll", "gum", tenders=(shop.card(),))
    assert (view.total_minor, view.tax_minor) == (166, 12)
    assert kiosk.gateway.captured == {"m-1/o/1": 166}
    assert kiosk.moved() == [(1, "SALE", 166)]
    assert "rounding:kiosk" not in kiosk.booked()
    assert kiosk.row() == (0, 0, 166, 166, 0)


def test_what_a_card_leaves_is_rounded(kiosk: Kiosk) -> None:
    view = kiosk.sell("roll", "gum", tenders=(shop.card(100), shop.cash()))
    assert [it.captured_minor for it in view.tenders] == [100, 65]
    assert kiosk.booked()["rounding:kiosk"] == 1
    assert kiosk.row() == (0, -1, 100, 165, 0)


def test_a_note_for_a_rounded_amount(kiosk: Kiosk) -> None:
    """A note of 10.00 for 1.66: 8.35 change, and 1.65 stay in the drawer."""
    view = kiosk.sell("roll", "gum", tenders=(shop.cash(given=1_000),))
    assert cash_of(view).tender.change_minor == 835
    assert kiosk.moved() == [(1, "SALE", 1_001), (1, "ROUNDING", -1), (1, "CHANGE", -835)]
    assert kiosk.booked()["cash_drawer:kiosk"] == 165


@pytest.mark.parametrize("cash", [shop.cash(160), shop.cash(given=164)])
def test_less_than_the_rounded_amount_is_refused(kiosk: Kiosk, cash: Tender) -> None:
    view = kiosk.sell("roll", "gum", tenders=(cash,))
    assert (view.state, view.reason) == ("REJECTED", "TENDERS_DO_NOT_COVER_TOTAL")
    assert kiosk.row() == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("cash", [shop.cash(2_000), shop.cash(given=2_000)])
def test_change_for_a_note(kiosk: Kiosk, cash: Tender) -> None:
    """8.98 paid with 20.00: rounded to 9.00, so 11.00 change; the drawer keeps 9.00."""
    view = kiosk.sell("pen", tenders=(cash,))
    record = cash_of(view)
    assert (record.tender.given_minor, record.tender.change_minor) == (2_000, 1_100)
    assert (record.captured_minor, record.tender.rounding_minor) == (900, 2)
    assert kiosk.moved() == [(1, "SALE", 1_998), (1, "ROUNDING", 2), (1, "CHANGE", -1_100)]
    assert kiosk.booked()["cash_drawer:kiosk"] == 900


class TestWithoutRounding:
    """In a store that does not round: public case 14."""

    @pytest.fixture(autouse=True)
    def exact(self, kiosk: Kiosk) -> None:
        place = Store(shop.MERCHANT, KIOSK, "The kiosk", "CHF")
        catalogue_store.save_stores(kiosk.connection, [place])

    @pytest.mark.parametrize("cash", [shop.cash(2_000), shop.cash(given=2_000)])
    def test_change_for_a_note(self, kiosk: Kiosk, cash: Tender) -> None:
        """8.98 paid with 20.00: 11.02 change, and 8.98 more in the drawer."""
        view = kiosk.sell("pen", tenders=(cash,))
        assert (view.state, cash_of(view).tender.change_minor) == ("FINALIZED", 1_102)
        assert kiosk.booked()["cash_drawer:kiosk"] == 898
        assert kiosk.moved() == [(1, "SALE", 2_000), (1, "CHANGE", -1_102)]

    @pytest.mark.parametrize("cash", [shop.cash(600), shop.cash(given=600)])
    def test_change_beside_a_card(self, kiosk: Kiosk, cash: Tender) -> None:
        view = kiosk.sell("pen", tenders=(shop.card(600), cash))
        assert (view.state, cash_of(view).tender.change_minor) == ("FINALIZED", 302)
        assert kiosk.booked()["cash_drawer:kiosk"] == 298

    @pytest.mark.parametrize("others", [(), (shop.cash(600),)])
    def test_a_card_above_the_total_is_refused(
        self, kiosk: Kiosk, others: tuple[Tender, ...]
    ) -> None:
        view = kiosk.sell("pen", tenders=(shop.card(900), *others))
        assert (view.state, view.reason) == ("REJECTED", "TENDERS_DO_NOT_COVER_TOTAL")
        assert not kiosk.gateway.calls

    def test_plain_cash_is_one_tender_and_one_movement(self, kiosk: Kiosk) -> None:
        view = kiosk.sell("pen", tenders=(shop.cash(),))
        assert len(view.tenders) == 1
        assert view.attempts == ()
        assert kiosk.moved() == [(1, "SALE", 898)]

    def test_a_card_is_known_by_the_name_of_its_token(self, kiosk: Kiosk) -> None:
        kiosk.sell("pen", tenders=(shop.card(400), shop.cash()))
        row = ORDER_TENDERS.c
        query = sa.select(row.tender_ref, row.token_name).order_by(row.tender_no)
        assert kiosk.connection.execute(query).all() == [("t1", "token:t1"), ("t2", "")]

    def test_a_tip_on_a_card(self, kiosk: Kiosk) -> None:
        """Goods for 20.00 and a tip of 3.00: 23.00 charged, and the tip is a liability."""
        rate = TaxRate(
            shop.MERCHANT, "inside", "inside", "Inside", 190_000, inclusive=True, valid_from_us=1
        )
        catalogue_store.add_tax_rates(kiosk.connection, [rate])
        view = kiosk.sell("meal", tenders=(shop.card(tip=300),))
        assert (view.total_minor, view.tax_minor, view.charge_state) == (2_000, 319, "FULL")
        assert kiosk.gateway.captured == {"m-1/o/1": 2_300}
        assert kiosk.moved() == [(1, "SALE", 2_000), (1, "TIP", 300)]
        assert kiosk.booked() == {
            "clearing": 2_300,
            "revenue:kiosk": -1_681,
            "tax:kiosk:inside": -319,
            "tips:kiosk": -300,
        }
        assert kiosk.row() == (300, 0, 2_300, 2_300, 0)

    def test_a_tip_in_cash(self, kiosk: Kiosk) -> None:
        view = kiosk.sell("meal", tenders=(shop.cash(given=2_500, tip=300),))
        assert cash_of(view).tender.change_minor == 200
        moved = [(1, "SALE", 2_200), (1, "TIP", 300), (1, "CHANGE", -200)]
        assert kiosk.moved() == moved
        assert kiosk.booked()["tips:kiosk"] == -300

    def test_a_declined_card_moves_no_tip(self, kiosk: Kiosk) -> None:
        refused = shop.card(token="tok_declined:no", tip=300)
        view = kiosk.sell("meal", tenders=(shop.card(500, tip=50), refused))
        assert (view.state, view.charge_state) == ("REJECTED", "VOIDED")
        assert kiosk.moved() == [(1, "SALE", 500), (1, "TIP", 50), (1, "VOID", -550)]
        assert kiosk.row() == (350, 0, 550, 0, 0)


def test_the_order_paid_tells_what_was_captured(kiosk: Kiosk) -> None:
    view = kiosk.sell("pen", tenders=(shop.cash(given=2_000, tip=100),))
    (paid,) = (it.fact for it in view.timeline if isinstance(it.fact, messages.OrderPaid))
    (captured,) = paid.captured
    assert (captured.amount_minor, captured.tip_minor, captured.rounding_minor) == (1_000, 100, 2)
