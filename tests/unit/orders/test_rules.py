"""What may be cancelled, what is held of the stock, what a discount is without its tax."""

import pytest
from hypothesis import given

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import states
from internal.kernel.states import ChargeState, OrderState
from internal.orders import messages, rules
from internal.pricing import rules as pricing_rules
from internal.pricing.messages import PricedLine, PricedOrder
from tests.support import facts
from tests.unit.pricing import snapshots


def priced(total_minor: int = 0, *lines: PricedLine) -> PricedOrder:
    return PricedOrder("EUR", lines, (), total_minor, 0, total_minor, 0, total_minor, ())


def line(sku: str = "tea", quantity: int = 1, *, discount: int = 0, rate: int = 0) -> PricedLine:
    """Return a line whose tax is inside."""
    amounts = {"unit_price_minor": 1, "gross_minor": 1, "tax_minor": 0, "total_minor": 1}
    tax = {"tax_code": "std", "tax_rate_ppm": rate, "tax_inclusive": True}
    values = {"quantity": quantity, "discount_minor": discount, **amounts, **tax}
    return PricedLine(line_no=1, sku=sku, name="Tea", **values)  # type: ignore[arg-type]


def test_lines_of_one_product_add_up_for_stock() -> None:
    lines = (line("tea", 1), line("cup", 2), line("tea", 3))
    wanted = (messages.StockLine("tea", 4), messages.StockLine("cup", 2))
    assert rules.stock_lines(priced(0, *lines)) == wanted


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("charge", ChargeState)
def test_an_order_is_cancelled_before_money_is_asked_for(
    state: OrderState, charge: ChargeState
) -> None:
    may = rules.may_cancel(state, charge)
    assert may == (state is OrderState.ACCEPTED and charge is ChargeState.NONE)
    assert not may or states.may_move(state, OrderState.CANCELLED)
    assert rules.next_commands(state, charge) == (("CancelOrder",) if may else ())


def test_a_discount_without_its_tax() -> None:
    """19 % inside 200 is 31.93; on 75 without tax inside it is nothing."""
    lines = (line(discount=200, rate=190_000), line(discount=75, rate=0), line())
    assert rules.net_discount(priced(0, *lines)) == 168 + 75


@given(snapshots.cases())
def test_a_discount_without_its_tax_is_no_more_than_with_it(case: snapshots.Case) -> None:
    order = pricing_rules.price(case.request, case.snapshot)
    assert isinstance(order, PricedOrder)
    net = rules.net_discount(order)
    highest = max((li.tax_rate_ppm for li in order.lines if li.tax_inclusive), default=0)
    floor = order.discount_minor * PPM // (PPM + highest) - len(order.lines)
    assert floor <= net <= order.discount_minor


def test_an_order_demands_what_it_reserved() -> None:
    paid = next(fact for fact in facts.EXAMPLES if isinstance(fact, messages.OrderPaid))
    assert rules.demand_of(paid) == Demand("m-1", "main", {"tea": 2_000, "cup": 3_000})
