"""What tenders pay, what may be cancelled, what a discount is without its tax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import states
from internal.kernel.states import ChargeState, OrderState
from internal.orders import messages, rules
from internal.payments.messages import Tender, TenderKind
from internal.pricing import rules as pricing_rules
from internal.pricing.messages import PricedLine, PricedOrder, Refusal
from tests.support import facts, shop
from tests.unit.pricing import snapshots

AMOUNTS = st.integers(-10, 2_000)
TENDERS = st.lists(
    st.builds(Tender, st.sampled_from(TenderKind), st.none() | AMOUNTS, st.just("tok_ok")),
    max_size=4,
)


def priced(total_minor: int = 0, *lines: PricedLine) -> PricedOrder:
    return PricedOrder("EUR", lines, (), total_minor, 0, total_minor, 0, total_minor, ())


def line(sku: str = "tea", quantity: int = 1, *, discount: int = 0, rate: int = 0) -> PricedLine:
    """Return a line whose tax is inside."""
    amounts = {"unit_price_minor": 1, "gross_minor": 1, "tax_minor": 0, "total_minor": 1}
    tax = {"tax_code": "std", "tax_rate_ppm": rate, "tax_inclusive": True}
    values = {"quantity": quantity, "discount_minor": discount, **amounts, **tax}
    return PricedLine(line_no=1, sku=sku, name="Tea", **values)  # type: ignore[arg-type]


@given(TENDERS, st.integers(0, 3_000))
def test_tenders_are_the_total_or_refused(tenders: list[Tender], total_minor: int) -> None:
    settled = rules.settle_tenders(tenders, priced(total_minor))
    if isinstance(settled, Refusal):
        assert settled.reason == "TENDERS_DO_NOT_COVER_TOTAL"
    else:
        amounts = [tender.amount_minor or 0 for tender in settled]
        assert sum(amounts) == total_minor
        assert all(amount > 0 for amount in amounts)


@given(TENDERS, st.integers(0, 3_000))
def test_tenders_are_refused_for_a_reason_only(tenders: list[Tender], total_minor: int) -> None:
    """Whatever could be the total is taken for it, in the order in which it came."""
    named = [t.amount_minor for t in tenders if t.amount_minor is not None]
    is_open = len(named) < len(tenders)
    rest = total_minor - sum(named)
    is_fine = all(amount >= 0 for amount in named) and len(tenders) - len(named) <= 1
    is_fine = is_fine and (rest >= 0 if is_open else rest == 0)
    settled = rules.settle_tenders(tenders, priced(total_minor))
    assert isinstance(settled, Refusal) != is_fine
    if not isinstance(settled, Refusal):
        kinds = [t.kind for t in tenders if (rest if t.amount_minor is None else t.amount_minor)]
        assert [t.kind for t in settled] == kinds


def test_the_open_tender_takes_what_the_others_leave() -> None:
    tenders = (shop.cash(300), shop.card(), shop.card(200, "tok_2"))
    settled = rules.settle_tenders(tenders, priced(1_000))
    assert settled == (shop.cash(300), shop.card(500), shop.card(200, "tok_2"))


def test_an_order_for_nothing_needs_no_tender() -> None:
    assert rules.settle_tenders((shop.card(),), priced(0)) == ()
    assert rules.settle_tenders((shop.cash(0),), priced(0)) == ()


@pytest.mark.parametrize(
    "tenders",
    [
        (),
        (shop.cash(999),),
        (shop.cash(1_001),),
        (shop.cash(1_001), shop.card()),
        (shop.card(), shop.card()),
        (shop.cash(-1), shop.card(1_001)),
        (shop.cash(-1), shop.card()),
    ],
)
def test_tenders_that_are_not_the_total_are_refused(tenders: tuple[Tender, ...]) -> None:
    assert isinstance(rules.settle_tenders(tenders, priced(1_000)), Refusal)


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
