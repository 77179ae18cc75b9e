"""What may be cancelled, what is held of the stock, what a discount is without its tax."""

import pytest
from hypothesis import given

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import money, states
from internal.kernel.quantities import MILLI
from internal.kernel.states import ChargeState, OrderState
from internal.kernel.unit_prices import UnitPrice
from internal.orders import messages, rules
from internal.pricing import rules as pricing_rules
from internal.pricing.messages import Part, PartKind, PartRule, PricedLine, PricedOrder
from tests.support import facts
from tests.unit.pricing import snapshots


def priced(total_minor: int = 0, *lines: PricedLine) -> PricedOrder:
    return PricedOrder("EUR", lines, (), total_minor, 0, total_minor, 0, total_minor)


def line(
    sku: str = "tea", quantity: int = 1, *, discount: int = 0, rate: int = 0, location: str = "main"
) -> PricedLine:
    """Return a line whose tax is inside."""
    tax = Part(
        kind=PartKind.TAX,
        rule=PartRule.LINE,
        rounding_mode=money.RoundingMode.HALF_UP,
        base_minor=1,
        amount_minor=0,
        rate_ppm=rate,
        inclusive=True,
    )
    return PricedLine(
        line_no=1,
        line_ref="1",
        sku=sku,
        name="Tea",
        location_id=location,
        quantity_milli=quantity * MILLI,
        unit_price=UnitPrice(1),
        gross_minor=1,
        discount_minor=discount,
        tax_minor=0,
        total_minor=1,
        parts=(tax,),
    )


def test_lines_of_one_product_add_up_for_stock() -> None:
    lines = (line("tea", 1), line("cup", 2), line("tea", 3))
    wanted = (messages.StockLine("tea", 4_000), messages.StockLine("cup", 2_000))
    assert rules.stock_lines(priced(0, *lines)) == wanted


def test_a_line_without_stock_takes_none() -> None:
    assert rules.stock_lines(priced(0, line("service", location=""))) == ()


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("charge", ChargeState)
def test_an_order_is_cancelled_before_money_is_asked_for(
    state: OrderState, charge: ChargeState
) -> None:
    may = rules.may_cancel(state, charge, is_kept_open=False)
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
    highest = max(
        sum(part.rate_ppm for part in line.parts if part.inclusive) for line in order.lines
    )
    floor = order.discount_minor * PPM // (PPM + highest) - len(order.lines)
    assert floor <= net <= order.discount_minor


def test_an_order_demands_what_it_reserved() -> None:
    paid = next(fact for fact in facts.EXAMPLES if isinstance(fact, messages.OrderPaid))
    assert rules.demand_of(paid) == Demand("m-1", "main", {"tea": 2_000, "cup": 3_000})
